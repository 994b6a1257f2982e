/* wire/kafka against a real broker: what is sent arrives as it was, fetching starts exactly where the
 * owner says, partitions change hands without loss or repeat, and an offset out of range stops one
 * partition alone. Needs KHIEN_TEST_KAFKA, host:port; says "skipped" (exit 77) without it. Makes
 * topics of its own names. */
#include "wire/wire.h"

#include "tests/unit/check.h"

#define PARTS 4

static const char *brokers;
static char run_id[24]; /* keeps the runs apart */

static int64_t now_ms(void)
{
	return clk_system.mono_us(&clk_system) / 1000;
}

static struct kafka_settings settings(const char *group)
{
	/* Short times, so that members that leave are missed soon. */
	static const char *const extra[] = {
		"session.timeout.ms=6000", "topic.metadata.refresh.interval.ms=500", NULL};

	return (struct kafka_settings){
		.brokers = brokers, .client_id = "wire-test", .group = group, .extra = extra};
}

static const char *make_topic(const char *what, char out[64])
{
	struct kafka_settings s = {.brokers = brokers, .client_id = "wire-test"};
	static const char *const config[] = {"retention.ms=3600000", NULL};
	struct err e = {0};

	(void)snprintf(out, 64, "wire-%s-%s", what, run_id);
	if (!CHECK_RC(kafka_topic_ensure(&s, out, PARTS, config, &e), RC_OK, &e))
		exit(1);
	return out;
}

/* Puts n numbered records into each partition, "PARTITION:NUMBER", from number `from`. */
static void fill(const char *topic, int from, int n)
{
	struct kafka_settings s = {.brokers = brokers, .client_id = "wire-test"};
	OWN(kafka_producer_close) struct kafka_producer *p = NULL;
	struct err e = {0};

	CHECK_RC(kafka_producer_open(&s, &p, &e), RC_OK, &e);
	for (int i = from; i < from + n; i++)
		for (int part = 0; part < PARTS; part++) {
			char value[32];

			(void)snprintf(value, sizeof(value), "%d:%d", part, i);
			CHECK_RC(kafka_send(p, topic, part, slice_str(NULL), slice_str(value), NULL,
					 &e),
				RC_OK, &e);
		}
	CHECK_RC(kafka_producer_flush(p, 20000, &e), RC_OK, &e);
	CHECK_INT(kafka_delivered(p), n * PARTS);
}

/* The owner of a consumer, with the offsets a database would hold. */
struct owner {
	struct kafka_consumer *c;
	struct kafka_batch *b;
	int64_t *next; /* PARTS of them, may be shared */
	bool mine[PARTS];
	int assigned, revoked;
	int64_t seen;
	int linger_ms;
};

static void on_event(void *arg, enum kafka_event event, struct kafka_part *parts, size_t n)
{
	struct owner *o = arg;

	for (size_t i = 0; i < n; i++) {
		o->mine[parts[i].partition] = event == KAFKA_ASSIGNED;
		if (event == KAFKA_ASSIGNED)
			parts[i].offset = o->next[parts[i].partition];
	}
	if (event == KAFKA_ASSIGNED)
		o->assigned++;
	else
		o->revoked++;
}

static int mine(const struct owner *o)
{
	int n = 0;

	for (int i = 0; i < PARTS; i++)
		n += o->mine[i];
	return n;
}

static void owner_open(struct owner *o, const char *topic, const char *group)
{
	struct kafka_settings s = settings(group);
	struct err e = {0};

	o->b = kafka_batch_new();
	if (!CHECK_RC(kafka_consumer_open(&s, &topic, 1, on_event, o, &o->c, &e), RC_OK, &e))
		exit(1);
}

static void owner_close(struct owner *o)
{
	kafka_consumer_close(o->c);
	kafka_batch_free(o->b);
}

