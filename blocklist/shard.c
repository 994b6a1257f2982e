/* One immutable part of the list in memory: packed keys, sorted; beside them what a lookup answers; behind them the texts. Making a new
 * one from an old one and some changes is a merge. Leaves out who reads it when: mirror.c. */
#include "blocklist/shard.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HASHED (UINT64_C(1) << 63)
#define DIGITS_MAX 15 /* 10^15 < 2^50 */

/* Of a hashed key the texts are: one byte of scope and service, value, NUL, case, NUL. Of digits: case, NUL. */
struct body {
	uint64_t until_action; /* until_s * 4 + action */
	int64_t release;
	uint32_t texts, basis;
};

struct shard {
	size_t n, bytes;
	const uint64_t *keys;
	const struct body *bodies;
	const char *texts;
};

static const char *const actions[] = {"bar", "throttle", "label"};

static uint64_t action_index(const char *action)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i], action) == 0)
			return i;
	assert(false && "an action that the ledger does not let in");
	return 2;
}

static char who(enum scope scope, enum service service)
{
	return (char)('0' + 2 * (int)scope + (int)service);
}

uint64_t shard_key(enum scope scope, enum service service, struct slice value)
{
	uint64_t n = 0, h = UINT64_C(14695981039346656037);
	bool digits = value.len > 0 && value.len <= DIGITS_MAX && scope != SCOPE_NAME;

	for (size_t i = 0; digits && i < value.len; i++) {
		digits = value.ptr[i] >= '0' && value.ptr[i] <= '9';
		n = n * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	if (digits)
		return (uint64_t)service << 56 | (uint64_t)scope << 54 | (uint64_t)value.len << 50 |
			n;
	h = (h ^ (unsigned char)who(scope, service)) * UINT64_C(1099511628211);
	for (size_t i = 0; i < value.len; i++)
		h = (h ^ (unsigned char)value.ptr[i]) * UINT64_C(1099511628211);
	return h | HASHED;
}

static int same_key_cmp(const struct entry *a, const struct entry *b)
{
	int d = strcmp(a->value, b->value);

	d = d != 0 ? d : (int)a->scope - (int)b->scope;
	return d != 0 ? d : (int)a->service - (int)b->service;
}

/* Packed digits say everything; hashes may fall together. */
static int key_cmp(uint64_t ka, const struct entry *a, uint64_t kb, const struct entry *b)
{
	if (ka != kb)
		return ka < kb ? -1 : 1;
	return (ka & HASHED) != 0 ? same_key_cmp(a, b) : 0;
}

int edit_cmp(const void *pa, const void *pb)
{
	const struct edit *a = pa, *b = pb;
	int d = (int)a->shard - (int)b->shard;

	d = d != 0 ? d : key_cmp(a->key, &a->e, b->key, &b->e);
	return d != 0 ? d : (a->ord > b->ord) - (a->ord < b->ord);
}

/* ---- reading */

static const char *case_at(const struct shard *s, size_t i)
{
	const char *text = s->texts + s->bodies[i].texts;

	return (s->keys[i] & HASHED) != 0 ? text + strlen(text) + 1 : text;
}

static void answer_at(const struct shard *s, size_t i, struct entry *e)
{
	const struct body *b = &s->bodies[i];

	e->action = actions[b->until_action % 4];
	e->until_s = (int64_t)(b->until_action / 4);
	e->case_id = case_at(s, i);
	e->basis = s->texts + b->basis;
	e->release = b->release;
}

/* Without what a key of digits says by itself. */
static struct entry hashed_at(const struct shard *s, size_t i)
{
	struct entry e = {0};

	answer_at(s, i, &e);
	if ((s->keys[i] & HASHED) != 0) {
		const char *text = s->texts + s->bodies[i].texts;

		e.scope = (enum scope)((text[0] - '0') / 2);
		e.service = (enum service)((text[0] - '0') % 2);
		e.value = text + 1;
	}
	return e;
}

/* The whole entry; a value of digits is written to `value`. */
static struct entry entry_at(const struct shard *s, size_t i, char value[SENDER_TEXT])
{
	struct entry e = hashed_at(s, i);
	uint64_t key = s->keys[i];

	if ((key & HASHED) != 0)
		return e;
	e.service = (enum service)(key >> 56 & 1);
	e.scope = (enum scope)(key >> 54 & 3);
	(void)snprintf(value, SENDER_TEXT, "%0*" PRIu64, (int)(key >> 50 & 15),
		key & ((UINT64_C(1) << 50) - 1));
	e.value = value;
	return e;
}

static size_t first_of(const struct shard *s, uint64_t key)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->keys[mid] < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool shard_find(const struct shard *s, enum scope scope, enum service service, struct slice value,
	struct entry *e)
{
	uint64_t key = shard_key(scope, service, value);

	if (s == NULL)
		return false;
	for (size_t i = first_of(s, key); i < s->n && s->keys[i] == key; i++) {
		if ((key & HASHED) != 0) {
			const char *text = s->texts + s->bodies[i].texts;

			if (text[0] != who(scope, service) || !slice_eq(slice_str(text + 1), value))
				continue;
		}
		answer_at(s, i, e);
		return true;
	}
	return false;
}

bool shard_each(const struct shard *s, int service, entry_each *each, void *arg)
{
	char value[SENDER_TEXT];

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		struct entry e = entry_at(s, i, value);

		if (service >= 0 && e.service != (enum service)service)
			continue;
		if (!each(arg, &e))
			return false;
	}
	return true;
}

