/* The keeper: one leader in the whole installation makes the releases of the blocklist. Copies and the outbox have threads of their own, so that
 * a hanging Redis or Kafka never delays a release. Who leads is lease.c; what a leader does besides is chores.c; what a release is,
 * blocklist/. */
#include "engine/keeper.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/bell.h"
#include "engine/gleaner.h"
#include "engine/health.h"
#include "engine/judge.h"
#include "engine/lease.h"
#include "engine/projector.h"
#include "engine/relay.h"
#include "engine/webhook.h"

#define MAX_COPIES 17             /* Redis and a topic */
#define CONTROL_US (US_PER_S / 4) /* how old the control row may be: kill switch, caps */
#define POLICY_US (5 * US_PER_S)
#define IDLE_MS 100 /* how long what other processes left may wait */
#define WATCH_MS 200
#define BUSY_CHANGES 10000 /* of a release: there are more where these came from */

struct keeper {
	struct engine_settings s;
	pthread_t thread;
	struct health_slot *health;
	struct pg *pg;
	struct lease lease;
	struct chores chores;
	struct control control;
	int64_t control_at_us; /* 0: not read yet */
	struct policy *policy; /* for the caps; NULL: the active one could not be loaded */
	uint8_t policy_hash[SHA256_LEN];
	int64_t policy_at_us; /* when to try again one that could not be loaded */
	struct head head;
	struct projector *copies[MAX_COPIES];
	size_t n_copies;
	struct relay *relay;
	struct webhook *webhook; /* NULL: no alerts leave */
	struct gleaner *gleaner;
	unsigned failures;
	bool was_leading;  /* and said so */
	bool more;         /* growth was capped: the next release follows at once */
	char trouble[208]; /* what does not work, though releases go on */
};

static struct metric *releases, *entries, *leading, *held, *waiting;

static void tell(struct keeper *k, bool leads)
{
	if (leads != k->was_leading)
		log_at(leads ? LOG_INFO : LOG_WARN, "engine", "keeper %s epoch=%lld",
			leads ? "leads" : "no longer leads", (long long)k->lease.epoch);
	k->was_leading = leads;
	metric_set(metric_at(leading, NULL, NULL, NULL), leads ? 1 : 0);
	head_tell(&k->head, NULL, leads);
}

static void trouble(struct keeper *k, const char *what, const struct err *e)
{
	char text[sizeof(k->trouble)];

	snprintf(text, sizeof(text), "%s: %.180s", what, e->text);
	if (strcmp(k->trouble, text) != 0)
		log_error("engine", "keeper goes on without %s cause=\"%s\"", what, e->text);
	memcpy(k->trouble, text, sizeof(text));
}

/* The caps follow the active policy. A policy that this program cannot load leaves the old caps; without any nothing is added. */
static enum rc follow_policy(struct keeper *k, int64_t mono_us, struct err *e)
{
	struct policy *p = NULL;
	struct err why = {0};

	if (k->policy != NULL && memcmp(k->policy_hash, k->control.policy, SHA256_LEN) == 0) {
		k->trouble[0] = '\0';
		return RC_OK;
	}
	if (k->trouble[0] != '\0' && mono_us < k->policy_at_us)
		return RC_OK;
	k->policy_at_us = mono_us + POLICY_US;
	enum rc rc = judge_policy(k->pg, &k->control, &p, &why);
	if (rc != RC_OK && pg_broken(k->pg))
		return err_set(e, RC_RETRY, "%s", why.text);
	if (rc != RC_OK) {
		trouble(k, "the active policy's caps", &why);
		return RC_OK;
	}
	policy_free(k->policy);
	k->policy = p;
	memcpy(k->policy_hash, k->control.policy, SHA256_LEN);
	k->trouble[0] = '\0';
	return RC_OK;
}

static enum rc follow_control(struct keeper *k, int64_t mono_us, struct err *e)
{
	if (k->control_at_us != 0 && mono_us - k->control_at_us < CONTROL_US)
		return RC_OK;
	enum rc rc = control_read(k->pg, &k->control, e);
	if (rc == RC_NONE)
		return err_set(e, RC_RETRY, "no policy is active yet");
	if (rc == RC_OK)
		rc = follow_policy(k, mono_us, e);
	if (rc == RC_OK)
		k->control_at_us = mono_us;
	return rc;
}

