/* Keeps one copy equal to the list: at → apply or rebuild, and a sweep now and then. Any error closes the copy's connection and starts over. */
#include "engine/projector.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/health.h"

#define KAFKA_WAIT_MS 10000

struct projector {
	struct engine_settings s;
	const struct projection_ops *ops;
	char where[512], name[32];
	struct kafka_source kafka;
	int index;
	struct head *head;
	pthread_t thread;
	struct health_slot *health;
	struct projection *copy;
	struct pg *pg;
	unsigned failures;
	int64_t swept_us;
};

static struct metric *copy_ok, *copy_release, *rebuilds;

static const char head_sql[] = "SELECT list, release, count, encode(digest, 'hex') FROM list_head";

/* The list's head as the ledger has it now. RC_NONE: there is no list yet. */
static enum rc ledger_head(struct projector *p, struct list_mark *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(p->pg, head_sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return RC_NONE;
	snprintf(out->list, sizeof(out->list), "%.*s", (int)pg_text(r, 0, 0).len,
		pg_text(r, 0, 0).ptr);
	out->release = pg_int(r, 0, 1);
	out->count = pg_int(r, 0, 2);
	return digest_parse(pg_text(r, 0, 3), &out->digest);
}

static bool is_topic(const struct projector *p)
{
	return p->ops == &projection_kafka;
}

static enum rc open_copy(struct projector *p, struct err *e)
{
	struct projection_target t = {
		.url = p->where, .timeout_ms = (int)conf_int(p->s.conf, "redis.timeout_ms")};

	if (is_topic(p)) {
		enum rc rc = kafka_source_of(p->s.conf, &p->kafka, e);

		if (rc != RC_OK)
			return rc;
		p->kafka.settings.client_id = "khien-blocklist";
		t = (struct projection_target){.kafka = &p->kafka.settings,
			.topic = p->where,
			.timeout_ms = KAFKA_WAIT_MS};
	}
	return p->ops->open(&t, &p->copy, e);
}

static int64_t sweep_us(const struct projector *p)
{
	return conf_int(p->s.conf, is_topic(p) ? "kafka.sweep" : "redis.sweep") * US_PER_S;
}

static enum rc open_both(struct projector *p, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(p->s.conf, "database.dsn"), .name = p->name};
	enum rc rc = RC_OK;

	if (p->pg != NULL && pg_broken(p->pg))
		pg_close(TAKE(p->pg));
	if (p->pg == NULL)
		rc = pg_open(&o, &p->pg, e);
	if (rc == RC_OK && p->copy == NULL)
		rc = open_copy(p, e);
	return rc;
}

/* One look: RC_OK when the copy holds what the ledger's head says. */
static enum rc follow(struct projector *p, struct err *e)
{
	struct list_mark want = {0}, has = {0};
	int64_t now = p->s.clk->mono_us(p->s.clk);
	enum rc rc = open_both(p, e), at = RC_OK;

	/* The copy first: what it has then, the ledger has, too, or the ledger was set back. */
	if (rc == RC_OK)
		rc = at = p->ops->at(p->copy, &has, e);
	if (rc == RC_OK || rc == RC_NONE)
		rc = ledger_head(p, &want, e);
	if (rc != RC_OK)
		return rc == RC_NONE ? RC_OK : rc;
	rc = at;
	if (rc == RC_OK && strcmp(has.list, want.list) == 0 && has.release < want.release)
		rc = p->ops->apply(p->copy, p->pg, &has, &want, e);
	else if (rc == RC_OK &&
		(strcmp(has.list, want.list) != 0 || has.release > want.release ||
			memcmp(&has.digest, &want.digest, sizeof(has.digest)) != 0))
		rc = err_set(e, RC_CONFLICT, "it holds release %lld of another course",
			(long long)has.release);
	if (rc == RC_OK && now - p->swept_us >= sweep_us(p)) {
		p->swept_us = now;
		rc = p->ops->sweep(p->copy, p->pg, e);
	}
	if (rc == RC_NONE || rc == RC_CONFLICT) {
		log_info("engine", "copy=%s rebuild release=%lld count=%lld cause=\"%s\"", p->name,
			(long long)want.release, (long long)want.count,
			rc == RC_NONE ? "it is empty or not whole" : e->text);
		metric_add(metric_at(rebuilds, p->name, NULL, NULL), 1);
		rc = p->ops->rebuild(p->copy, p->pg, e);
	}
	if (rc == RC_OK)
		metric_set(metric_at(copy_release, p->name, NULL, NULL), (double)want.release);
	return rc;
}

static void *run(void *arg)
{
	struct projector *p = arg;
	uint64_t turn = 0;
	bool leads = false;

	while (!engine_stopping(&p->s)) {
		struct err e = {0};
		turn = head_wait(p->head, turn, 250, &leads);
		if (!leads) {
			p->ops->close(TAKE(p->copy)); /* what it knows grows old */
			health_ok(p->health);
			continue;
		}
		enum rc rc = follow(p, &e);
		metric_set(metric_at(copy_ok, p->name, NULL, NULL), rc == RC_OK ? 1 : 0);
		if (rc == RC_OK) {
			p->failures = 0;
			health_ok(p->health);
			continue;
		}
		health_bad(p->health, e.text);
		p->ops->close(TAKE(p->copy));
		wait_ms(backoff_ms(p->failures, 50, 1000), p->s.stop);
		if (p->failures < 16)
			p->failures++;
	}
	p->ops->close(TAKE(p->copy));
	pg_close(TAKE(p->pg));
	health_gone(p->health);
	return NULL;
}

enum rc projector_start(const struct engine_settings *s, const struct projection_ops *ops,
	const char *where, int index, struct head *head, struct projector **out, struct err *e)
{
	struct projector *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	copy_ok = metric_family(METRIC_GAUGE, "khien_copy_ok", "copy",
		"1 when this copy of the list was equal to the ledger's at the last look; of the "
		"leading keeper.");
	copy_release = metric_family(METRIC_GAUGE, "khien_copy_release", "copy",
		"The release that this copy of the list was brought to.");
	rebuilds = metric_family(METRIC_COUNTER, "khien_copy_rebuilds_total", "copy",
		"Times that this copy was written anew: it was empty, or differed.");
	p->s = *s;
	p->ops = ops;
	p->index = index;
	p->head = head;
	p->swept_us = s->clk->mono_us(s->clk);
	snprintf(p->where, sizeof(p->where), "%s", where);
	snprintf(p->name, sizeof(p->name), "khien-%s-%d", ops->name, index);
	p->health = health_slot(ops->name, index);
	if (pthread_create(&p->thread, NULL, run, p) != 0) {
		free(p);
		return err_set(e, RC_RETRY, "no thread");
	}
	*out = p;
	return RC_OK;
}

void projector_join(struct projector *p)
{
	if (p == NULL)
		return;
	pthread_join(p->thread, NULL);
	free(p);
}
