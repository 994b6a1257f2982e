/* A release mark behind a mutex and a condition; see head.h. */
#include "engine/head.h"

#include <time.h>

void head_init(struct head *h)
{
	pthread_condattr_t attr;

	*h = (struct head){0};
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->moved, &attr);
	pthread_condattr_destroy(&attr);
}

void head_tell(struct head *h, const struct list_mark *mark, bool leads)
{
	pthread_mutex_lock(&h->lock);
	if (mark != NULL)
		h->mark = *mark;
	h->leads = leads;
	h->turn++;
	pthread_cond_broadcast(&h->moved);
	pthread_mutex_unlock(&h->lock);
}

uint64_t head_wait(struct head *h, uint64_t turn, int64_t wait_ms_, bool *leads)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms_ / 1000;
	until.tv_nsec += (wait_ms_ % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&h->lock);
	while (h->turn == turn && pthread_cond_timedwait(&h->moved, &h->lock, &until) == 0)
		;
	turn = h->turn;
	*leads = h->leads;
	pthread_mutex_unlock(&h->lock);
	return turn;
}
