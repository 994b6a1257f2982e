/* One worker: a Kafka consumer and a database connection that belong together, and the loop that turns what arrives into committed batches.
 * The offset is a row in PostgreSQL: a partition is acquired there before it is fetched, and after anything doubtful (a lost connection, a lost
 * COMMIT answer, a fence) the batch is dropped and the partition acquired again, whose answer is the truth. Leaves out what a batch means:
 * batch.c judges, the ledger stores. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/batch.h"
#include "engine/engine.h"
#include "engine/health.h"

#define MAX_PARTS 1024
#define POLL_MS 100
#define ARENA_BYTES (96u << 20)

/* A partition that the group gave to us. */
struct owned {
	struct part part;
	bool live;        /* acquired in the ledger and being fetched */
	int64_t retry_us; /* monotonic: when to try to acquire it (again) */
	unsigned failures;
};

struct worker {
	struct engine_settings s;
	int index;
	pthread_t thread;
	char me[96], actor[112], client_id[96], dsn_name[64];
	struct health_slot *health;

	struct ledger *ledger; /* NULL while the database is away */
	struct kafka_consumer *consumer;
	struct kafka_batch *batch;
	struct decoder *decoder;
	struct judge *judge;
	struct scan *scan;
	struct control control;
	struct arena *arena;
	struct filings filings;
	struct owned owned[MAX_PARTS];
	size_t n_owned;
	unsigned db_failures;
	struct ingest_rules rules;
	struct kafka_source kafka;
};

static struct metric *records_metric, *batch_seconds, *retries_metric;

static void count_records(const struct ledger_batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct part *p = b->parts[b->filings[i].part].part;
		char number[12];
		snprintf(number, sizeof(number), "%d", p->part);
		metric_add(metric_at(records_metric, p->topic, number,
				   disposition_name(b->filings[i].disposition)),
			1);
	}
}

static void count_retry(const char *why)
{
	metric_add(metric_at(retries_metric, why, NULL, NULL), 1);
}

static struct owned *find_owned(struct worker *w, const char *topic, int32_t part)
{
	for (size_t i = 0; i < w->n_owned; i++)
		if (w->owned[i].part.part == part && strcmp(w->owned[i].part.topic, topic) == 0)
			return &w->owned[i];
	return NULL;
}

static int64_t mono(const struct worker *w)
{
	return w->s.clk->mono_us(w->s.clk);
}

static void database_away(struct worker *w, const char *cause)
{
	health_bad(w->health, cause);
	count_retry("database");
	ledger_close(w->ledger);
	w->ledger = NULL;
	for (size_t i = 0; i < w->n_owned; i++) {
		struct owned *o = &w->owned[i];
		struct err e = {0};
		if (o->live &&
			kafka_pause(w->consumer, o->part.topic, o->part.part, true, &e) != RC_OK)
			log_debug("engine", "partition=%d pause: %s", o->part.part, e.text);
		o->live = false;
	}
}

/* Takes the partition over in the ledger. RC_NONE: stopped for a person; it stays parked. */
static enum rc acquire(struct worker *w, struct owned *o, struct err *e)
{
	struct part p = {0};

	if (w->ledger == NULL)
		return err_set(e, RC_RETRY, "the database is away");
	enum rc rc = part_acquire(
		ledger_pg(w->ledger), w->kafka.source, o->part.topic, o->part.part, w->me, &p, e);
	if (rc != RC_OK)
		return rc;
	o->part = p;
	if (p.stopped[0] != '\0') {
		log_error("engine", "topic=%s partition=%d stopped cause=\"%s\"", p.topic, p.part,
			p.stopped);
		return RC_NONE;
	}
	log_info("engine", "worker=%d topic=%s partition=%d acquired epoch=%lld offset=%lld",
		w->index, p.topic, p.part, (long long)p.epoch, (long long)p.next_offset);
	return RC_OK;
}

static void park(struct worker *w, struct owned *o, bool for_good)
{
	o->live = false;
	o->retry_us = for_good ? INT64_MAX : mono(w) + backoff_ms(o->failures++, 100, 5000) * 1000;
}

