/* Private to the room: what a compacted topic holds, as a reader would come to it: the newest value of every key, and what they count
 * and sum up to. */
#pragma once

#include "blocklist/list.h"

#define ROWS_LISTS 8 /* lineages told apart; a topic with more is rebuilt anyway */

struct row {
	uint64_t hash, value,
		claim; /* of the key, of the value's bytes; the digest that its header says */
	int64_t release;
	int32_t partition;
	size_t key_at; /* in rows.keys */
	uint32_t key_len;
	uint8_t list;             /* in rows.lists */
	bool live;                /* its newest record is no tombstone */
	bool odd;                 /* no entry of ours, or under another key */
	bool kept;                /* for the caller */
	uint8_t line[SHA256_LEN]; /* of a live entry */
};
struct rows {
	struct row *at; /* open addressing; hash 0 is a free place */
	size_t n, room;
	struct buf keys;
	struct json_parser *json;
	char lists[ROWS_LISTS][37];
	size_t n_lists;
	struct digest sum; /* of the live entries */
	int64_t count, odd;
};

MUST_USE enum rc rows_init(struct rows *r, struct err *e);
void rows_done(struct rows *r);
#define ROWS_OWN __attribute__((cleanup(rows_done)))
/* A kafka_table_row: the next record. */
MUST_USE enum rc rows_add(void *rows, const struct kafka_row *record, struct err *e);
struct row *rows_find(
	const struct rows *r, struct slice key, int32_t partition); /* NULL: never seen */
struct slice rows_key(const struct rows *r, const struct row *one);
uint64_t rows_hash(struct slice s);
/* The release that the live entries are of, when they are whole: of one list, none odd, and what they sum up to is what the newest of
 * them says. RC_NONE otherwise, and when there are none. */
MUST_USE enum rc rows_mark(const struct rows *r, struct list_mark *out);
