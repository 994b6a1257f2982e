/* Records of the topic added up to a table. Nothing in them is believed: a value that is no entry, or stands under another entry's key, is
 * counted as odd, and the digest is computed from the entries themselves. Leaves out where the records come from. */
#include "blocklist/kafka_rows.h"

#include <stdlib.h>

#define KEYS_CAP ((size_t)1 << 32)

enum rc rows_init(struct rows *r, struct err *e)
{
	*r = (struct rows){.json = json_parser_new()};
	buf_init(&r->keys, KEYS_CAP);
	return r->json != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");
}

void rows_done(struct rows *r)
{
	free(r->at);
	buf_done(&r->keys);
	json_parser_free(r->json);
}

uint64_t rows_hash(struct slice s)
{
	uint8_t sum[SHA256_LEN];
	uint64_t h;

	sha256(s, sum);
	memcpy(&h, sum, sizeof(h));
	return h != 0 ? h : 1;
}

struct slice rows_key(const struct rows *r, const struct row *one)
{
	return slice_of(r->keys.ptr + one->key_at, one->key_len);
}

/* The same key may stand in two partitions when somebody else wrote it, or partitions were added. */
static uint64_t place_hash(struct slice key, int32_t partition)
{
	uint64_t h = rows_hash(key) + (uint64_t)(uint32_t)partition * UINT64_C(0x9e3779b97f4a7c15);

	return h != 0 ? h : 1;
}

static struct row *place(struct row *at, size_t room, uint64_t h)
{
	size_t i = (size_t)h & (room - 1);

	while (at[i].hash != 0 && at[i].hash != h)
		i = (i + 1) & (room - 1);
	return &at[i];
}

/* Two keys with one hash of 64 bits of SHA-256 are not expected; the second would be taken for the first and be odd. */
struct row *rows_find(const struct rows *r, struct slice key, int32_t partition)
{
	struct row *one = r->room > 0 ? place(r->at, r->room, place_hash(key, partition)) : NULL;

	return one != NULL && one->hash != 0 && slice_eq(rows_key(r, one), key) ? one : NULL;
}

static bool grow(struct rows *r)
{
	size_t room = r->room == 0 ? 1024 : 2 * r->room;
	struct row *at = calloc(room, sizeof(*at));

	if (at == NULL)
		return false;
	for (size_t i = 0; i < r->room; i++)
		if (r->at[i].hash != 0)
			*place(at, room, r->at[i].hash) = r->at[i];
	free(r->at);
	r->at = at;
	r->room = room;
	return true;
}

static struct row *take(struct rows *r, struct slice key, int32_t partition)
{
	if (2 * (r->n + 1) >= r->room && !grow(r))
		return NULL;
	uint64_t h = place_hash(key, partition);
	struct row *one = place(r->at, r->room, h);

	if (one->hash != 0)
		return one;
	*one = (struct row){.hash = h,
		.key_at = r->keys.len,
		.key_len = (uint32_t)key.len,
		.partition = partition};
	buf_add(&r->keys, key);
	r->n++;
	return r->keys.failed ? NULL : one;
}

static uint8_t list_of(struct rows *r, struct slice name)
{
	for (size_t i = 0; i < r->n_lists; i++)
		if (slice_eq(slice_str(r->lists[i]), name))
			return (uint8_t)i;
	if (r->n_lists == ROWS_LISTS || !list_name_fits(name))
		return ROWS_LISTS; /* no list of ours */
	memcpy(r->lists[r->n_lists], name.ptr, name.len);
	return (uint8_t)r->n_lists++;
}

/* The line's hash of the entry in a value. */
static bool line_of(struct rows *r, struct slice key, struct slice value, uint8_t out[SHA256_LEN])
{
	char line[ENTRY_LINE];
	struct entry_text e;
	struct json doc;
	struct err why;

	if (json_parse(r->json, value, &doc, &why) != RC_OK || !entry_of_json(doc, &e))
		return false;
	size_t n = entry_key(&e.entry, line, sizeof(line));

	if (!slice_eq(slice_of(line, n), key))
		return false;
	n = entry_line(&e.entry, line, sizeof(line));
	sha256(slice_of(line, n), out);
	return true;
}

static void leave(struct rows *r, const struct row *one)
{
	struct digest d;

	if (!one->live)
		return;
	if (one->odd) {
		r->odd--;
		return;
	}
	memcpy(d.sum, one->line, sizeof(d.sum));
	digest_part(&r->sum, &d);
	r->count--;
}

enum rc rows_add(void *rows, const struct kafka_row *record, struct err *e)
{
	struct rows *r = rows;
	struct slice release = kafka_row_header(record, "release"),
		     digest = kafka_row_header(record, "digest");
	struct digest d = {{0}};
	uint64_t n = 0;

	struct row *one = take(r, record->key, record->partition);

	if (one == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	leave(r, one);
	one->live = record->value.ptr != NULL;
	if (!one->live)
		return RC_OK;
	one->value = rows_hash(record->value);
	one->list = list_of(r, kafka_row_header(record, "list"));
	one->odd = record->partition != record->home ||
		!line_of(r, record->key, record->value, one->line) ||
		slice_u64(release, &n) != RC_OK || n > INT64_MAX ||
		digest_parse(digest, &d) != RC_OK;
	one->release = (int64_t)n;
	memcpy(&one->claim, d.sum, sizeof(one->claim));
	if (one->odd) {
		r->odd++;
		return RC_OK;
	}
	memcpy(d.sum, one->line, sizeof(d.sum));
	digest_join(&r->sum, &d);
	r->count++;
	return RC_OK;
}

enum rc rows_mark(const struct rows *r, struct list_mark *out)
{
	const struct row *newest = NULL;
	uint64_t sum;

	for (size_t i = 0; i < r->room; i++) {
		const struct row *one = &r->at[i];

		if (one->hash == 0 || !one->live)
			continue;
		if (newest != NULL && one->list != newest->list)
			return RC_NONE;
		if (newest == NULL || one->release > newest->release)
			newest = one;
	}
	memcpy(&sum, r->sum.sum, sizeof(sum));
	if (newest == NULL || r->odd > 0 || newest->list == ROWS_LISTS || newest->claim != sum)
		return RC_NONE;
	*out = (struct list_mark){.release = newest->release, .count = r->count, .digest = r->sum};
	memcpy(out->list, r->lists[newest->list], sizeof(out->list));
	return RC_OK;
}