size_t shard_bytes(const struct shard *s)
{
	return s != NULL ? s->bytes : 0;
}

void shard_free(struct shard *s)
{
	free(s);
}

/* ---- building */

struct build {
	struct shard *s;
	uint64_t *keys;
	struct body *bodies;
	char *texts;
	size_t n, used;
	uint32_t *seen; /* where each basis stands, plus one; open addressing */
	size_t seen_room;
};

static size_t text_len(uint64_t key, const struct entry *e)
{
	return strlen(e->case_id) + 1 + strlen(e->basis) + 1 +
		((key & HASHED) != 0 ? strlen(e->value) + 2 : 0);
}

static uint32_t put_text(struct build *b, const char *text)
{
	size_t len = strlen(text) + 1, at = b->used;

	memcpy(b->texts + at, text, len);
	b->used += len;
	return (uint32_t)at;
}

static uint32_t put_basis(struct build *b, const char *text)
{
	uint64_t h = shard_key(SCOPE_NAME, SERVICE_SMS, slice_str(text));
	size_t i = (size_t)(h ^ h >> 29) & (b->seen_room - 1);

	for (; b->seen[i] != 0; i = (i + 1) & (b->seen_room - 1))
		if (strcmp(b->texts + b->seen[i] - 1, text) == 0)
			return b->seen[i] - 1;
	b->seen[i] = put_text(b, text) + 1;
	return b->seen[i] - 1;
}

static void put_entry(struct build *b, uint64_t key, const struct entry *e)
{
	struct body *to = &b->bodies[b->n];

	b->keys[b->n++] = key;
	to->until_action = (uint64_t)e->until_s * 4 + action_index(e->action);
	to->release = e->release;
	to->texts = (uint32_t)b->used;
	if ((key & HASHED) != 0) {
		b->texts[b->used++] = who(e->scope, e->service);
		(void)put_text(b, e->value);
	}
	(void)put_text(b, e->case_id);
	to->basis = put_basis(b, e->basis);
}

/* Room for n entries and so many bytes of texts, at most. */
static bool build_begin(struct build *b, size_t n, size_t text)
{
	size_t fixed = sizeof(struct shard) + n * (sizeof(uint64_t) + sizeof(struct body));
	char *room;

	if (text >= UINT32_MAX)
		return false;
	*b = (struct build){.seen_room = 8};
	while (b->seen_room < 2 * n)
		b->seen_room *= 2;
	b->seen = calloc(b->seen_room, sizeof(*b->seen));
	room = malloc(fixed + text);
	if (b->seen == NULL || room == NULL) {
		free(b->seen);
		free(room);
		return false;
	}
	b->s = (struct shard *)(void *)room;
	b->keys = (uint64_t *)(void *)(room + sizeof(struct shard));
	b->bodies = (struct body *)(void *)(b->keys + n);
	b->texts = (char *)(b->bodies + n);
	return true;
}

/* Moves to a block of the right size: cut short in place, thousands of them would leave thousands of gaps between them. */
static struct shard *build_end(struct build *b, size_t n)
{
	size_t bytes =
		sizeof(struct shard) + n * (sizeof(uint64_t) + sizeof(struct body)) + b->used;
	char *room = malloc(bytes);

	free(b->seen);
	if (room != NULL) {
		memcpy(room, b->s, bytes);
		free(b->s);
	} else {
		room = (char *)b->s;
	}
	struct shard *s = (struct shard *)(void *)room;
	const uint64_t *keys = (const uint64_t *)(const void *)(room + sizeof(struct shard));
	const struct body *bodies = (const struct body *)(const void *)(keys + n);

	*s = (struct shard){.n = b->n,
		.bytes = bytes,
		.keys = keys,
		.bodies = bodies,
		.texts = (const char *)(bodies + n)};
	return s;
}

/* Walks old entries and edits side by side. With b == NULL it only counts entries and bytes of texts. */
static void merge(const struct shard *old, const struct edit *x, size_t n, struct build *b,
	size_t *count, size_t *text)
{
	size_t i = 0, j = 0, old_n = old != NULL ? old->n : 0;

	*count = *text = 0;
	while (i < old_n || j < n) {
		struct entry was = {0};
		int side = 1;

		/* the newest of equal keys */
		while (j + 1 < n && key_cmp(x[j].key, &x[j].e, x[j + 1].key, &x[j + 1].e) == 0)
			j++;
		if (i < old_n) {
			was = hashed_at(old, i);
			side = j < n ? key_cmp(old->keys[i], &was, x[j].key, &x[j].e) : -1;
		}
		const struct entry *e = side < 0 ? &was : &x[j].e;
		uint64_t key = side < 0 ? old->keys[i] : x[j].key;

		if (side < 0 || x[j].add) {
			++*count;
			*text += text_len(key, e);
			if (b != NULL)
				put_entry(b, key, e);
		}
		i += side <= 0 ? 1 : 0;
		j += side >= 0 ? 1 : 0;
	}
}

enum rc shard_edit(const struct shard *old, const struct edit *edits, size_t n, struct shard **out)
{
	struct build b;
	size_t count, text;

	merge(old, edits, n, NULL, &count, &text);
	if (count == 0)
		return RC_NONE;
	if (!build_begin(&b, count, text))
		return RC_RETRY;
	merge(old, edits, n, &b, &count, &text);
	*out = build_end(&b, count);
	return RC_OK;
}
