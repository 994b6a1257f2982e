/* Private to the room: a whole list in memory as shards, immutable once published, and how edits make the next one of it. */
#pragma once

#include "blocklist/shard.h"

#define SHARDS 4096

/* Immutable once published. Tables that follow one another share the shards that did not change. */
struct table {
	struct list_mark mark;
	struct list_mark sms; /* count and digest of that service; list and release unused */
	size_t bytes;
	struct shard *shards[SHARDS];
	/* not part of the list */
	int pins;           /* atomic: who walks it; kept until they are done */
	struct table *next; /* the writer's: the next one that was replaced */
};

static inline uint16_t shard_index(uint64_t key)
{
	return (uint16_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 52);
}
static inline const struct shard *table_shard(const struct table *t, uint64_t key)
{
	return t->shards[shard_index(key)];
}
/* `from` (NULL: empty) with n edits, which are sorted here; from stays as it is. The new table owns the new shards and borrows the
 * others until table_free_old. RC_RETRY: out of memory. */
MUST_USE enum rc table_edit(
	const struct table *from, struct edit *edits, size_t n, struct table **out);
void table_free(struct table *t);                              /* with all its shards */
void table_free_old(struct table *was, const struct table *t); /* what t does not share */
OWNER(table_free, struct table);
