/* Beside the releases, in the process of the leading keeper: what workers read from texts becomes campaigns and evidence, and senders are judged
 * again when what is known beside their votes has changed. Two leaders at once, for a moment, do no harm: a lock in the database lets one of
 * them through. */
#include "engine/gleaner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/batch.h"
#include "engine/health.h"

#define ARENA_BYTES (64u << 20)
#define IDLE_MS 200

struct gleaner {
	struct engine_settings s;
	struct head *head;
	pthread_t thread;
	struct health_slot *health;
	struct ledger *ledger; /* NULL while the database is away */
	struct judge *judge;
	struct arena *arena;
	char actor[112];
	unsigned failures;
};

static struct metric *rejudged;

static enum rc open_ledger(struct gleaner *g, struct err *e)
{
	struct pg_options o = {
		.dsn = conf_text(g->s.conf, "database.dsn"), .name = "khien-gleaner"};

	if (g->ledger != NULL && !pg_broken(ledger_pg(g->ledger)))
		return RC_OK;
	ledger_close(TAKE(g->ledger));
	return ledger_open(&o, &g->ledger, e);
}

/* The judge of this transaction's control row; loading one takes longer than anybody should wait for its locks. */
static enum rc follow_control(struct gleaner *g, const struct control *control, struct err *e)
{
	struct judge *j = NULL;

	if (judge_is(g->judge, control))
		return RC_OK;
	ledger_abort(g->ledger);
	enum rc rc = judge_get(ledger_pg(g->ledger), control, &j, e);
	if (rc != RC_OK)
		return rc;
	judge_drop(g->judge);
	g->judge = j;
	return err_set(e, RC_CONFLICT, "another judge: again");
}

/* RC_NONE: nobody waits. */
static enum rc judge_some(struct gleaner *g, struct err *e)
{
	int64_t now_us = g->s.clk->now_us(g->s.clk);
	struct control control = {0};
	struct touched *touched = NULL;
	struct ledger_batch b;
	size_t n = 0;

	arena_reset(g->arena);
	/* without a judge, or with an old one, the transaction ends in follow_control */
	struct cutoffs cuts = {.signs = 1};
	if (g->judge != NULL)
		cuts = g->judge->policy->cuts;
	enum rc rc =
		ledger_again(g->ledger, &cuts, &b, now_us, g->arena, &control, &touched, &n, e);
	if (rc != RC_OK)
		return rc;
	rc = follow_control(g, &control, e);
	if (rc == RC_OK)
		rc = judge_touched(g->judge, &control, now_us, touched, n, g->arena);
	if (rc != RC_OK) {
		ledger_abort(g->ledger);
		return rc;
	}
	const struct policy *p = g->judge->policy;
	struct ledger_settings ls = {
		.source = "",
		.actor = g->actor,
		.keys = g->s.keys,
		.rules_version = g->judge->versions,
		.policy_version = p->version,
		.clock_s = {p->clock_s[CLASS_NUISANCE], p->clock_s[CLASS_SCAM]},
		.quarantine_keep_s = conf_int(g->s.conf, "quarantine.keep"),
	};
	rc = ledger_settle(g->ledger, &ls, &b, touched, n, now_us, g->arena, e);
	if (rc == RC_OK)
		metric_add(metric_at(rejudged, NULL, NULL, NULL), (double)n);
	else
		ledger_abort(g->ledger);
	return rc;
}

/* RC_NONE: there is nothing to do. A conflict is passing, like a deadlock: again. */
static enum rc one_turn(struct gleaner *g, struct err *e)
{
	bool left = false;
	enum rc rc = open_ledger(g, e), again;

	if (rc != RC_OK)
		return rc;
	rc = glean_fold(ledger_pg(g->ledger), sketches_packed_alike, &left, e);
	if (rc != RC_OK && rc != RC_NONE && rc != RC_CONFLICT)
		return rc;
	again = judge_some(g, e);
	if (again != RC_OK && again != RC_NONE && again != RC_CONFLICT)
		return again;
	return rc == RC_NONE && again == RC_NONE ? RC_NONE : RC_OK;
}

static void *run(void *arg)
{
	struct gleaner *g = arg;
	uint64_t turn = 0;
	bool leads = false;

	while (!engine_stopping(&g->s)) {
		struct err e = {0};

		turn = head_wait(g->head, turn, IDLE_MS, &leads);
		if (!leads) {
			health_ok(g->health);
			continue;
		}
		enum rc rc = RC_OK;
		while (rc == RC_OK && leads && !engine_stopping(&g->s)) {
			rc = one_turn(g, &e);
			turn = head_wait(g->head, turn, 0, &leads);
		}
		if (rc == RC_OK || rc == RC_NONE) {
			g->failures = 0;
			health_ok(g->health);
			continue;
		}
		health_bad(g->health, e.text);
		wait_ms(backoff_ms(g->failures, 100, 5000), g->s.stop);
		if (g->failures < 16)
			g->failures++;
	}
	ledger_close(TAKE(g->ledger));
	judge_drop(g->judge);
	health_gone(g->health);
	return NULL;
}

enum rc gleaner_start(
	const struct engine_settings *s, struct head *head, struct gleaner **out, struct err *e)
{
	struct gleaner *g = calloc(1, sizeof(*g));

	if (g == NULL || (g->arena = arena_new(ARENA_BYTES)) == NULL) {
		free(g);
		return err_set(e, RC_RETRY, "out of memory");
	}
	rejudged = metric_family(METRIC_COUNTER, "khien_rejudged_total", "",
		"Senders judged again because what is known beside their votes had changed.");
	g->s = *s;
	g->head = head;
	g->health = health_slot("gleaner", 0);
	(void)snprintf(g->actor, sizeof(g->actor), "engine/%s/gleaner", s->instance);
	if (pthread_create(&g->thread, NULL, run, g) != 0) {
		arena_free(g->arena);
		free(g);
		return err_set(e, RC_RETRY, "no thread");
	}
	*out = g;
	return RC_OK;
}

void gleaner_join(struct gleaner *g)
{
	if (g == NULL)
		return;
	pthread_join(g->thread, NULL);
	arena_free(g->arena);
	free(g);
}
