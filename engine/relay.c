/* Reads outbox rows in order of id, produces their lines, waits for the acknowledgements, deletes the rows. Rows of one report's outcomes are
 * in the order of their commits, because a later one waited for the earlier one's report key; so the order of ids is the order per key.
 * A topic that cannot be written is left for a while, and the others go on. Runs while this process leads. */
#include "engine/relay.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/health.h"

#define FLUSH_MS 10000
#define FLUSH_STEP_MS 250
#define IDLE_MS 200
#define BAD_TOPICS 8

struct bad_topic {
	char name[256];
	int64_t until_us;
	unsigned failures;
};

struct relay {
	struct engine_settings s;
	struct head *head;
	pthread_t thread;
	struct health_slot *health;
	struct pg *pg;
	struct kafka_source kafka;
	struct kafka_producer *producer;
	unsigned failures;
	struct bad_topic bad[BAD_TOPICS];
	char trouble[256];
};

static struct metric *relayed;

/* The oldest rows of the topic that has waited longest. */
static const char read_sql[] =
	"SELECT o.id, o.topic, o.body FROM (SELECT topic FROM outbox WHERE topic <> ALL($1::text[])"
	" ORDER BY id LIMIT 1) t JOIN outbox o USING (topic) ORDER BY o.id LIMIT 16";
static const char delete_sql[] = "DELETE FROM outbox WHERE id = ANY($1)";

static enum rc open_both(struct relay *r, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(r->s.conf, "database.dsn"), .name = "khien-relay"};
	enum rc rc = RC_OK;

	if (r->pg != NULL && pg_broken(r->pg))
		pg_close(TAKE(r->pg));
	if (r->pg == NULL)
		rc = pg_open(&o, &r->pg, e);
	if (rc == RC_OK && r->producer == NULL) {
		rc = kafka_source_of(r->s.conf, &r->kafka, e);
		r->kafka.settings.client_id = "khien-relay";
		if (rc == RC_OK)
			rc = kafka_producer_open(&r->kafka.settings, &r->producer, e);
	}
	return rc;
}

/* Until everything is acknowledged; gives up early when the program stops. */
static enum rc flush(struct relay *r, struct err *e)
{
	uint64_t failed = kafka_failed(r->producer);
	enum rc rc = RC_RETRY;

	for (int waited = 0; waited < FLUSH_MS; waited += FLUSH_STEP_MS) {
		rc = kafka_producer_flush(r->producer, FLUSH_STEP_MS, e);
		if (rc != RC_RETRY || kafka_failed(r->producer) > failed || engine_stopping(&r->s))
			return rc;
	}
	return rc;
}

/* One row: lines of key TAB value, or key TAB value TAB traceparent; no value holds a TAB. */
static enum rc produce(
	struct relay *r, const char *topic, struct slice body, double *n, struct err *e)
{
	for (struct slice line, key, value; slice_line(&body, &line);) {
		char trace[64];
		const char *const headers[] = {KAFKA_TRACE, trace, NULL};

		if (line.len == 0 || !slice_cut(&line, '\t', &key))
			continue;
		value = line;
		(void)slice_cut(&line, '\t', &value);
		bool traced = line.len > 0;
		if (traced)
			(void)snprintf(trace, sizeof(trace), "%.*s", (int)line.len, line.ptr);
		enum rc rc;
		while ((rc = kafka_send(r->producer, topic, -1, key, value, traced ? headers : NULL,
				e)) == RC_LIMIT)
			if ((rc = flush(r, e)) != RC_OK)
				return rc;
		if (rc != RC_OK)
			return rc;
		++*n;
	}
	return RC_OK;
}

/* ---- topics that cannot be written ---- */

static void bad_topics(struct relay *r, int64_t now, struct pg_array *out)
{
	pg_array_init(out, PG_TEXT);
	for (size_t i = 0; i < BAD_TOPICS; i++)
		if (r->bad[i].name[0] != '\0' && now < r->bad[i].until_us)
			pg_array_text(out, slice_str(r->bad[i].name));
}

static struct bad_topic *bad_topic(struct relay *r, const char *name)
{
	struct bad_topic *b = &r->bad[0];

	for (size_t i = 0; i < BAD_TOPICS; i++) {
		if (strcmp(r->bad[i].name, name) == 0)
			return &r->bad[i];
		if (r->bad[i].until_us < b->until_us)
			b = &r->bad[i];
	}
	return b;
}