static void on_rebalance(void *arg, enum kafka_event event, struct kafka_part *parts, size_t n)
{
	struct worker *w = arg;
	struct err e = {0};

	if (event == KAFKA_REVOKED) {
		for (size_t i = 0; i < w->n_owned; i++)
			if (w->owned[i].live && w->ledger != NULL &&
				part_release(ledger_pg(w->ledger), w->kafka.source,
					&w->owned[i].part, &e) != RC_OK)
				log_debug("engine", "partition=%d release: %s",
					w->owned[i].part.part, e.text);
		w->n_owned = 0;
		return;
	}
	w->n_owned = 0;
	for (size_t i = 0; i < n && w->n_owned < MAX_PARTS; i++) {
		struct owned *o = &w->owned[w->n_owned++];
		*o = (struct owned){.part.part = parts[i].partition};
		snprintf(o->part.topic, sizeof(o->part.topic), "%s", parts[i].topic);
		enum rc rc = acquire(w, o, &e);
		o->live = rc == RC_OK;
		parts[i].offset = rc == RC_OK ? o->part.next_offset : -1;
		if (rc != RC_OK)
			park(w, o, rc == RC_NONE);
	}
}

/* Acquires the partition anew and fetches from where the ledger says. */
static void acquire_again(struct worker *w, struct owned *o)
{
	struct err e = {0};
	enum rc rc = acquire(w, o, &e);

	if (rc == RC_OK)
		rc = kafka_resume_at(
			w->consumer, o->part.topic, o->part.part, o->part.next_offset, &e);
	if (rc == RC_OK)
		rc = kafka_pause(w->consumer, o->part.topic, o->part.part, false, &e);
	if (rc == RC_OK) {
		o->live = true;
		o->failures = 0;
		return;
	}
	park(w, o, rc == RC_NONE);
	if (rc == RC_RETRY && w->ledger != NULL && pg_broken(ledger_pg(w->ledger)))
		database_away(w, e.text);
}

static void acquire_parked(struct worker *w)
{
	for (size_t i = 0; i < w->n_owned && w->ledger != NULL; i++)
		if (!w->owned[i].live && mono(w) >= w->owned[i].retry_us)
			acquire_again(w, &w->owned[i]);
}

/* Brings the judge in line with the control row; RC_OK when it already was. */
static enum rc follow_control(struct worker *w, struct err *e)
{
	struct judge *j = NULL;
	struct scan *s = NULL;

	if (judge_is(w->judge, &w->control))
		return RC_OK;
	enum rc rc = judge_get(ledger_pg(w->ledger), &w->control, &j, e);
	if (rc == RC_OK)
		rc = scan_new(j->pack, &s, e);
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

static enum rc open_ledger(struct worker *w, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(w->s.conf, "database.dsn"), .name = w->dsn_name};
	enum rc rc = ledger_open(&o, &w->ledger, e);

	if (rc == RC_OK)
		rc = control_read(ledger_pg(w->ledger), &w->control, e);
	if (rc == RC_NONE)
		rc = err_set(e, RC_RETRY, "no policy is active yet");
	if (rc == RC_OK)
		rc = follow_control(w, e);
	if (rc != RC_OK) {
		ledger_close(w->ledger);
		w->ledger = NULL;
		return rc;
	}
	w->db_failures = 0;
	for (size_t i = 0; i < w->n_owned; i++)
		if (w->owned[i].retry_us != INT64_MAX)
			w->owned[i].retry_us = 0;
	health_ok(w->health);
	return RC_OK;
}

static struct ledger_settings settings_of(const struct worker *w)
{
	const struct policy *p = w->judge->policy;

	return (struct ledger_settings){
		.source = w->kafka.source,
		.actor = w->actor,
		.keys = w->s.keys,
		.rules_version = pack_version(w->judge->pack),
		.policy_version = p->version,
		.clock_s = {p->clock_s[CLASS_NUISANCE], p->clock_s[CLASS_SCAM]},
		.quarantine_keep_s = conf_int(w->s.conf, "quarantine.keep"),
	};
}

/* What one try at a batch taught. */
enum lesson {
	DONE,    /* committed */
	POISON,  /* a record in it is refused by the database: take fewer */
	AGAIN,   /* a passing conflict, or the judge changed: the same batch again */
	DROPPED, /* fenced or connection lost: partitions were marked to be acquired again */
	STOPPED, /* something nobody foresaw: the partitions are stopped with an alarm */
};

