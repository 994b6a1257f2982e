/* The newest release, as the keeper tells it to the projections of its process: one writer, many waiters. Also says whether this process leads:
 * only the leader's process writes copies. */
#pragma once

#include <pthread.h>

#include "blocklist/blocklist.h"

struct head {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct list_mark mark;
	bool leads;
	uint64_t turn; /* counts tellings */
};

void head_init(struct head *h);
void head_tell(
	struct head *h, const struct list_mark *mark, bool leads); /* mark may be NULL: unchanged */
/* Waits until something was told after `turn`, or wait_ms. Answers the newest turn. */
uint64_t head_wait(struct head *h, uint64_t turn, int64_t wait_ms, bool *leads);
