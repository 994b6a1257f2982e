/* One flag behind a condition; see bell.h. */
#include "engine/bell.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rung_cond;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool rung;

static void init(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rung_cond, &attr);
	pthread_condattr_destroy(&attr);
}

void bell_ring(void)
{
	pthread_once(&once, init);
	pthread_mutex_lock(&lock);
	rung = true;
	pthread_cond_signal(&rung_cond);
	pthread_mutex_unlock(&lock);
}

void bell_wait(int64_t wait_ms)
{
	struct timespec until;

	pthread_once(&once, init);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (!rung && pthread_cond_timedwait(&rung_cond, &lock, &until) == 0)
		;
	rung = false;
	pthread_mutex_unlock(&lock);
}
