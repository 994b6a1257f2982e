/* The partitions of a worker: taken over in the ledger before anything of them is fetched, given back when the group takes them away, parked
 * while the ledger cannot say where to go on. Leaves out what is done with their records. */
#include <stdio.h>

#include "engine/worker.h"

/* part.attempts counts crashes at one offset; each thousand of it says that a process died with that one record alone in its hands. */
#define ALONE 1000

struct owned *find_owned(struct worker *w, const char *topic, int32_t part)
{
	for (size_t i = 0; i < w->n_owned; i++)
		if (w->owned[i].part.part == part && strcmp(w->owned[i].part.topic, topic) == 0)
			return &w->owned[i];
	return NULL;
}

/* A partition that has never moved begins where the topic does: its oldest records may be gone. */
static enum rc begin(struct worker *w, struct owned *o, int64_t low, struct err *e)
{
	struct part p = o->part;
	enum rc rc = part_begin(ledger_pg(w->ledger), w->kafka.source, &p, low, e);

	if (rc != RC_OK)
		return rc;
	o->part = p;
	log_warn("engine", "topic=%s partition=%d begins at offset=%lld, the oldest that is kept",
		p.topic, p.part, (long long)low);
	return kafka_resume_at(w->consumer, p.topic, p.part, low, e);
}

/* Takes the partition over in the ledger. RC_NONE: stopped for a person. */
static enum rc acquire(struct worker *w, struct owned *o, bool again, struct err *e)
{
	struct part p = {0};

	if (w->ledger == NULL)
		return err_set(e, RC_RETRY, "the database is away");
	enum rc rc = part_acquire(
		ledger_pg(w->ledger), w->kafka.source, o->part.topic, o->part.part, w->me, &p, e);
	if (rc != RC_OK)
		return rc;
	/* What we noted ourselves is no crash, for we are still here. */
	if (!again || p.next_offset != o->part.next_offset)
		o->crashed_alone = p.attempts / ALONE;
	o->part = p;
	count_doubtful(o);
	if (p.stopped[0] != '\0') {
		if (!o->told)
			log_error("engine", "topic=%s partition=%d stopped cause=\"%s\"", p.topic,
				p.part, p.stopped);
		o->told = true;
		return err_set(e, RC_NONE, "stopped: %s", p.stopped);
	}
	o->told = false;
	log_info("engine", "worker=%d topic=%s partition=%d acquired epoch=%lld offset=%lld",
		w->index, p.topic, p.part, (long long)p.epoch, (long long)p.next_offset);
	return RC_OK;
}

static void retry_in(struct worker *w, struct owned *o, int64_t ms)
{
	o->live = false;
	o->retry_us = worker_mono(w) + (ms / 2 + backoff_ms(o->failures, ms, RETRY_MS)) * 1000;
	if (o->failures < 16)
		o->failures++;
}

void park(struct worker *w, struct owned *o, int64_t ms)
{
	struct err e = {0};

	if (o->live && kafka_pause(w->consumer, o->part.topic, o->part.part, true, &e) != RC_OK)
		log_debug("engine", "partition=%d pause: %s", o->part.part, e.text);
	retry_in(w, o, ms);
}

static struct metric_cell *lag_of(const struct part *p)
{
	struct metric *lag = metric_family(METRIC_GAUGE, "khien_lag_records", "topic,partition",
		"Records that wait in Kafka behind the ledger's offset, as of the last fetch.");
	char number[12];

	snprintf(number, sizeof(number), "%d", p->part);
	return metric_at(lag, p->topic, number, NULL);
}

static void forget_all(struct worker *w)
{
	for (size_t i = 0; i < w->n_owned; i++)
		metric_set(lag_of(&w->owned[i].part), 0); /* its next owner tells it */
	w->n_owned = 0;
}

void release_all(struct worker *w)
{
	struct err e = {0};

	for (size_t i = 0; i < w->n_owned && w->ledger != NULL; i++)
		if (w->owned[i].live && !pg_broken(ledger_pg(w->ledger)) &&
			part_release(ledger_pg(w->ledger), w->kafka.source, &w->owned[i].part,
				&e) != RC_OK)
			log_debug("engine", "partition=%d release: %s", w->owned[i].part.part,
				e.text);
	forget_all(w);
}

void on_rebalance(void *arg, enum kafka_event event, struct kafka_part *parts, size_t n)
{
	struct worker *w = arg;
	struct err e = {0};
	bool failed = false;

	if (event == KAFKA_REVOKED) {
		release_all(w);
		return;
	}
	forget_all(w);
	w->assigned = true;
	if (n == 0)
		log_info("engine",
			"worker=%d was given no partitions: there are more workers than "
			"partitions, or no such topic",
			w->index);
	if (n > MAX_PARTS)
		log_error("engine", "worker=%d was given %zu partitions and takes %d: add workers",
			w->index, n, MAX_PARTS);
	for (size_t i = 0; i < n; i++) {
		parts[i].offset = -1;
		if (i >= MAX_PARTS)
			continue;
		struct owned *o = &w->owned[w->n_owned++];
		*o = (struct owned){
			.part.part = parts[i].partition, .of = feed_of(w, parts[i].topic)};
		snprintf(o->part.topic, sizeof(o->part.topic), "%s", parts[i].topic);
		/* After one failure the others wait, too: this callback must not take minutes. */
		enum rc rc = failed ? RC_RETRY : acquire(w, o, false, &e);
		failed = failed || (rc != RC_OK && rc != RC_NONE);
		o->live = rc == RC_OK;
		if (rc == RC_OK)
			parts[i].offset = o->part.next_offset;
		else
			retry_in(w, o, rc == RC_NONE ? RETRY_MS : 100);
		if (rc != RC_OK && rc != RC_NONE)
			snprintf(w->trouble, sizeof(w->trouble), "%.200s", e.text);
	}
}

