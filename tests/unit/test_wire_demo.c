/* The embedded demonstration broker, used as it is meant: it lives in one process, a producer and a
 * consumer in others. Needs no service. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/check.h"
#include "wire/wire.h"

#define RECORDS 300

static void child_demo(int to_parent, int from_parent)
{
	static const char *const topics[] = {"complaints", "activity"};
	static const int partitions[] = {3, 1};
	OWN(kafka_demo_close) struct kafka_demo *d = NULL;
	struct err e = {0};
	char c;

	if (kafka_demo_open(topics, partitions, 2, &d, &e) != RC_OK)
		_exit(1);
	const char *address = kafka_demo_brokers(d);
	if (write(to_parent, address, strlen(address) + 1) < 0)
		_exit(1);
	(void)!read(from_parent, &c, 1); /* until the parent ends */
}

static int child_produce(const char *brokers)
{
	OWN(kafka_producer_close) struct kafka_producer *p = NULL;
	struct kafka_settings s = {.brokers = brokers, .client_id = "test"};
	struct err e = {0};

	if (kafka_producer_open(&s, &p, &e) != RC_OK)
		return 1;
	for (int i = 0; i < RECORDS; i++) {
		char key[16], value[32];

		(void)snprintf(key, sizeof(key), "k%d", i);
		(void)snprintf(value, sizeof(value), "record %d", i);
		if (kafka_send(p, "complaints", i % 3, slice_str(key), slice_str(value), NULL,
			    &e) != RC_OK)
			return 1;
	}
	if (kafka_producer_flush(p, 10000, &e) != RC_OK)
		return 1;
	return kafka_delivered(p) == RECORDS && kafka_failed(p) == 0 ? 0 : 1;
}

static void from_start(void *arg, enum kafka_event event, struct kafka_part *parts, size_t n)
{
	int *assigned = arg;

	*assigned = event == KAFKA_ASSIGNED ? (int)n : 0;
	for (size_t i = 0; i < n; i++)
		parts[i].offset = 0;
}

static void consume(const char *brokers)
{
	int assigned = 0; /* outlives the consumer, whose close calls from_start too */
	static const char *const topics[] = {"complaints"};
	struct kafka_settings s = {.brokers = brokers, .client_id = "test", .group = "g"};
	OWN(kafka_batch_free) struct kafka_batch *b = kafka_batch_new();
	OWN(kafka_consumer_close) struct kafka_consumer *c = NULL;
	struct kafka_part bad;
	struct err e = {0};
	int seen = 0;
	int64_t next[3] = {0}, low = -1, high = -1;

	CHECK_RC(kafka_consumer_open(&s, topics, 1, from_start, &assigned, &c, &e), RC_OK, &e);
	for (int i = 0; i < 200 && seen < RECORDS; i++) {
		enum rc rc = kafka_poll(c, 200, 10, 1000, 1 << 20, b, &bad, &e);

		if (rc != RC_OK && rc != RC_NONE)
			CHECK_RC(rc, RC_OK, &e);
		for (size_t k = 0; k < kafka_batch_count(b); k++, seen++) {
			const struct kafka_record *r = kafka_batch_at(b, k);
			char want[32];

			CHECK_STR(r->topic, "complaints");
			CHECK_INT(r->offset, next[r->partition]++);
			(void)snprintf(
				want, sizeof(want), "record %d", (int)r->offset * 3 + r->partition);
			CHECK_SLICE(r->value, want);
		}
	}
	CHECK_INT(assigned, 3);
	CHECK_INT(seen, RECORDS);
	CHECK_RC(kafka_watermarks(c, "complaints", 1, &low, &high, &e), RC_OK, &e);
	CHECK_INT(low, 0);
	CHECK_INT(high, RECORDS / 3);
	/* The topics are there, so nobody asks the broker to make one, which it cannot. */
	CHECK_RC(kafka_topic_ensure(&s, "activity", 1, NULL, &e), RC_OK, &e);
}

static void test_across_processes(void)
{
	int up[2], down[2], status = 1;
	char brokers[256] = "";
	pid_t demo, producer;

	/* All forks come before this process has threads of its own. */
	if (!CHECK(pipe(up) == 0 && pipe(down) == 0))
		return;
	demo = fork();
	if (demo == 0) {
		(void)close(down[1]);
		child_demo(up[1], down[0]);
		_exit(0);
	}
	(void)close(down[0]);
	(void)close(up[1]); /* so that a demo that dies ends the read */
	CHECK(read(up[0], brokers, sizeof(brokers) - 1) > 0);
	CHECK_HAS(brokers, "127.0.0.1:");
	producer = fork();
	if (producer == 0)
		_exit(child_produce(brokers));
	CHECK(waitpid(producer, &status, 0) == producer);
	CHECK_INT(status, 0);
	consume(brokers);
	(void)close(down[1]);
	CHECK(waitpid(demo, &status, 0) == demo);
	CHECK_INT(status, 0);
}

int main(void)
{
	RUN(test_across_processes);
	return check_done();
}