static void leave_topic(struct relay *r, const char *name, const struct err *e)
{
	struct bad_topic *b = bad_topic(r, name);

	if (strcmp(b->name, name) != 0)
		*b = (struct bad_topic){.failures = 0};
	snprintf(b->name, sizeof(b->name), "%s", name);
	b->until_us = r->s.clk->mono_us(r->s.clk) + backoff_ms(b->failures, 500, 10000) * 1000;
	if (b->failures < 16)
		b->failures++;
	snprintf(r->trouble, sizeof(r->trouble), "topic %s: %.200s", name, e->text);
}

/* A topic that works again; NULL: all whose time is over, for nothing waits for them any more. */
static void topic_works(struct relay *r, const char *name, int64_t now)
{
	for (size_t i = 0; i < BAD_TOPICS; i++)
		if (name != NULL ? strcmp(r->bad[i].name, name) == 0 : now >= r->bad[i].until_us)
			r->bad[i] = (struct bad_topic){.failures = 0};
	for (size_t i = 0; i < BAD_TOPICS; i++)
		if (r->bad[i].name[0] != '\0')
			return;
	r->trouble[0] = '\0';
}

/* ---- the loop ---- */

static enum rc deliver(struct relay *r, const struct pg_result *rows, struct err *e)
{
	const char *topic = pg_text(rows, 0, 1).ptr;
	struct pg_array ids;
	enum rc rc = RC_OK;
	double n = 0;

	pg_array_init(&ids, PG_INT8);
	for (int i = 0; i < pg_rows(rows) && rc == RC_OK; i++) {
		rc = produce(r, topic, pg_text(rows, i, 2), &n, e);
		pg_array_int(&ids, pg_int(rows, i, 0));
	}
	if (rc == RC_OK)
		rc = flush(r, e);
	if (rc != RC_OK) {
		leave_topic(r, topic, e);
		kafka_producer_close(TAKE(r->producer));
	} else {
		struct pg_param p = pg_p_array(&ids);
		topic_works(r, topic, 0);
		metric_add(metric_at(relayed, topic, NULL, NULL), n);
		rc = pg_run(r->pg, delete_sql, &p, 1, NULL, e);
	}
	pg_array_done(&ids);
	return rc;
}

/* RC_NONE: nothing waited. */
static enum rc relay_some(struct relay *r, struct err *e)
{
	OWN(pg_free) struct pg_result *rows = NULL;
	int64_t now = r->s.clk->mono_us(r->s.clk);
	struct pg_array bad;

	bad_topics(r, now, &bad);
	struct pg_param p = pg_p_array(&bad);
	enum rc rc = pg_run(r->pg, read_sql, &p, 1, &rows, e);
	pg_array_done(&bad);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(rows) > 0)
		return deliver(r, rows, e);
	topic_works(r, NULL, now);
	return RC_NONE;
}

static void *run(void *arg)
{
	struct relay *r = arg;
	uint64_t turn = 0;
	bool leads = false;

	while (!engine_stopping(&r->s)) {
		struct err e = {0};
		turn = head_wait(r->head, turn, IDLE_MS, &leads);
		if (!leads) {
			health_ok(r->health);
			continue;
		}
		enum rc rc = open_both(r, &e);
		while (rc == RC_OK && leads && !engine_stopping(&r->s)) {
			rc = relay_some(r, &e);
			turn = head_wait(r->head, turn, 0, &leads);
		}
		if ((rc == RC_OK || rc == RC_NONE) && r->trouble[0] == '\0') {
			r->failures = 0;
			health_ok(r->health);
			continue;
		}
		health_bad(r->health, r->trouble[0] != '\0' ? r->trouble : e.text);
		if (rc == RC_NONE) /* the others are done */
			continue;
		kafka_producer_close(TAKE(r->producer));
		wait_ms(backoff_ms(r->failures, 100, 2000), r->s.stop);
		if (r->failures < 16)
			r->failures++;
	}
	kafka_producer_close(TAKE(r->producer));
	pg_close(TAKE(r->pg));
	health_gone(r->health);
	return NULL;
}

enum rc relay_start(
	const struct engine_settings *s, struct head *head, struct relay **out, struct err *e)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	relayed = metric_family(METRIC_COUNTER, "khien_relayed_total", "topic",
		"Messages of the outbox that Kafka acknowledged.");
	r->s = *s;
	r->head = head;
	r->health = health_slot("relay", 0);
	if (pthread_create(&r->thread, NULL, run, r) != 0) {
		free(r);
		return err_set(e, RC_RETRY, "no thread");
	}
	*out = r;
	return RC_OK;
}

void relay_join(struct relay *r)
{
	if (r == NULL)
		return;
	pthread_join(r->thread, NULL);
	free(r);
}
