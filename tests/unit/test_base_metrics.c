/* metrics: what is added under many threads is all there, the page follows the Prometheus text format, bounds hold. */
#include <pthread.h>

#include "base/metrics.h"
#include "tests/unit/check.h"

static struct buf page;

static const char *write_page(void)
{
	buf_done(&page);
	buf_init(&page, 16 << 20);
	metrics_write(&page);
	CHECK(!page.failed);
	return page.ptr != NULL ? page.ptr : "";
}

static void test_counters_and_gauges(void)
{
	struct metric *m = metric_family(METRIC_COUNTER, "khien_test_records_total",
		"topic,partition", "Records\nof \\ tests");
	struct metric *g = metric_family(METRIC_GAUGE, "khien_test_depth", "", "Depth");

	CHECK(m ==
		metric_family(METRIC_COUNTER, "khien_test_records_total", "topic,partition", "x"));
	metric_add(metric_at(m, "complaints", "0", NULL), 1);
	metric_add(metric_at(m, "complaints", "1", NULL), 2);
	metric_add(metric_at(m, "complaints", "0", NULL), 1);
	metric_add(metric_at(m, "a\"b\\c\nd\xFF", "", NULL), 1);
	CHECK(metric_at(m, "ab", "c", NULL) != metric_at(m, "a", "bc", NULL));
	CHECK(metric_at(m, "only", NULL, NULL) == metric_at(m, "only", "", NULL));
	CHECK_NEAR(metric_get(metric_at(m, "complaints", "0", NULL)), 2, 0);
	CHECK_HAS(write_page(), "# TYPE khien_test_depth gauge\nkhien_test_depth 0\n");
	metric_set(metric_at(g, NULL, NULL, NULL), -0.25);
	write_page();
	CHECK_HAS(page.ptr,
		"# HELP khien_test_records_total Records\\nof \\\\ tests\n"
		"# TYPE khien_test_records_total counter\n"
		"khien_test_records_total{topic=\"complaints\",partition=\"0\"} 2\n"
		"khien_test_records_total{topic=\"complaints\",partition=\"1\"} 2\n"
		"khien_test_records_total{topic=\"a\\\"b\\\\c\\nd?\",partition=\"\"} 1\n");
	CHECK_HAS(page.ptr, "khien_test_depth -0.25\n");
	metric_set(metric_at(g, NULL, NULL, NULL), 1e300);
	CHECK_HAS(write_page(), "khien_test_depth 1.0000000000000001e+300\n");
	metric_set(metric_at(g, NULL, NULL, NULL), (double)INFINITY);
	CHECK_HAS(write_page(), "khien_test_depth +Inf\n");
}

static void test_histogram(void)
{
	struct metric *m = metric_family(METRIC_HISTOGRAM, "khien_test_seconds", "what", "Time");
	struct metric *plain =
		metric_family(METRIC_HISTOGRAM, "khien_test_plain_seconds", "", "Time");
	struct metric_cell *c = metric_at(m, "x", NULL, NULL);
	static const double seen[] = {0, 0.001, 0.0011, 0.5, 60, 61};

	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		metric_observe(c, seen[i]);
	metric_observe(metric_at(plain, NULL, NULL, NULL), 3);
	CHECK_NEAR(metric_get(c), 6, 0);
	write_page();
	CHECK_HAS(page.ptr,
		"# TYPE khien_test_seconds histogram\n"
		"khien_test_seconds_bucket{what=\"x\",le=\"0.001\"} 2\n"
		"khien_test_seconds_bucket{what=\"x\",le=\"0.002\"} 3\n");
	CHECK_HAS(page.ptr,
		"khien_test_seconds_bucket{what=\"x\",le=\"0.2\"} 3\n"
		"khien_test_seconds_bucket{what=\"x\",le=\"0.5\"} 4\n");
	CHECK_HAS(page.ptr,
		"khien_test_seconds_bucket{what=\"x\",le=\"60\"} 5\n"
		"khien_test_seconds_bucket{what=\"x\",le=\"+Inf\"} 6\n"
		"khien_test_seconds_sum{what=\"x\"} 121.5021");
	CHECK_HAS(page.ptr, "khien_test_seconds_count{what=\"x\"} 6\n");
	CHECK_HAS(page.ptr,
		"khien_test_plain_seconds_bucket{le=\"2\"} 0\n"
		"khien_test_plain_seconds_bucket{le=\"5\"} 1\n");
	CHECK_HAS(page.ptr, "khien_test_plain_seconds_sum 3\nkhien_test_plain_seconds_count 1\n");
}