/* One poll; every record must be the next one of its partition. */
static enum rc step(struct owner *o, size_t max, struct kafka_part *bad)
{
	struct err e = {0};
	enum rc rc = kafka_poll(o->c, 100, o->linger_ms, max, 1 << 20, o->b, bad, &e);

	if (rc == RC_RETRY || rc == RC_FATAL)
		CHECK_RC(rc, RC_OK, &e);
	CHECK(kafka_batch_count(o->b) <= max);
	for (size_t i = 0; i < kafka_batch_count(o->b); i++) {
		const struct kafka_record *r = kafka_batch_at(o->b, i);
		char want[32];

		(void)snprintf(want, sizeof(want), "%d:%d", r->partition, (int)r->offset);
		CHECK_INT(r->offset, o->next[r->partition]);
		CHECK_SLICE(r->value, want);
		CHECK(o->mine[r->partition]);
		o->next[r->partition] = r->offset + 1;
		o->seen++;
	}
	return rc;
}

/* Polls until `o->seen` is reached or 20 s are over. */
static void drain(struct owner *o, int64_t seen)
{
	struct kafka_part bad;
	int64_t end = now_ms() + 20000;

	while (o->seen < seen && now_ms() < end)
		(void)!step(o, 1000, &bad);
	CHECK_INT(o->seen, seen);
}

