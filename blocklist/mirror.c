/* The list in memory: a table of immutable shards under one mark, swapped by pointer. One thread follows the release log; any number
 * of threads look up without a lock. A reader announces itself in a counter before it takes the pointer, and the writer frees what
 * it replaced when the counters of that time have been zero: the sleeping kind of read-copy-update, with two phases. Leaves out the
 * ledger: mirror_follow.c reads it. */
#include "blocklist/mirror.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SLOTS 64

struct slot {
	_Alignas(64) atomic_uint in[2];
};

struct mirror {
	_Atomic(struct table *) table; /* NULL: nothing is known yet */
	struct table *retired,
		**last; /* the writer's: replaced, oldest first, and perhaps pinned */
	atomic_uint phase;
	_Atomic int64_t synced_mono_us;
	struct slot slots[SLOTS];
	/* for those who wait; never held across anything slow */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	int64_t release;   /* under lock */
	uint64_t lineages; /* under lock */
};

enum rc mirror_new(struct mirror **out, struct err *e)
{
	struct mirror *m = aligned_alloc(64, (sizeof(*m) + 63) / 64 * 64);
	pthread_condattr_t attr;

	if (m == NULL)
		return err_set(e, RC_RETRY, "mirror: out of memory");
	memset(m, 0, sizeof(*m));
	atomic_store(&m->synced_mono_us, TIME_NONE);
	m->release = -1;
	m->last = &m->retired;
	if (pthread_mutex_init(&m->lock, NULL) != 0 || pthread_condattr_init(&attr) != 0) {
		free(m);
		return err_set(e, RC_RETRY, "mirror: out of memory");
	}
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (pthread_cond_init(&m->moved, &attr) != 0) {
		(void)pthread_condattr_destroy(&attr);
		(void)pthread_mutex_destroy(&m->lock);
		free(m);
		return err_set(e, RC_RETRY, "mirror: out of memory");
	}
	(void)pthread_condattr_destroy(&attr);
	*out = m;
	return RC_OK;
}

/* In their order: one that is pinned still needs the shards of those after it. */
static void free_retired(struct mirror *m)
{
	for (struct table *t; (t = m->retired) != NULL;) {
		if (__atomic_load_n(&t->pins, __ATOMIC_ACQUIRE) != 0)
			return;
		m->retired = t->next;
		if (m->retired == NULL)
			m->last = &m->retired;
		table_free_old(t, m->retired != NULL ? m->retired : atomic_load(&m->table));
	}
}