#define THREADS 4
#define ROUNDS 20000

static void *adder(void *arg)
{
	struct metric *h = metric_family(METRIC_HISTOGRAM, "khien_test_busy_seconds", "", "Time");
	struct metric *m = metric_family(METRIC_COUNTER, "khien_test_busy_total", "cell", "Busy");

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i % 50);
		metric_add(metric_at(m, name, NULL, NULL), 1);
		metric_observe(metric_at(h, NULL, NULL, NULL), 0.25);
		if (i % 5000 == 0) {
			BUF_OWN struct buf b;

			buf_init(&b, 16 << 20);
			metrics_write(&b);
		}
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[THREADS];
	double sum = 0;

	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&t[i], NULL, adder, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	struct metric *m = metric_family(METRIC_COUNTER, "khien_test_busy_total", "cell", "Busy");

	for (int i = 0; i < 50; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i);
		sum += metric_get(metric_at(m, name, NULL, NULL));
	}
	CHECK_NEAR(sum, THREADS * ROUNDS, 0);
	(void)write_page();
	CHECK_HAS(page.ptr,
		"khien_test_busy_seconds_sum 20000\nkhien_test_busy_seconds_count 80000\n");
}

static void test_bounds(void)
{
	struct metric *m = metric_family(METRIC_COUNTER, "khien_test_many_total", "a,b", "Many");
	struct metric_cell *first = metric_at(m, "0", "x", NULL), *other = NULL;
	size_t series = 0;
	char name[64];

	metric_add(metric_at(m, "other", "other", NULL), 5);
	for (int i = 1; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		other = metric_at(m, name, "x", NULL);
		metric_add(other, 1);
	}
	CHECK(metric_at(m, "0", "x", NULL) == first);
	CHECK(other == metric_at(m, "other", "other", NULL));
	CHECK_NEAR(metric_get(other), 5 + 2999 - 998, 0);
	write_page();
	for (const char *p = page.ptr; (p = strstr(p, "\nkhien_test_many_total{")) != NULL; p++)
		series++;
	CHECK_INT(series, 1000);
	CHECK(strstr(page.ptr, "khien_metrics_overflow") == NULL);

	for (int i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof(name), "khien_test_f%d_total", i);
		metric_add(metric_at(metric_family(METRIC_COUNTER, name, "", "F"), "x", NULL, NULL),
			7);
	}
	CHECK(metric_family(METRIC_HISTOGRAM, "khien_test_one_more", "a", "F") ==
		metric_family(METRIC_COUNTER, "khien_test_another", "", "F"));
	metric_observe(
		metric_at(metric_family(METRIC_HISTOGRAM, "khien_z", "a", "F"), "x", NULL, NULL),
		3);
	write_page();
	CHECK_HAS(page.ptr, "# TYPE khien_metrics_overflow gauge\nkhien_metrics_overflow ");
}

/* With a file name as argument the page is left there, for a checker of the format. */
int main(int argc, char **argv)
{
	RUN(test_counters_and_gauges);
	RUN(test_histogram);
	RUN(test_threads);
	if (argc > 1) {
		FILE *f = fopen(argv[1], "we");

		CHECK(f != NULL && fputs(write_page(), f) >= 0 && fclose(f) == 0);
	}
	RUN(test_bounds);
	buf_done(&page);
	return check_done();
}