/* Acquires the partition anew and fetches from where the ledger says. False: the ledger could not answer. */
static bool acquire_again(struct worker *w, struct owned *o)
{
	struct err e = {0};
	enum rc rc = acquire(w, o, true, &e);

	if (rc == RC_OK) {
		rc = kafka_resume_at(
			w->consumer, o->part.topic, o->part.part, o->part.next_offset, &e);
		if (rc == RC_OK) {
			o->live = true;
			o->failures = 0;
			w->trouble[0] = '\0';
			return true;
		}
	}
	retry_in(w, o, rc == RC_NONE ? RETRY_MS : 100);
	if (rc == RC_NONE)
		return true;
	if (pg_broken(ledger_pg(w->ledger))) {
		database_away(w, e.text);
		return false;
	}
	snprintf(w->trouble, sizeof(w->trouble), "%.200s", e.text);
	return false;
}

/* Stops at the first failure, so that Kafka is polled between two waits for a lock. */
void acquire_parked(struct worker *w)
{
	int64_t now = worker_mono(w);

	for (size_t i = 0; i < w->n_owned && w->ledger != NULL; i++)
		if (!w->owned[i].live && now >= w->owned[i].retry_us &&
			!acquire_again(w, &w->owned[i]))
			return;
}

void stop_partition(struct worker *w, struct owned *o, int64_t to, const char *cause)
{
	struct part *p = &o->part;
	struct err e = {0};

	log_error("engine", "topic=%s partition=%d offset=%lld stopped cause=\"%s\"", p->topic,
		p->part, (long long)p->next_offset, cause);
	count_retry("stopped");
	o->told = true;
	/* When that fails it is acquired again, and stops again at the same place; a new owner finds out by himself. */
	if (part_stop(ledger_pg(w->ledger), w->kafka.source, p, to, w->s.clk->now_us(w->s.clk),
		    w->actor, cause, &e) != RC_OK)
		log_error("engine", "partition=%d could not be marked as stopped: %s", p->part,
			e.text);
	park(w, o, RETRY_MS);
}

void out_of_range(struct worker *w, const struct kafka_part *bad, const char *why)
{
	struct owned *o = find_owned(w, bad->topic, bad->partition);
	int64_t low = -1, high = -1;
	struct err e = {0};
	char cause[400];

	if (o == NULL || !o->live)
		return;
	if (w->ledger == NULL ||
		kafka_watermarks(w->consumer, bad->topic, bad->partition, &low, &high, &e) !=
			RC_OK) {
		health_bad(w->health, why);
		park(w, o, 1000); /* then it is fetched again, and refused again */
		return;
	}
	if (o->part.next_offset == 0 && low > 0) {
		enum rc rc = begin(w, o, low, &e);
		if (rc == RC_OK)
			return;
		if (rc != RC_CONFLICT) {
			park(w, o, 100);
			return;
		}
	}
	snprintf(cause, sizeof(cause), "offset %lld cannot be had, the topic holds %lld to %lld",
		(long long)o->part.next_offset, (long long)low, (long long)high);
	log_warn("engine", "topic=%s partition=%d cause=\"%s\"", bad->topic, bad->partition, why);
	stop_partition(w, o, low, cause);
}

enum rc note_alone(struct worker *w, struct owned *o, struct err *e)
{
	static const char sql[] =
		"UPDATE part SET attempts = $5 WHERE source = $1 AND topic = $2 AND part = $3"
		" AND epoch = $4";
	OWN(arena_free) struct arena *a = arena_new(4096);
	int attempts = (o->crashed_alone + 1) * ALONE + o->part.attempts % ALONE;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_str(w->kafka.source), pg_p_str(o->part.topic),
		pg_p_int(o->part.part, a), pg_p_int(o->part.epoch, a), pg_p_int(attempts, a)};
	return pg_run(ledger_pg(w->ledger), sql, p, ARRAY_LEN(p), NULL, e);
}

void measure_lag(struct worker *w)
{
	for (size_t i = 0; i < w->n_owned; i++) {
		const struct part *p = &w->owned[i].part;
		int64_t high;

		if (kafka_high(w->consumer, p->topic, p->part, &high) == RC_OK)
			metric_set(lag_of(p),
				high > p->next_offset ? (double)(high - p->next_offset) : 0);
	}
}
