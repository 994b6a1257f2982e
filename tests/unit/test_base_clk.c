/* clk: the fake clock moves by hand, waits end at their deadline or at once when told, back-off stays in its bounds. */
#include <pthread.h>
#include <time.h>

#include "base/clk.h"
#include "tests/unit/check.h"

static void test_clocks(void)
{
	struct clk c = clk_fake(1000);
	int64_t a, b;

	CHECK_INT(c.now_us(&c), 1000);
	c.fake_us += US_PER_DAY;
	CHECK_INT(c.now_us(&c), 1000 + US_PER_DAY);
	CHECK_INT(c.mono_us(&c), 1000 + US_PER_DAY);
	a = clk_system.mono_us(&clk_system);
	b = clk_system.mono_us(&clk_system);
	CHECK(b >= a);
	CHECK(llabs(clk_system.now_us(&clk_system) / US_PER_S - (int64_t)time(NULL)) <= 1);
}

static void test_wait(void)
{
	int64_t start = clk_system.mono_us(&clk_system);
	volatile int stop = 1;

	wait_ms(INT64_MAX, &stop);
	wait_ms(-5, NULL);
	wait_ms(0, NULL);
	CHECK(clk_system.mono_us(&clk_system) - start < 10 * US_PER_S);
	start = clk_system.mono_us(&clk_system);
	stop = 0;
	wait_ms(3, &stop);
	CHECK(clk_system.mono_us(&clk_system) - start >= 3000);
}

static void *waiter(void *stop)
{
	wait_ms(60000, stop);
	return NULL;
}

static void test_stop_ends_a_wait(void)
{
	int64_t start = clk_system.mono_us(&clk_system);
	volatile int stop = 0;
	pthread_t t;

	CHECK_INT(pthread_create(&t, NULL, waiter, (void *)&stop), 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	(void)pthread_join(t, NULL);
	CHECK(clk_system.mono_us(&clk_system) - start < 30 * US_PER_S);
}

static void test_backoff(void)
{
	static const struct {
		unsigned n;
		int64_t base, cap, most;
	} cases[] = {
		{0, 100, 5000, 100},
		{3, 100, 5000, 800},
		{10, 100, 5000, 5000},
		{4000000000u, 100, INT64_MAX, INT64_MAX},
		{0, 0, 0, 1},
		{5, 1000, 10, 10},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t lo = INT64_MAX, hi = 0;

		CHECK_CASE("%zu", i);
		for (int k = 0; k < 500; k++) {
			int64_t w = backoff_ms(cases[i].n, cases[i].base, cases[i].cap);

			lo = w < lo ? w : lo;
			hi = w > hi ? w : hi;
		}
		CHECK(lo >= 1 && hi <= cases[i].most);
		CHECK(cases[i].most < 100 || (lo < cases[i].most / 2 && hi > cases[i].most / 2));
	}
}

int main(void)
{
	RUN(test_clocks);
	RUN(test_wait);
	RUN(test_stop_ends_a_wait);
	RUN(test_backoff);
	return check_done();
}