static void stop_partitions(struct worker *w, const struct ledger_batch *b, const char *cause)
{
	struct err e = {0};

	for (size_t i = 0; i < b->n_parts; i++) {
		struct part *p = b->parts[i].part;
		log_error("engine", "topic=%s partition=%d offset=%lld stopped cause=\"%s\"",
			p->topic, p->part, (long long)b->parts[i].from, cause);
		if (part_stop(ledger_pg(w->ledger), w->kafka.source, p->topic, p->part,
			    b->parts[i].from, b->parts[i].from, w->s.clk->now_us(w->s.clk), cause,
			    &e) != RC_OK)
			log_error("engine", "partition=%d could not be marked as stopped: %s",
				p->part, e.text);
		struct owned *o = find_owned(w, p->topic, p->part);
		if (o != NULL)
			park(w, o, true);
	}
}

static enum lesson learn(struct worker *w, const struct ledger_batch *b, enum rc rc, bool fenced,
	const struct err *e)
{
	if (pg_broken(ledger_pg(w->ledger))) {
		log_warn("engine",
			"worker=%d batch given up, the ledger will say what became of it: %s",
			w->index, e->text);
		database_away(w, e->text);
		return DROPPED;
	}
	ledger_abort(w->ledger);
	if (fenced) {
		log_warn("engine", "worker=%d fenced: another owner took the partition", w->index);
		count_retry("fenced");
		for (size_t i = 0; i < b->n_parts; i++) {
			struct owned *o =
				find_owned(w, b->parts[i].part->topic, b->parts[i].part->part);
			if (o != NULL)
				park(w, o, false);
		}
		return DROPPED;
	}
	if (rc == RC_CONFLICT) {
		count_retry("conflict");
		wait_ms(backoff_ms(0, 20, 100), w->s.stop);
		return AGAIN;
	}
	if (rc == RC_INVALID)
		return POISON;
	if (rc == RC_RETRY) {
		log_warn("engine", "worker=%d waiting for the database: %s", w->index, e->text);
		database_away(w, e->text);
		return DROPPED;
	}
	stop_partitions(w, b, e->text);
	return STOPPED;
}

/* One transaction. */
static enum lesson settle(struct worker *w, struct ledger_batch *b, struct err *e)
{
	int64_t now_us = w->s.clk->now_us(w->s.clk), begun = mono(w);
	struct ledger_settings ls = settings_of(w);
	struct touched *touched = NULL;
	struct control control;
	size_t n_touched = 0;
	bool fenced = false;

