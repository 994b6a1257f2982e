/* One worker: a Kafka consumer and a database connection that belong together, and the loop around them. The offset is a row in PostgreSQL:
 * a partition is acquired there before it is fetched, and after anything doubtful (a lost connection, a lost COMMIT answer, a fence) the
 * batch is dropped and the partition acquired again, whose answer is the truth. Kafka is polled whatever happens to the database, so that
 * the group keeps us. Leaves out partitions (partitions.c) and batches (settle.c). */
#include "engine/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 100
#define ARENA_BYTES (96u << 20)
#define FATAL_US (60 * US_PER_S) /* how long a membership that ended for good is remembered */
#define ASK_US US_PER_S          /* how long the ledger may be silent before it is asked */

int64_t worker_mono(const struct worker *w)
{
	return w->s.clk->mono_us(w->s.clk);
}

/* ---- the ledger ---- */

static void ledger_later(struct worker *w, const char *cause)
{
	health_bad(w->health, cause);
	ledger_close(w->ledger);
	w->ledger = NULL;
	w->ledger_at_us = worker_mono(w) + backoff_ms(w->db_failures, 100, 5000) * 1000;
	if (w->db_failures < 16)
		w->db_failures++;
}

void database_away(struct worker *w, const char *cause)
{
	count_retry("database");
	for (size_t i = 0; i < w->n_owned; i++) {
		park(w, &w->owned[i], 1);
		w->owned[i].retry_us = 0; /* as soon as there is a ledger */
	}
	ledger_later(w, cause);
}

enum rc follow_control(struct worker *w, struct err *e)
{
	struct judge *j = NULL;
	struct scan *s = NULL;

	if (judge_is(w->judge, &w->control))
		return RC_OK;
	enum rc rc = judge_get(ledger_pg(w->ledger), &w->control, &j, e);
	if (rc == RC_OK)
		rc = judge_scan(j, &s, e);
	if (rc != RC_OK) {
		judge_drop(j);
		return rc;
	}
	scan_free(w->scan);
	judge_drop(w->judge);
	w->scan = s;
	w->judge = j;
	w->rules.late_after_s = j->policy->late_after_s;
	return RC_OK;
}

/* What judges now; also proof that the ledger answers. */
static enum rc ask_control(struct worker *w, struct err *e)
{
	enum rc rc = control_read(ledger_pg(w->ledger), &w->control, e);

	if (rc == RC_NONE)
		rc = err_set(e, RC_RETRY, "no policy is active yet");
	if (rc == RC_OK)
		rc = follow_control(w, e);
	if (rc == RC_OK)
		w->asked_at_us = worker_mono(w);
	return rc;
}

/* A slow database must not cost us our place in the group. */
static void while_waiting(void *arg)
{
	struct worker *w = arg;

	if (w->consumer != NULL)
		kafka_keep(w->consumer);
}

static enum rc open_ledger(struct worker *w, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(w->s.conf, "database.dsn"), .name = w->dsn_name};
	enum rc rc = ledger_open(&o, &w->ledger, e);

	if (rc == RC_OK)
		pg_on_wait(ledger_pg(w->ledger), while_waiting, w);
	/* A frozen process must not keep its successor waiting: between two rounds we think for moments only. */
	if (rc == RC_OK)
		rc = pg_script(
			ledger_pg(w->ledger), "SET idle_in_transaction_session_timeout = '15s'", e);
	return rc == RC_OK ? ask_control(w, e) : rc;
}

static void see_to_ledger(struct worker *w)
{
	int64_t now = worker_mono(w);
	struct err e = {0};

	if (w->ledger == NULL) {
		if (now >= w->ledger_at_us && open_ledger(w, &e) != RC_OK)
			ledger_later(w, e.text);
	} else if (now - w->asked_at_us >= ASK_US) {
		if (ask_control(w, &e) == RC_OK)
			w->db_failures = 0;
		else
			database_away(w, e.text);
	}
}

/* ---- Kafka ---- */

static void close_consumer(struct worker *w, const char *cause)
{
	health_bad(w->health, cause);
	kafka_batch_reset(w->batch);
	kafka_consumer_close(w->consumer);
	w->consumer = NULL;
	w->n_owned = 0;
	w->assigned = false;
	w->consumer_at_us = worker_mono(w) + backoff_ms(w->kafka_failures, 100, 5000) * 1000;
	if (w->kafka_failures < 16)
		w->kafka_failures++;
}

static const char *topic_of(const struct worker *w, enum feed f)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "kafka.topics.%s", feed_name(f));
	return conf_text(w->s.conf, name);
}

enum feed feed_of(const struct worker *w, const char *topic)
{
	for (int f = FEED_CONTACTS; f < FEED_COUNT; f++)
		if (strcmp(topic, topic_of(w, (enum feed)f)) == 0)
			return (enum feed)f;
	return FEED_COMPLAINTS;
}

static void see_to_consumer(struct worker *w)
{
	const char *topics[FEED_COUNT];
	size_t n = 0;
	struct err e = {0};

	if (w->consumer != NULL || w->ledger == NULL || worker_mono(w) < w->consumer_at_us)
		return;
	enum rc rc = kafka_source_of(w->s.conf, &w->kafka, &e);
	w->kafka.settings.client_id = w->client_id;
	if (w->kafka.settings.instance != NULL) {
		(void)snprintf(w->member, sizeof(w->member), "%.200s-%d",
			w->kafka.settings.instance, w->index);
		w->kafka.settings.instance = w->member;
	}
	for (int f = FEED_COMPLAINTS; f < FEED_COUNT; f++)
		if (topic_of(w, (enum feed)f)[0] != '\0')
			topics[n++] = topic_of(w, (enum feed)f);
	if (rc == RC_OK)
		rc = kafka_consumer_open(
			&w->kafka.settings, topics, n, on_rebalance, w, &w->consumer, &e);
	if (rc != RC_OK)
		close_consumer(w, e.text);
}