void mirror_free(struct mirror *m)
{
	if (m == NULL)
		return;
	free_retired(m);
	assert(m->retired == NULL); /* nobody walks a list that ends */
	table_free(atomic_load(&m->table));
	(void)pthread_cond_destroy(&m->moved);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

/* ---- readers */

struct reading {
	struct slot *slot;
	unsigned phase;
};

static struct reading read_begin(struct mirror *m)
{
	uintptr_t self = (uintptr_t)pthread_self();
	struct reading r = {.slot = &m->slots[(self >> 12 ^ self >> 18) % SLOTS],
		.phase = atomic_load(&m->phase) & 1};

	atomic_fetch_add(&r.slot->in[r.phase], 1);
	return r;
}

static void read_end(struct reading r)
{
	atomic_fetch_sub(&r.slot->in[r.phase], 1);
}

/* Both phases: a reader may have read the phase long before it announced itself in it. */
static void wait_for_readers(struct mirror *m)
{
	for (int turn = 0; turn < 2; turn++) {
		unsigned old = atomic_fetch_add(&m->phase, 1) & 1;

		for (int i = 0; i < SLOTS; i++)
			while (atomic_load(&m->slots[i].in[old]) != 0)
				(void)sched_yield();
	}
}

/* Cut to fit, not within a character. */
static void copy_text(char *out, size_t room, const char *text)
{
	size_t n = strlen(text);

	if (n >= room)
		for (n = room - 1; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80;)
			n--;
	memcpy(out, text, n);
	out[n] = '\0';
}

static enum rc find_fresh(const struct table *t, const struct sender *s, enum service service,
	int64_t now_s, struct lookup *out)
{
	struct slice value = slice_str(s->value);
	struct entry e = {0};

	if (!shard_find(table_shard(t, shard_key(s->scope, service, value)), s->scope, service,
		    value, &e))
		return RC_NONE;
	if (e.until_s != 0 && e.until_s <= now_s)
		return RC_NONE;
	copy_text(out->action, sizeof(out->action), e.action);
	copy_text(out->case_id, sizeof(out->case_id), e.case_id);
	copy_text(out->basis, sizeof(out->basis), e.basis);
	out->until_s = e.until_s;
	out->release = e.release;
	return RC_OK;
}

enum rc mirror_lookup(struct mirror *m, const struct sender *s, enum service service, int64_t now_s,
	int64_t now_mono_us, int64_t stale_max_s, struct lookup *out, int64_t *age_s)
{
	int64_t synced = atomic_load(&m->synced_mono_us), age_us;
	enum rc rc = RC_RETRY;

	if (synced == TIME_NONE)
		return RC_RETRY;
	age_us = now_mono_us > synced ? now_mono_us - synced : 0;
	*age_s = age_us / US_PER_S;
	if (age_us > stale_max_s * US_PER_S)
		return RC_RETRY;
	struct reading r = read_begin(m);
	const struct table *t = atomic_load(&m->table);

	if (t != NULL)
		rc = find_fresh(t, s, service, now_s, out);
	read_end(r);
	return rc;
}

bool mirror_mark(struct mirror *m, struct list_mark *out, int64_t *synced_mono_us)
{
	struct reading r = read_begin(m);
	const struct table *t = atomic_load(&m->table);

	if (t != NULL) {
		*out = t->mark;
		*synced_mono_us = atomic_load(&m->synced_mono_us);
	}
	read_end(r);
	return t != NULL;
}

const struct table *mirror_pin(struct mirror *m)
{
	struct reading r = read_begin(m);
	struct table *t = atomic_load(&m->table);

	if (t != NULL)
		(void)__atomic_add_fetch(&t->pins, 1, __ATOMIC_ACQ_REL);
	read_end(r);
	return t;
}

void mirror_unpin(const struct table *t)
{
	struct table *own = (struct table *)(uintptr_t)t; /* the count is not the list */

	if (own != NULL)
		(void)__atomic_sub_fetch(&own->pins, 1, __ATOMIC_ACQ_REL);
}

size_t mirror_bytes(const struct mirror *m)
{
	struct mirror *w = (struct mirror *)(uintptr_t)m; /* the reader's counter is not the list */
	struct reading r = read_begin(w);
	const struct table *t = atomic_load(&w->table);
	size_t bytes = sizeof(*m) + (t != NULL ? t->bytes : 0);

	read_end(r);
	return bytes;
}

void mirror_wait(struct mirror *m, int64_t after, int wait_ms)
{
	struct timespec end;
	uint64_t lineages;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += wait_ms / 1000;
	end.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	(void)pthread_mutex_lock(&m->lock);
	lineages = m->lineages;
	while (m->release <= after && m->lineages == lineages)
		if (pthread_cond_timedwait(&m->moved, &m->lock, &end) != 0)
			break;
	(void)pthread_mutex_unlock(&m->lock);
}

/* ---- the writer */

const struct table *mirror_table(const struct mirror *m)
{
	return atomic_load(&m->table);
}

void mirror_synced(struct mirror *m, int64_t now_mono_us)
{
	free_retired(m);
	atomic_store(&m->synced_mono_us, now_mono_us);
}

void mirror_publish(struct mirror *m, struct table *t, int64_t now_mono_us)
{
	struct table *was = atomic_exchange(&m->table, t);
	bool other = was == NULL || strcmp(was->mark.list, t->mark.list) != 0;

	atomic_store(&m->synced_mono_us, now_mono_us);
	(void)pthread_mutex_lock(&m->lock);
	m->release = t->mark.release;
	m->lineages += other ? 1 : 0;
	(void)pthread_cond_broadcast(&m->moved);
	(void)pthread_mutex_unlock(&m->lock);
	wait_for_readers(m);
	if (was != NULL) { /* nobody can pin it any more */
		*m->last = was;
		m->last = &was->next;
	}
	free_retired(m);
}