	enum rc rc = ledger_claim(
		w->ledger, &ls, b, now_us, w->arena, &control, &touched, &n_touched, &fenced, e);
	if (rc == RC_OK && !judge_is(w->judge, &control)) {
		ledger_abort(w->ledger);
		w->control = control;
		rc = follow_control(w, e);
		return rc == RC_OK ? AGAIN : learn(w, b, rc, false, e);
	}
	if (rc == RC_OK)
		rc = judge_touched(w->judge, &control, now_us, touched, n_touched, w->arena);
	if (rc ==
		RC_LIMIT) { /* too much for the memory of one batch: take fewer, as for a poison record */
		ledger_abort(w->ledger);
		return POISON;
	}
	if (rc == RC_OK)
		rc = ledger_settle(w->ledger, &ls, b, touched, n_touched, now_us, w->arena, e);
	if (rc != RC_OK)
		return learn(w, b, rc, fenced, e);
	metric_observe(metric_at(batch_seconds, NULL, NULL, NULL), (double)(mono(w) - begun) / 1e6);
	return DONE;
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

/* Decodes records [0, n) that are still wanted into one ledger batch. *taken: how many records it covers, fewer when the arena is full. RC_LIMIT:
 * not even one fits. */
static enum rc gather(struct worker *w, const struct kafka_record **records, size_t n,
	struct batch_part *parts, struct ledger_batch *b, size_t *taken)
{
	w->filings.n = 0;
	*b = (struct ledger_batch){.parts = parts};
	arena_reset(w->arena);
	for (*taken = 0; *taken < n; ++*taken) {
		const struct kafka_record *r = records[*taken];
		struct owned *o = find_owned(w, r->topic, r->partition);
		if (o == NULL || !o->live || r->offset < o->part.next_offset)
			continue; /* revoked meanwhile, or fetched before a re-assignment */
		struct batch_part *bp = b->n_parts > 0 ? &parts[b->n_parts - 1] : NULL;
		bool fresh = bp == NULL || bp->part != &o->part;
		if (filings_add(&w->filings, w->decoder, w->scan, w->judge, w->s.plan, r,
			    (int32_t)(fresh ? b->n_parts : b->n_parts - 1), w->arena) != RC_OK) {
			if (w->filings.n == 0)
				return RC_LIMIT;
			break;
		}
		if (fresh) {
			bp = &parts[b->n_parts++];
			*bp = (struct batch_part){.part = &o->part, .from = o->part.next_offset};
		}
		bp->next = r->offset + 1;
		bp->records++;
	}
	b->filings = w->filings.at;
	b->n = w->filings.n;
	return RC_OK;
}

/* A single record that the database refuses is kept in quarantine with its SQLSTATE. */
static void make_quarantined(struct filing *f, const struct err *e, struct arena *a)
{
	f->disposition = DISP_QUARANTINED;
	f->reason = "refused_by_database";
	f->detail = arena_fmt(
		a, "SQLSTATE %s: %.200s", e->state[0] != '\0' ? e->state : "none", e->text);
	if (f->detail == NULL)
		f->detail = "";
}

static bool crashed_here_before(const struct worker *w, const struct kafka_record *r)
{
	for (size_t i = 0; i < w->n_owned; i++)
		if (w->owned[i].part.part == r->partition &&
			strcmp(w->owned[i].part.topic, r->topic) == 0)
			return w->owned[i].part.attempts >= 2;
	return false;
}

static void committed(struct worker *w, const struct ledger_batch *b)
{
	for (size_t i = 0; i < b->n_parts; i++) {
		struct part *p = b->parts[i].part;
		p->next_offset = b->parts[i].next;
		p->attempts = 0;
		kafka_courtesy_commit(w->consumer, p->topic, p->part, p->next_offset);
	}
	count_records(b);
}

/* Works through what was fetched: whole, then in halves around a record that the database refuses, down to the record. */
static void work_off(struct worker *w, const struct kafka_record **records, size_t n)
{
	static const size_t never_again =
		64; /* passing conflicts in a row before the batch is given back */
	struct batch_part parts[MAX_PARTS];
	size_t size = crashed_here_before(w, records[0]) ? 1 : n, conflicts = 0;
	bool quarantine_next = false;
	struct err cause = {0};

	for (size_t at = 0; at < n && !*w->s.stop;) {
		size_t want = size < n - at ? size : n - at, taken;
		struct ledger_batch b;
		struct err e = {0};

		if (gather(w, records + at, want, parts, &b, &taken) != RC_OK) {
			database_away(w, "one record does not fit into the memory of a batch");
			return;
		}
		if (b.n == 0) { /* none of them is wanted any more */
			at += taken;
			continue;
		}
		bool last_resort = quarantine_next && b.n == 1;
		if (last_resort)
			make_quarantined(&b.filings[0], &cause, w->arena);
		quarantine_next = false;
		switch (settle(w, &b, &e)) {
		case DONE:
			committed(w, &b);
			at += taken;
			conflicts = 0;
			size = size < n ? size * 2 : n;
			break;
		case POISON:
			if (last_resort) {
				stop_partitions(w, &b, e.text);
				return;
			}
			if (b.n == 1) {
				quarantine_next = true;
				cause = e;
			}
			size = taken > 1 ? taken / 2 : 1;
			break;
		case AGAIN:
			if (++conflicts > never_again) {
				database_away(w, e.text);
				return;
			}
			break;
		case DROPPED:
		case STOPPED:
			return;
		}
	}
}

static void out_of_range(struct worker *w, const struct kafka_part *bad)
{
	struct owned *o = find_owned(w, bad->topic, bad->partition);
	int64_t low = -1, high = -1;
	struct err e = {0};
	char cause[120];

	if (o == NULL || w->ledger == NULL)
		return;
	if (kafka_watermarks(w->consumer, bad->topic, bad->partition, &low, &high, &e) != RC_OK)
		log_warn("engine", "partition=%d watermarks: %s", bad->partition, e.text);
	snprintf(cause, sizeof(cause), "offset %lld is out of range: the topic holds %lld to %lld",
		(long long)o->part.next_offset, (long long)low, (long long)high);
	log_error("engine", "topic=%s partition=%d stopped cause=\"%s\"", bad->topic,
		bad->partition, cause);
	if (part_stop(ledger_pg(w->ledger), w->kafka.source, bad->topic, bad->partition,
		    o->part.next_offset, low, w->s.clk->now_us(w->s.clk), cause, &e) != RC_OK)
		log_error("engine", "partition=%d could not be marked as stopped: %s",
			bad->partition, e.text);
	park(w, o, true);
}

static void fetch_and_work(struct worker *w)
{
	static const size_t max_bytes = BOUND_BATCH_BYTES;
	size_t max = (size_t)conf_int(w->s.conf, "batch.records");
	struct kafka_part bad = {0};
	struct err e = {0};

	kafka_batch_reset(w->batch);
	enum rc rc = kafka_poll(w->consumer, POLL_MS, (int)conf_int(w->s.conf, "batch.linger_ms"),
		max, max_bytes, w->batch, &bad, &e);
	if (rc == RC_CONFLICT)
		out_of_range(w, &bad);
	else if (rc == RC_RETRY)
		health_bad(w->health, e.text);
	else if (w->ledger != NULL)
		health_ok(w->health);
	size_t n = kafka_batch_count(w->batch);
	if (n == 0 || w->ledger == NULL)
		return; /* without a ledger what was fetched is forgotten: it is fetched again when the partition is acquired */
	const struct kafka_record **records = calloc(n, sizeof(*records));
	if (records == NULL) {
		database_away(w, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++)
		records[i] = kafka_batch_at(w->batch, i);
	qsort(records, n, sizeof(*records), by_partition);
	work_off(w, records, n);
	free(records);
}

static enum rc open_consumer(struct worker *w, const char *topic, struct err *e)
{
	enum rc rc = kafka_source_of(w->s.conf, &w->kafka, e);

	if (rc != RC_OK)
		return rc;
	w->kafka.settings.client_id = w->client_id;
	return kafka_consumer_open(&w->kafka.settings, &topic, 1, on_rebalance, w, &w->consumer, e);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	const char *topic = conf_text(w->s.conf, "kafka.topics.complaints");
	struct err e = {0};

	while (!*w->s.stop) {
		if (w->ledger == NULL && open_ledger(w, &e) != RC_OK) {
			health_bad(w->health, e.text);
			if (w->consumer == NULL)
				wait_ms(backoff_ms(w->db_failures++, 100, 2000), w->s.stop);
			else
				fetch_and_work(w); /* stay in the group */
			continue;
		}
		if (w->consumer == NULL) {
			if (open_consumer(w, topic, &e) != RC_OK) {
				health_bad(w->health, e.text);
				wait_ms(backoff_ms(w->db_failures++, 100, 5000), w->s.stop);
				continue;
			}
		}
		acquire_parked(w);
		fetch_and_work(w);
	}
	for (size_t i = 0; i < w->n_owned && w->ledger != NULL; i++)
		if (w->owned[i].live &&
			part_release(ledger_pg(w->ledger), w->kafka.source, &w->owned[i].part,
				&e) != RC_OK)
			log_debug("engine", "release: %s", e.text);
	w->n_owned = 0;
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
	free(w);
}

enum rc worker_start(const struct engine_settings *s, int index, struct worker **out, struct err *e)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	records_metric = metric_family(METRIC_COUNTER, "khien_records_total",
		"topic,partition,disposition", "Records committed, by what became of them.");
	batch_seconds = metric_family(
		METRIC_HISTOGRAM, "khien_batch_seconds", "", "Time of one batch transaction.");
	retries_metric = metric_family(METRIC_COUNTER, "khien_batch_retries_total", "cause",
		"Batches that were tried again or given back.");
	w->s = *s;
	w->index = index;
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
	if (w->batch == NULL || w->decoder == NULL || w->arena == NULL || w->filings.at == NULL ||
		pthread_create(&w->thread, NULL, run, w) != 0) {
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
