/* clk: the two clocks of the machine behind one struct, a fake one for tests, and the waits that everything else is built on.
 * Decisions never ask a clock by themselves; they are given one, or a time. */
#include <errno.h>
#include <time.h>

#include "base/clk.h"
#include "base/crypto.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* cannot fail for these ids */
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static int64_t system_now(const struct clk *c)
{
	(void)c;
	return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(const struct clk *c)
{
	(void)c;
	return read_clock(CLOCK_MONOTONIC);
}

const struct clk clk_system = {.now_us = system_now, .mono_us = system_mono};

/* A test may move the clock while other threads read it. */
static int64_t fake_read(const struct clk *c)
{
	return __atomic_load_n(&c->fake_us, __ATOMIC_RELAXED);
}

struct clk clk_fake(int64_t start_us)
{
	return (struct clk){.now_us = fake_read, .mono_us = fake_read, .fake_us = start_us};
}

#define WAIT_STEP_US 50000

void wait_ms(int64_t ms, const volatile int *stop)
{
	int64_t end = read_clock(CLOCK_MONOTONIC), left;

	if (ms <= 0)
		return;
	if (__builtin_mul_overflow(ms, (int64_t)1000, &left) ||
		__builtin_add_overflow(end, left, &end))
		end = INT64_MAX;
	while (stop == NULL || __atomic_load_n(stop, __ATOMIC_RELAXED) == 0) {
		struct timespec ts = {0};

		left = end - read_clock(CLOCK_MONOTONIC);
		if (left <= 0)
			return;
		left = left < WAIT_STEP_US ? left : WAIT_STEP_US;
		ts.tv_nsec = (long)left * 1000;
		(void)nanosleep(&ts, NULL); /* cut short by a signal: look at *stop again */
	}
}

int64_t backoff_ms(unsigned n, int64_t base_ms, int64_t cap_ms)
{
	int64_t most = base_ms < 1 ? 1 : base_ms;

	while (n-- > 0 && most < cap_ms)
		most = most > INT64_MAX / 2 ? INT64_MAX : most * 2;
	if (most > cap_ms)
		most = cap_ms;
	/* never 0: a retry without any wait is a busy loop */
	return most <= 1 ? 1 : 1 + (int64_t)(random_u64() % (uint64_t)most);
}