static void test_topic_ensure(void)
{
	struct kafka_settings s = {.brokers = brokers};
	static const char *const wrong[] = {"retention.ms=abc", NULL};
	static const char *const no_value[] = {"retention.ms", NULL};
	struct err e = {0};
	char topic[64];

	make_topic("ensure", topic);
	CHECK_RC(kafka_topic_ensure(&s, topic, 1, NULL, &e), RC_OK, &e);
	CHECK_RC(kafka_topic_ensure(&s, "wire bad name", 1, NULL, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "wire bad name");
	CHECK_RC(kafka_topic_ensure(&s, "wire-wrong", 1, wrong, &e), RC_INVALID, &e);
	CHECK_RC(kafka_topic_ensure(&s, "wire-wrong", 1, no_value, &e), RC_INVALID, &e);
}

static void test_settings_refused(void)
{
	static const struct {
		const char *extra, *cause;
	} cases[] = {
		{"enable.auto.commit=true", "enable.auto.commit is fixed to false"},
		{"auto.offset.reset=earliest", "fixed"},
		{"no.such.property=1", "no.such.property"},
		{"session.timeout.ms=soon", "session.timeout.ms"},
		{"nothing", "not property=value"},
		{"=x", "not property=value"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const extra[] = {cases[i].extra, NULL}, *topic = "t";
		struct kafka_settings s = {.brokers = brokers, .group = "g", .extra = extra};
		struct kafka_consumer *c = NULL;
		struct err e = {0};

		CHECK_CASE("%s", cases[i].extra);
		CHECK_RC(
			kafka_consumer_open(&s, &topic, 1, on_event, NULL, &c, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, cases[i].cause);
		CHECK(c == NULL);
	}
}

static void test_values(void)
{
	static const char *const headers[] = {"schema", "complaint/1", "from", "test", NULL};
	struct kafka_settings s = {.brokers = brokers};
	OWN(kafka_producer_close) struct kafka_producer *p = NULL;
	int64_t next[PARTS] = {0};
	struct owner o = {.next = next};
	struct err e = {0};
	struct kafka_part bad;
	char topic[64];
	int64_t end = now_ms() + 20000, now_us = clk_system.now_us(&clk_system);

	make_topic("values", topic);
	CHECK_RC(kafka_producer_open(&s, &p, &e), RC_OK, &e);
	CHECK_RC(kafka_send(p, topic, 2, SLICE("k\0y"), SLICE("v\0\377"), headers, &e), RC_OK, &e);
	CHECK_RC(kafka_send(p, topic, 2, SLICE("k"), slice_str(NULL), NULL, &e), RC_OK, &e);
	CHECK_RC(kafka_send(p, topic, 2, slice_str(NULL), SLICE(""), NULL, &e), RC_OK, &e);
	CHECK_RC(kafka_producer_flush(p, 10000, &e), RC_OK, &e);
	owner_open(&o, topic, topic);
	while (kafka_batch_count(o.b) == 0 && now_ms() < end)
		(void)!kafka_poll(o.c, 500, 200, 3, 1 << 20, o.b, &bad, &e);
	if (CHECK_INT(kafka_batch_count(o.b), 3)) {
		const struct kafka_record *r = kafka_batch_at(o.b, 0);

		CHECK_STR(r->topic, topic);
		CHECK_INT(r->partition, 2);
		CHECK_INT(r->offset, 0);
		CHECK(slice_eq(r->key, SLICE("k\0y")) && slice_eq(r->value, SLICE("v\0\377")));
		CHECK_NEAR((double)(r->timestamp_us - now_us), 0, 60e6);
		r = kafka_batch_at(o.b, 1);
		CHECK(slice_eq(r->key, SLICE("k")) && r->value.ptr == NULL);
		r = kafka_batch_at(o.b, 2);
		CHECK(r->key.ptr == NULL && r->value.ptr != NULL && r->value.len == 0);
	}
	/* A batch may outlive its consumer: it is empty then. */
	kafka_consumer_close(o.c);
	CHECK_INT(kafka_batch_count(o.b), 0);
	kafka_batch_free(o.b);
}

/* Fetching starts where the callback says, also from the middle, and can be moved. */
static void test_offsets(void)
{
	/* partition 3 is left out at first */
	int64_t next[PARTS] = {0, 50, 99, -1};
	struct owner o = {.next = next};
	struct err e = {0};
	struct kafka_part bad;
	char topic[64];

	make_topic("offsets", topic);
	fill(topic, 0, 100);
	owner_open(&o, topic, topic);
	drain(&o, 100 + 50 + 1);
	CHECK_INT(next[3], -1);
	CHECK_RC(kafka_pause(o.c, topic, 3, false, &e), RC_INVALID, &e);

	next[3] = 90;
	CHECK_RC(kafka_resume_at(o.c, topic, 3, 90, &e), RC_OK, &e);
	drain(&o, 151 + 10);

	/* Back in the middle of a stream, with the other partitions' records prefetched. */
	fill(topic, 100, 300);
	while (o.seen < 161 + 20)
		(void)!step(&o, 10, &bad);
	int64_t back = next[0] - 40;
	next[0] = 60;
	CHECK_RC(kafka_resume_at(o.c, topic, 0, 60, &e), RC_OK, &e);
	drain(&o, 161 + 300 * 4 + (back + 40 - 60));

	/* Paused: nothing of it, all of the others; then all of it. */
	CHECK_RC(kafka_pause(o.c, topic, 1, true, &e), RC_OK, &e);
	CHECK_RC(kafka_pause(o.c, topic, 1, true, &e), RC_OK, &e);
	int64_t seen = o.seen, stopped = next[1];
	fill(topic, 400, 50);
	drain(&o, seen + 150);
	for (int i = 0; i < 5; i++)
		CHECK_RC(step(&o, 100, &bad), RC_NONE, NULL);
	CHECK_INT(next[1], stopped);
	CHECK_RC(kafka_pause(o.c, topic, 1, false, &e), RC_OK, &e);
	drain(&o, seen + 200);

	CHECK_RC(kafka_pause(o.c, topic, 77, true, &e), RC_CONFLICT, &e);
	CHECK_RC(kafka_resume_at(o.c, "nosuch", 1, 5, &e), RC_CONFLICT, &e);
	owner_close(&o);
	CHECK_INT(o.revoked, o.assigned);
}

static void test_out_of_range(void)
{
	int64_t next[PARTS] = {0, 1000000, 0, 0};
	struct owner o = {.next = next};
	struct kafka_part bad = {0};
	struct err e = {0};
	char topic[64];
	int64_t end = now_ms() + 20000, low = -1, high = -1;
	int told = 0;

	make_topic("range", topic);
	fill(topic, 0, 200);
	owner_open(&o, topic, topic);
	while ((o.seen < 600 || told == 0) && now_ms() < end)
		if (step(&o, 50, &bad) == RC_CONFLICT) {
			told++;
			CHECK_STR(bad.topic, topic);
			CHECK_INT(bad.partition, 1);
			CHECK_INT(bad.offset, 1000000);
		}
	CHECK_INT(o.seen, 600);
	for (int i = 0; i < 10; i++)
		told += step(&o, 50, &bad) == RC_CONFLICT;
	CHECK_INT(told, 1);
	CHECK_RC(kafka_watermarks(o.c, topic, 1, &low, &high, &e), RC_OK, &e);
	CHECK_INT(low, 0);
	CHECK_INT(high, 200);
	next[1] = 150;
	CHECK_RC(kafka_resume_at(o.c, topic, 1, 150, &e), RC_OK, &e);
	drain(&o, 650);
	owner_close(&o);
}

/* Two members come and go over shared offsets, as over a database: each record is seen once. */
static void test_rebalance(void)
{
	int64_t next[PARTS] = {0};
	struct owner a = {.next = next}, b = {.next = next};
	struct kafka_part bad;
	char topic[64];
	int64_t end;
	int extra = 0;

	make_topic("rebalance", topic);
	fill(topic, 0, 2000);
	owner_open(&a, topic, topic);
	while (a.seen < 100)
		(void)!step(&a, 20, &bad);
	CHECK_INT(mine(&a), PARTS);

	/* The second one comes while the first one has records prefetched. */
	owner_open(&b, topic, topic);
	for (end = now_ms() + 30000; now_ms() < end && (mine(&a) != 2 || mine(&b) != 2);) {
		(void)!step(&a, 20, &bad);
		(void)!step(&b, 20, &bad);
	}
	CHECK_INT(mine(&a), 2);
	CHECK_INT(mine(&b), 2);
	for (int i = 0; i < 50; i++) {
		(void)!step(&a, 20, &bad);
		(void)!step(&b, 20, &bad);
	}
	CHECK(b.seen > 0);

	/* Another one comes while a batch is gathered: what it holds of partitions that go is gone. */
	struct owner third = {.next = next};
	int assigned = a.assigned;

	owner_open(&third, topic, topic);
	a.linger_ms = 2000;
	for (end = now_ms() + 30000; now_ms() < end && a.assigned == assigned;) {
		fill(topic, 2000 + extra, 1);
		extra++;
		(void)!step(&a, 100000, &bad);
		(void)!step(&b, 20, &bad);
		(void)!step(&third, 20, &bad);
	}
	CHECK(a.assigned > assigned);
	a.linger_ms = 0;
	owner_close(&third);
	b.seen += third.seen;

	/* The first one leaves; the second one takes all of it to the end. */
	owner_close(&a);
	CHECK_INT(mine(&a), 0);
	drain(&b, (2000 + extra) * PARTS - a.seen);
	for (end = now_ms() + 30000; now_ms() < end && mine(&b) != PARTS;)
		(void)!step(&b, 20, &bad);
	CHECK_INT(mine(&b), PARTS);
	for (int i = 0; i < PARTS; i++)
		CHECK_INT(next[i], 2000 + extra);
	kafka_courtesy_commit(b.c, topic, 0, 2000);
	(void)!step(&b, 20, &bad);
	owner_close(&b);
}

static void test_bounds(void)
{
	int64_t next[PARTS] = {0};
	struct owner o = {.next = next};
	struct kafka_part bad;
	struct err e = {0};
	char topic[64];
	int64_t end = now_ms() + 20000;
	size_t count = 0, bytes = 0;

	make_topic("bounds", topic);
	fill(topic, 0, 500);
	owner_open(&o, topic, topic);
	while (count == 0 && now_ms() < end) {
		(void)!kafka_poll(o.c, 100, 1000, 2000, 100, o.b, &bad, &e);
		count = kafka_batch_count(o.b);
	}
	for (size_t i = 0; i < count; i++)
		bytes += kafka_batch_at(o.b, i)->value.len;
	/* Filled to the bound, with the last one over it at most. */
	CHECK(bytes >= 100 && bytes < 110);
	/* The wait has an end. */
	int64_t before = now_ms();
	while (kafka_poll(o.c, 50, 0, 10000, 1 << 20, o.b, &bad, &e) == RC_OK)
		before = now_ms();
	CHECK_NEAR((double)(now_ms() - before), 50, 300);
	owner_close(&o);
}

static void test_away(void)
{
	struct kafka_settings s = {.brokers = "127.0.0.1:1", .group = "g"};
	const char *topic = "t";
	static const char *const extra[] = {"message.timeout.ms=500", NULL};
	int64_t next[PARTS] = {0};
	struct owner o = {.next = next, .b = kafka_batch_new()};
	OWN(kafka_producer_close) struct kafka_producer *p = NULL;
	struct kafka_part bad;
	struct err e = {0};
	enum rc rc = RC_NONE;
	int64_t end = now_ms() + 10000;

	CHECK_RC(kafka_consumer_open(&s, &topic, 1, on_event, &o, &o.c, &e), RC_OK, &e);
	while (rc == RC_NONE && now_ms() < end)
		rc = kafka_poll(o.c, 100, 0, 10, 1000, o.b, &bad, &e);
	CHECK_RC(rc, RC_RETRY, &e);
	owner_close(&o);
	CHECK(now_ms() < end + 5000);

	s.extra = extra;
	CHECK_RC(kafka_producer_open(&s, &p, &e), RC_OK, &e);
	CHECK_RC(kafka_send(p, topic, 0, SLICE("k"), SLICE("v"), NULL, &e), RC_OK, &e);
	CHECK_RC(kafka_producer_flush(p, 100, &e), RC_RETRY, &e);
	CHECK_RC(kafka_producer_flush(p, 10000, &e), RC_RETRY, &e);
	CHECK_HAS(e.text, "1 records were not delivered");
	CHECK_INT(kafka_failed(p), 1);
	s.extra = NULL;
	CHECK_RC(kafka_topic_ensure(&s, topic, 1, NULL, &e), RC_RETRY, &e);
}

/* The local queue is bounded. */
static void test_queue_full(void)
{
	static const char *const extra[] = {
		"queue.buffering.max.messages=100", "message.timeout.ms=500", NULL};
	struct kafka_settings s = {.brokers = "127.0.0.1:1", .extra = extra};
	OWN(kafka_producer_close) struct kafka_producer *p = NULL;
	struct err e = {0};
	enum rc rc = RC_OK;
	int n = 0;

	CHECK_RC(kafka_producer_open(&s, &p, &e), RC_OK, &e);
	for (; n < 1000 && rc == RC_OK; n++)
		rc = kafka_send(p, "t", 0, SLICE("k"), SLICE("v"), NULL, &e);
	CHECK_RC(rc, RC_LIMIT, &e);
	CHECK_INT(n, 101);
}

int main(void)
{
	brokers = getenv("KHIEN_TEST_KAFKA");
	if (brokers == NULL) {
		printf("skipped: KHIEN_TEST_KAFKA is not set\n");
		return 77;
	}
	(void)snprintf(
		run_id, sizeof(run_id), "%llx", (unsigned long long)clk_system.now_us(&clk_system));
	RUN(test_topic_ensure);
	RUN(test_settings_refused);
	RUN(test_values);
	RUN(test_offsets);
	RUN(test_out_of_range);
	RUN(test_rebalance);
	RUN(test_bounds);
	RUN(test_away);
	RUN(test_queue_full);
	return check_done();
}
