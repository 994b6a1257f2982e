/* Reads outbox rows in order of id, produces their lines, waits for the acknowledgements, deletes the rows. Runs while this process leads. */
#include "engine/relay.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/health.h"

#define ROWS 32
#define FLUSH_MS 10000

struct relay {
	struct engine_settings s;
	struct head *head;
	pthread_t thread;
	struct health_slot *health;
	struct pg *pg;
	struct kafka_source kafka;
	struct kafka_producer *producer;
	unsigned failures;
};

static const char read_sql[] = "SELECT id, topic, body FROM outbox ORDER BY id LIMIT 32";
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

/* One row: lines of key TAB value. */
static enum rc produce(struct relay *r, const char *topic, struct slice body, struct err *e)
{
	for (struct slice line, key; slice_line(&body, &line);) {
		if (line.len == 0 || !slice_cut(&line, '\t', &key))
			continue;
		enum rc rc;
		while ((rc = kafka_send(r->producer, topic, -1, key, line, NULL, e)) == RC_LIMIT)
			if ((rc = kafka_producer_flush(r->producer, FLUSH_MS, e)) != RC_OK)
				return rc;
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* RC_NONE: nothing waited. */
static enum rc relay_some(struct relay *r, struct err *e)
{
	OWN(pg_free) struct pg_result *rows = NULL;
	struct pg_array ids;
	enum rc rc = pg_run(r->pg, read_sql, NULL, 0, &rows, e);

	if (rc != RC_OK || pg_rows(rows) == 0)
		return rc == RC_OK ? RC_NONE : rc;
	pg_array_init(&ids, PG_INT8);
	for (int i = 0; i < pg_rows(rows) && rc == RC_OK; i++) {
		rc = produce(r, pg_text(rows, i, 1).ptr, pg_text(rows, i, 2), e);
		pg_array_int(&ids, pg_int(rows, i, 0));
	}
	if (rc == RC_OK)
		rc = kafka_producer_flush(r->producer, FLUSH_MS, e);
	if (rc == RC_OK) {
		struct pg_param p = pg_p_array(&ids);
		rc = pg_run(r->pg, delete_sql, &p, 1, NULL, e);
	}
	pg_array_done(&ids);
	return rc;
}

static void *run(void *arg)
{
	struct relay *r = arg;
	uint64_t turn = 0;
	bool leads = false;

	while (!*r->s.stop) {
		struct err e = {0};
		turn = head_wait(r->head, turn, 200, &leads);
		if (!leads) {
			health_ok(r->health);
			continue;
		}
		enum rc rc = open_both(r, &e);
		while (rc == RC_OK && !*r->s.stop)
			rc = relay_some(r, &e);
		if (rc == RC_OK || rc == RC_NONE) {
			r->failures = 0;
			health_ok(r->health);
			continue;
		}
		health_bad(r->health, e.text);
		kafka_producer_close(TAKE(r->producer));
		wait_ms(backoff_ms(r->failures++, 100, 5000), r->s.stop);
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