static enum rc make_release(struct keeper *k, struct err *e)
{
	const struct policy *p = k->policy;
	struct caps caps = {0};
	struct release_out out = {0};

	if (p != NULL)
		caps = (struct caps){p->cap_hour, p->cap_day, p->growth_min, p->growth_share};
	enum rc rc = release_make(k->pg, k->lease.epoch, k->s.clk->now_us(k->s.clk), &caps,
		k->control.kill_switch || p == NULL, &out, e);
	if (rc != RC_OK)
		return rc;
	k->more = out.made && out.overflow > 0;
	k->chores.busy = out.made && out.added + out.removed >= BUSY_CHANGES;
	metric_add(metric_at(held, NULL, NULL, NULL), out.held);
	metric_set(metric_at(waiting, NULL, NULL, NULL), out.overflow);
	if (!out.made)
		return RC_OK;
	metric_add(metric_at(releases, NULL, NULL, NULL), 1);
	metric_set(metric_at(entries, NULL, NULL, NULL), (double)out.mark.count);
	log_info("blocklist", "release=%lld added=%d removed=%d held=%d waiting=%d count=%lld",
		(long long)out.mark.release, out.added, out.removed, out.held, out.overflow,
		(long long)out.mark.count);
	head_tell(&k->head, &out.mark, true);
	return RC_OK;
}

/* One tick of the leader. */
static enum rc lead(struct keeper *k, int64_t mono_us, struct err *e)
{
	enum rc rc = RC_OK;

	if (!k->was_leading) {
		rc = list_ensure(k->pg, k->s.clk->now_us(k->s.clk), e);
		k->control_at_us = 0;
		chores_begin(&k->chores);
	}
	if (rc == RC_OK)
		rc = follow_control(k, mono_us, e);
	if (rc != RC_OK)
		return rc;
	if (!k->was_leading)
		tell(k, true);
	k->chores.policy = k->policy;
	k->chores.control = &k->control;
	/* What fails here must not hold up releases. */
	if (chores_tick(&k->chores, k->pg, mono_us) != RC_OK && pg_broken(k->pg))
		return err_set(e, RC_RETRY, "connection lost");
	return make_release(k, e);
}

static void connection_lost(struct keeper *k, const char *cause)
{
	health_bad(k->health, cause);
	pg_close(TAKE(k->pg));
	lease_doubt(&k->lease);
	tell(k, false);
	wait_ms(backoff_ms(k->failures, 50, 2000), k->s.stop);
	if (k->failures < 16)
		k->failures++;
}

/* A leader that freezes in the middle of a release is let go after seconds, so that another can lead. */
static enum rc open_ledger(struct keeper *k, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(k->s.conf, "database.dsn"),
		.name = "khien-keeper",
		.by_index = true};
	enum rc rc = pg_open(&o, &k->pg, e);

	if (rc == RC_OK)
		rc = pg_script(k->pg, "SET idle_in_transaction_session_timeout = '10s'", e);
	return rc;
}

static void tick(struct keeper *k)
{
	int64_t mono_us = k->s.clk->mono_us(k->s.clk);
	struct err e = {0};
	enum rc rc = RC_OK;

	k->more = false;
	if (k->pg == NULL)
		rc = open_ledger(k, &e);
	if (rc == RC_OK)
		rc = lease_tick(&k->lease, k->pg, mono_us, &e);
	if (rc == RC_OK && k->lease.leads)
		rc = lead(k, mono_us, &e);
	else if (rc == RC_OK && k->was_leading)
		tell(k, false);
	if (rc == RC_OK) {
		k->failures = 0;
		if (k->trouble[0] != '\0' && k->lease.leads)
			health_bad(k->health, k->trouble);
		else
			health_ok(k->health);
	} else if (rc == RC_CONFLICT && e.state[0] == '\0') { /* fenced */
		lease_lost(&k->lease);
		tell(k, false);
	} else if (rc == RC_CONFLICT) { /* a deadlock or the like: again at the next tick */
		log_debug("blocklist", "release again: %s", e.text);
	} else {
		connection_lost(k, e.text);
	}
}