static int by_partition(const void *a, const void *b)
{
	const struct kafka_record *x = *(const struct kafka_record *const *)a,
				  *y = *(const struct kafka_record *const *)b;
	int topic = strcmp(x->topic, y->topic);

	if (topic != 0)
		return topic;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void work_off_batch(struct worker *w)
{
	size_t n = kafka_batch_count(w->batch);

	/* without a ledger what was fetched is forgotten: it is fetched again when the partition is acquired */
	if (n == 0 || w->ledger == NULL)
		return;
	assert(n <= BOUND_BATCH_RECORDS);
	for (size_t i = 0; i < n; i++)
		w->records[i] = kafka_batch_at(w->batch, i);
	qsort(w->records, n, sizeof(struct kafka_record *), by_partition);
	work_off(w, w->records, n);
}

/* What the loop says of itself, after Kafka was polled. */
static void tell_health(struct worker *w, enum rc polled, const struct err *e)
{
	if (w->ledger == NULL)
		return; /* said when it went away */
	if (polled == RC_RETRY)
		health_bad(w->health, e->text);
	else if (!w->assigned)
		health_bad(w->health, "waiting for the consumer group's assignment");
	else if (w->trouble[0] != '\0')
		health_bad(w->health, w->trouble);
	else
		health_ok(w->health);
}

/* A demonstration broker that was started anew has another address, and its offsets are another cluster's. */
static bool broker_changed(const struct worker *w)
{
	struct kafka_source now;
	struct err e;

	return kafka_source_of(w->s.conf, &now, &e) == RC_OK &&
		(strcmp(now.brokers, w->kafka.brokers) != 0 ||
			strcmp(now.source, w->kafka.source) != 0);
}

static void fetch_and_work(struct worker *w)
{
	size_t max = (size_t)conf_int(w->s.conf, "batch.records");
	struct kafka_part bad = {0};
	struct err e = {0};
	enum rc rc = kafka_poll(w->consumer, POLL_MS, (int)conf_int(w->s.conf, "batch.linger_ms"),
		max, BOUND_BATCH_BYTES, w->batch, &bad, &e);

	if (rc == RC_RETRY && broker_changed(w)) {
		close_consumer(w, "the broker is another one");
		return;
	}
	if (rc == RC_FATAL) {
		w->fatal_us = worker_mono(w);
		log_error("engine", "worker=%d leaves the group and joins it again: %s", w->index,
			e.text);
		close_consumer(w, e.text);
		return;
	}
	/* Two members under one name fence each other in turn: not ever faster. */
	if (rc == RC_OK && worker_mono(w) - w->fatal_us > FATAL_US)
		w->kafka_failures = 0;
	if (rc == RC_CONFLICT)
		out_of_range(w, &bad, e.text);
	tell_health(w, rc, &e);
	work_off_batch(w);
}

/* ---- the loop ---- */

static void *run(void *arg)
{
	struct worker *w = arg;
	int64_t measured_us = 0;

	while (!engine_stopping(&w->s)) {
		see_to_ledger(w);
		see_to_consumer(w);
		if (w->consumer == NULL) {
			wait_ms(50, w->s.stop);
			continue;
		}
		acquire_parked(w);
		fetch_and_work(w);
		if (w->consumer != NULL && worker_mono(w) - measured_us >= US_PER_S) {
			measure_lag(w);
			measured_us = worker_mono(w);
		}
	}
	release_all(w);
	/* Here, so that several workers leave the group at the same time. */
	kafka_batch_reset(w->batch);
	kafka_consumer_close(w->consumer);
	w->consumer = NULL;
	health_gone(w->health);
	return NULL;
}

static void worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	kafka_batch_free(w->batch);
	kafka_consumer_close(w->consumer);
	ledger_close(w->ledger);
	scan_free(w->scan);
	judge_drop(w->judge);
	decoder_free(w->decoder);
	arena_free(w->arena);
	free(w->filings.at);
	free(w->records);
	free(w);
}

enum rc worker_start(const struct engine_settings *s, int index, struct worker **out, struct err *e)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	worker_metrics();
	w->s = *s;
	w->index = index;
	w->take = BOUND_BATCH_RECORDS;
	snprintf(w->me, sizeof(w->me), "%s/%d", s->instance, index);
	snprintf(w->actor, sizeof(w->actor), "engine/worker-%d", index);
	snprintf(w->client_id, sizeof(w->client_id), "khien-%.60s-%d", s->instance, index);
	snprintf(w->dsn_name, sizeof(w->dsn_name), "khien-worker-%d", index);
	w->health = health_slot("worker", index);
	w->rules = (struct ingest_rules){.plan = s->plan, .keys = s->keys};
	w->batch = kafka_batch_new();
	w->decoder = decoder_new(&w->rules);
	w->arena = arena_new(ARENA_BYTES);
	w->filings.room = BOUND_BATCH_RECORDS;
	w->filings.at = calloc(w->filings.room, sizeof(*w->filings.at));
	w->records = calloc(BOUND_BATCH_RECORDS, sizeof(struct kafka_record *));
	if (w->batch == NULL || w->decoder == NULL || w->arena == NULL || w->filings.at == NULL ||
		w->records == NULL || pthread_create(&w->thread, NULL, run, w) != 0) {
		worker_free(w);
		return err_set(e, RC_RETRY, "out of memory or threads");
	}
	*out = w;
	return RC_OK;
}

void worker_join(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_join(w->thread, NULL);
	worker_free(w);
}
