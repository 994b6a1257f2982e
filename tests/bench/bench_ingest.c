/* What one core takes from Kafka: the same topic read raw, and read, decoded, numbered and checked; microseconds a record by stage, of processor
 * time. Records are bench_decode's. Leaves out the ledger (bench spine does it all).
 *
 *	bench_ingest BROKERS [RECORDS] [TOPIC] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/records.h"

static void all_from_the_beginning(
	void *arg, enum kafka_event event, struct kafka_part *parts, size_t n)
{
	(void)arg;
	for (size_t i = 0; event == KAFKA_ASSIGNED && i < n; i++)
		parts[i].offset = 0;
}

static double cpu_s(clockid_t which)
{
	struct timespec t;

	(void)clock_gettime(which, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum rc fill(const struct kafka_settings *s, const char *topic, size_t n, struct err *e)
{
	OWN(kafka_producer_close) struct kafka_producer *p = NULL;
	OWN(arena_free) struct arena *a = arena_new((size_t)64 << 20);
	static struct slice values[BENCH_VARIANTS];
	enum rc rc = kafka_topic_ensure(s, topic, 1, NULL, e);

	if (rc == RC_OK)
		rc = kafka_producer_open(s, &p, e);
	for (unsigned i = 0; i < BENCH_VARIANTS; i++)
		values[i] = bench_record(a, i);
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		rc = kafka_send(p, topic, 0, SLICE(""), values[i % BENCH_VARIANTS], NULL, e);
		while (rc == RC_LIMIT) {
			rc = kafka_producer_flush(p, 10000, e);
			if (rc == RC_OK)
				rc = kafka_send(p, topic, 0, SLICE(""), values[i % BENCH_VARIANTS],
					NULL, e);
		}
	}
	return rc == RC_OK ? kafka_producer_flush(p, 60000, e) : rc;
}

/* Reads n records; decoder NULL: only looks at their length. */
static enum rc read_all(const struct kafka_settings *base, const char *topic, size_t n,
	struct decoder *decoder, double *raw_per_s, struct err *e)
{
	OWN(kafka_consumer_close) struct kafka_consumer *c = NULL;
	OWN(kafka_batch_free) struct kafka_batch *b = kafka_batch_new();
	OWN(arena_free) struct arena *a = arena_new((size_t)64 << 20);
	struct kafka_settings s = *base;
	char group[64];
	size_t done = 0, bytes = 0, good = 0;
	double first_s = 0, thread_s = 0, process_s = 0, decode_s = 0;

	(void)snprintf(group, sizeof(group), "bench-%d-%d", (int)getpid(), decoder != NULL);
	s.group = group;
	enum rc rc = kafka_consumer_open(&s, &topic, 1, all_from_the_beginning, NULL, &c, e);
	while (rc == RC_OK && done < n) {
		struct kafka_part bad;
		rc = kafka_poll(c, 1000, 0, 4000, (size_t)8 << 20, b, &bad, e);
		if (rc == RC_NONE) {
			rc = RC_OK;
			continue;
		}
		if (first_s == 0) { /* the join is no part of it */
			first_s = cpu_s(CLOCK_MONOTONIC);
			thread_s = cpu_s(CLOCK_THREAD_CPUTIME_ID);
			process_s = cpu_s(CLOCK_PROCESS_CPUTIME_ID);
		}
		double begun_s = cpu_s(CLOCK_THREAD_CPUTIME_ID);
		arena_reset(a);
		for (size_t i = 0; rc == RC_OK && i < kafka_batch_count(b); i++, done++) {
			const struct kafka_record *r = kafka_batch_at(b, i);
			struct report report;

			bytes += r->value.len;
			if (decoder == NULL)
				continue;
			rc = decode(decoder, FEED_COMPLAINTS, r, a, &report);
			good += report.disposition == DISP_ACCEPTED;
		}
		decode_s += cpu_s(CLOCK_THREAD_CPUTIME_ID) - begun_s;
	}
	if (rc != RC_OK)
		return rc;
	double wall = cpu_s(CLOCK_MONOTONIC) - first_s, records = (double)done;
	double thread = cpu_s(CLOCK_THREAD_CPUTIME_ID) - thread_s,
	       process = cpu_s(CLOCK_PROCESS_CPUTIME_ID) - process_s;
	printf("%s: %.0f records/s (%.0f MB/s); processor time a record: fetch (librdkafka's "
	       "threads) %.2f us, poll %.2f us",
		decoder != NULL ? "decoded, numbered, checked" : "raw", records / wall,
		(double)bytes / 1e6 / wall, (process - thread) * 1e6 / records,
		(thread - decode_s) * 1e6 / records);
	if (decoder != NULL)
		printf(", decode %.2f us; one core for poll and decode: %.0f records/s, for all: "
		       "%.0f; "
		       "ratio to raw %.2f, %.1f %% accepted",
			decode_s * 1e6 / records, records / thread, records / process,
			records / wall / *raw_per_s, 100 * (double)good / records);
	printf("\n");
	*raw_per_s = records / wall;
	return RC_OK;
}

int main(int argc, char **argv)
{
	OWN(plan_free) struct plan *plan = NULL;
	OWN(keys_free) struct keys *keys = NULL;
	OWN(decoder_free) struct decoder *decoder = NULL;
	char made[64];
	const char *topic = argc > 3 ? argv[3] : made;
	size_t n = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 200000;
	struct kafka_settings s = {.brokers = argc > 1 ? argv[1] : "", .client_id = "bench"};
	struct ingest_rules rules;
	struct err e = {0};
	double rate = 0;

	(void)snprintf(made, sizeof(made), "bench-%d", (int)getpid());
	bench_world(&plan, &keys);
	rules = (struct ingest_rules){plan, keys, 168 * 3600};
	decoder = decoder_new(&rules);
	enum rc rc = fill(&s, topic, n, &e);
	if (rc == RC_OK)
		rc = read_all(&s, topic, n, NULL, &rate, &e);
	if (rc == RC_OK)
		rc = read_all(&s, topic, n, decoder, &rate, &e);
	if (rc != RC_OK)
		fprintf(stderr, "bench_ingest: %s\n", e.text);
	return rc == RC_OK ? 0 : 1;
}