static void *run(void *arg)
{
	struct keeper *k = arg;
	int64_t pause_ms = conf_int(k->s.conf, "keeper.tick_ms");

	while (!engine_stopping(&k->s)) {
		tick(k);
		if (k->more)
			continue;
		if (!k->was_leading) {
			wait_ms(WATCH_MS, k->s.stop);
			continue;
		}
		wait_ms(pause_ms, k->s.stop);
		if (IDLE_MS > pause_ms)
			bell_wait(IDLE_MS - pause_ms);
	}
	tell(k, false);
	lease_give_back(&k->lease, k->pg);
	pg_close(TAKE(k->pg));
	health_gone(k->health);
	return NULL;
}

static void make_metrics(void)
{
	releases = metric_family(METRIC_COUNTER, "khien_releases_total", "",
		"Releases of the blocklist made by this process.");
	entries = metric_family(
		METRIC_GAUGE, "khien_blocklist_entries", "", "Entries of the newest release.");
	leading = metric_family(
		METRIC_GAUGE, "khien_keeper_leads", "", "1 while this process is the one keeper.");
	held = metric_family(METRIC_COUNTER, "khien_wishes_held_total", "",
		"Automatic wishes that a release held back: protection, caps.");
	waiting = metric_family(METRIC_GAUGE, "khien_wishes_waiting", "",
		"Automatic wishes that wait for the next release because of its growth cap.");
}

static enum rc start_copy(struct keeper *k, const struct projection_ops *ops, const char *where,
	int index, struct err *e)
{
	enum rc rc =
		projector_start(&k->s, ops, where, index, &k->head, &k->copies[k->n_copies], e);

	k->n_copies += rc == RC_OK;
	return rc;
}

static enum rc start_copies(struct keeper *k, struct err *e)
{
	const char *topic = conf_text(k->s.conf, "kafka.topics.blocklist");
	size_t n = conf_count(k->s.conf, "redis.urls");
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && i < MAX_COPIES - 1 && rc == RC_OK; i++)
		rc = start_copy(
			k, &projection_redis, conf_at(k->s.conf, "redis.urls", i), (int)i, e);
	if (rc == RC_OK && topic[0] != '\0')
		rc = start_copy(k, &projection_kafka, topic, 0, e);
	return rc;
}

enum rc keeper_start(const struct engine_settings *s, struct keeper **out, struct err *e)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	make_metrics();
	k->s = *s;
	k->lease = (struct lease){
		.owner = s->instance, .lease_us = conf_int(s->conf, "keeper.lease_s") * US_PER_S};
	k->health = health_slot("keeper", 0);
	chores_init(&k->chores, s);
	head_init(&k->head);
	enum rc rc = relay_start(s, &k->head, &k->relay, e);
	if (rc == RC_OK)
		rc = webhook_start(s, &k->head, &k->webhook, e);
	if (rc == RC_OK)
		rc = gleaner_start(s, &k->head, &k->gleaner, e);
	if (rc == RC_OK)
		rc = start_copies(k, e);
	if (rc == RC_OK && pthread_create(&k->thread, NULL, run, k) != 0)
		rc = err_set(e, RC_RETRY, "no thread");
	if (rc != RC_OK)
		return rc; /* the caller ends the process; threads that run see *stop */
	*out = k;
	return RC_OK;
}

void keeper_reload(struct keeper *k, const struct conf *fresh)
{
	if (k != NULL)
		chores_reload(&k->chores, conf_text(fresh, "protected.file"));
}

void keeper_join(struct keeper *k)
{
	if (k == NULL)
		return;
	bell_ring();
	pthread_join(k->thread, NULL);
	for (size_t i = 0; i < k->n_copies; i++)
		projector_join(k->copies[i]);
	relay_join(k->relay);
	webhook_join(k->webhook);
	gleaner_join(k->gleaner);
	policy_free(k->policy);
	free(k);
}
