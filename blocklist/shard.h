/* Private to the room: a part of the list in memory, immutable once built. Keys are packed into eight bytes and sorted, so that a
 * lookup is a search in one small array; texts stand behind them, an equal basis once. A number costs about 50 bytes. */
#pragma once

#include "blocklist/list.h"

struct shard;

/* Digits of up to 15 places are the key itself; everything else is a hash with the highest bit set. */
uint64_t shard_key(enum scope scope, enum service service, struct slice value);
/* One step of a shard's way: the newest of equal keys counts. */
struct edit {
	uint64_t key;
	struct entry e;
	uint32_t ord;
	uint16_t shard; /* for the mirror */
	bool add;
};
int edit_cmp(const void *a, const void *b); /* by shard, key and order */
/* What `old` (NULL: empty) becomes by n edits of this shard, sorted by edit_cmp. RC_NONE: nothing is left. RC_RETRY: out of memory. */
MUST_USE enum rc shard_edit(
	const struct shard *old, const struct edit *edits, size_t n, struct shard **out);
void shard_free(struct shard *s);
size_t shard_bytes(const struct shard *s); /* 0 of NULL */
/* False: `each` stopped it. Texts of an entry live with the shard, value as long as the call. `s` may be NULL. */
bool shard_each(const struct shard *s, int service, entry_each *each, void *arg);
/* False: there is none. Texts of *e are borrowed, value is left out. `s` may be NULL. */
bool shard_find(const struct shard *s, enum scope scope, enum service service, struct slice value,
	struct entry *e);
