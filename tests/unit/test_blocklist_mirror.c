/* The list in memory without a ledger: shards against a plain model under random edits, their size, and readers that look up while the
 * writer swaps tables below them (run it under the thread sanitizer). */
#include <pthread.h>

#include "blocklist/mirror.h"
#include "tests/unit/check.h"

#define VALUES 40

/* Digits with and without leading zeros, of many lengths, and names; some values exist in several scopes. */
static void value_of(unsigned i, enum scope *scope, char out[SENDER_TEXT])
{
	*scope = i % 4 == 0 ? SCOPE_NAME : i % 4 == 1 ? SCOPE_SHORT : SCOPE_NUMBER;
	if (i % 4 == 0)
		(void)snprintf(out, SENDER_TEXT, "bank-%u \xc4\x91", i);
	else if (i % 8 == 3)
		(void)snprintf(out, SENDER_TEXT, "%0*u", 1 + (int)i % 16, i / 8);
	else
		(void)snprintf(out, SENDER_TEXT, "849%08u", i);
}

static void test_keys(void)
{
	static const struct {
		enum scope scope;
		enum service service;
		const char *value;
	} keys[] = {
		{SCOPE_NUMBER, SERVICE_SMS, "84900000001"},
		{SCOPE_NUMBER, SERVICE_VOICE, "84900000001"},
		{SCOPE_SHORT, SERVICE_SMS, "84900000001"},
		{SCOPE_NUMBER, SERVICE_SMS, "084900000001"},
		{SCOPE_NUMBER, SERVICE_SMS, "84900000002"},
		{SCOPE_NUMBER, SERVICE_SMS, "999999999999999"},
		{SCOPE_NUMBER, SERVICE_SMS, "9999999999999999"},
		{SCOPE_NAME, SERVICE_SMS, "84900000001"},
		{SCOPE_NAME, SERVICE_SMS, "a"},
		{SCOPE_NAME, SERVICE_VOICE, "a"},
		{SCOPE_SHORT, SERVICE_SMS, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		for (size_t j = 0; j < i; j++) {
			CHECK_CASE("%zu %zu", i, j);
			CHECK(shard_key(keys[i].scope, keys[i].service, slice_str(keys[i].value)) !=
				shard_key(
					keys[j].scope, keys[j].service, slice_str(keys[j].value)));
		}
}

struct model {
	bool listed;
	struct entry e;
	char value[SENDER_TEXT], case_id[24], basis[32];
};

static struct edit edit_of(const struct entry *e, bool add, uint32_t ord)
{
	struct edit x = {.e = *e,
		.add = add,
		.ord = ord,
		.key = shard_key(e->scope, e->service, slice_str(e->value))};

	x.shard = shard_index(x.key);
	return x;
}

static void check_model(const struct table *t, const struct model *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct entry got = {0};
		bool found = shard_find(
			table_shard(
				t, shard_key(m[i].e.scope, m[i].e.service, slice_str(m[i].value))),
			m[i].e.scope, m[i].e.service, slice_str(m[i].value), &got);

		CHECK_CASE("%s %d", m[i].value, (int)m[i].e.service);
		CHECK_INT(found, m[i].listed);
		if (!found || !m[i].listed)
			continue;
		CHECK_STR(got.action, m[i].e.action);
		CHECK_STR(got.case_id, m[i].case_id);
		CHECK_STR(got.basis, m[i].basis);
		CHECK_INT(got.until_s, m[i].e.until_s);
		CHECK_INT(got.release, m[i].e.release);
	}
}

static void test_against_a_model(void)
{
	static const char *const actions[] = {"bar", "throttle", "label"};
	static struct model m[VALUES * SERVICES];
	struct table *t = NULL;
	unsigned seed = 11;

	for (unsigned i = 0; i < VALUES * SERVICES; i++) {
		value_of(i / 2, &m[i].e.scope, m[i].value);
		m[i].e.service = i % 2 == 0 ? SERVICE_SMS : SERVICE_VOICE;
		m[i].e.value = m[i].value;
	}
	for (uint32_t round = 0; round < 200; round++) {
		struct edit edits[64];
		struct model before[64]; /* texts as they were when the edit was made */
		struct table *next = NULL;
		size_t n = 0;

		while (n < 64) {
			unsigned pick = (seed = seed * 1664525u + 1013904223u) >> 8;
			struct model *one = &m[pick % (VALUES * SERVICES)];

			one->listed = pick / 128 % 3 != 0;
			one->e.action = actions[pick / 512 % 3];
			one->e.until_s = pick % 2 == 0 ? 0 : 1790000000 + pick % 1000;
			one->e.release = round;
			(void)snprintf(one->case_id, sizeof(one->case_id), "c-%u", pick % 100000);
			(void)snprintf(one->basis, sizeof(one->basis), "basis %u", pick % 5);
			before[n] = *one;
			before[n].e.case_id = before[n].case_id;
			before[n].e.basis = before[n].basis;
			edits[n] = edit_of(&before[n].e, one->listed, (uint32_t)n);
			n++;
		}
		CHECK_RC(table_edit(t, edits, n, &next), RC_OK, NULL);
		table_free_old(t, next);
		t = next;
		check_model(t, m, VALUES * SERVICES);
	}
	size_t bytes = sizeof(*t);

	for (size_t i = 0; i < SHARDS; i++)
		bytes += shard_bytes(t->shards[i]);
	CHECK_INT(t->bytes, bytes);
	/* and everything out again */
	struct edit edits[VALUES * SERVICES];
	struct table *next = NULL;

	for (uint32_t i = 0; i < VALUES * SERVICES; i++)
		edits[i] = edit_of(&m[i].e, false, i);
	CHECK_RC(table_edit(t, edits, VALUES * SERVICES, &next), RC_OK, NULL);
	table_free_old(t, next);
	CHECK_INT(next->bytes, sizeof(*next));
	table_free(next);
}

/* 1,000,000 entries are to fit in about 64 MB; a tenth of that here. */
static void test_size(void)
{
	enum { N = 100000, CASE = 24, TEXTS = SENDER_TEXT + CASE };
	struct edit *edits = calloc(N, sizeof(*edits));
	char *texts = calloc(N, TEXTS);
	struct table *t = NULL;

	if (edits == NULL || texts == NULL)
		exit(1);
	for (uint32_t i = 0; i < N; i++) {
		char *value = texts + (size_t)i * TEXTS, *case_id = value + SENDER_TEXT;

		(void)snprintf(value, SENDER_TEXT, "849%08u", i * 997u % 100000000u);
		(void)snprintf(case_id, CASE, "c-%013u", i);
		struct entry e = {.scope = SCOPE_NUMBER,
			.value = value,
			.action = "bar",
			.case_id = case_id,
			.until_s = 1790000000,
			.basis = "Decree 91/2020/ND-CP; carrier policy",
			.release = i};

		edits[i] = edit_of(&e, true, i);
	}
	CHECK_RC(table_edit(NULL, edits, N, &t), RC_OK, NULL);
	CHECK(t->bytes / N <= 64);
	table_free(t);
	free(edits);
	free(texts);
}

/* ---- a writer and readers */

static struct mirror *mirror;
static atomic_bool over;
static atomic_uint wrong;

static void *reader(void *arg)
{
	struct sender s = {.scope = SCOPE_NUMBER, .value = "84900000001"};
	int64_t last = 0, age = 0, synced;
	struct lookup out;

	(void)arg;
	while (!atomic_load(&over)) {
		struct list_mark mark;
		enum rc rc = mirror_lookup(mirror, &s, SERVICE_SMS, 0, 0, 10, &out, &age);

		if (rc != RC_OK || out.release < last ||
			strcmp(out.case_id, "c-0000000000001") != 0)
			atomic_fetch_add(&wrong, 1);
		last = out.release;
		if (!mirror_mark(mirror, &mark, &synced) || mark.release < last)
			atomic_fetch_add(&wrong, 1);
		const struct table *t = mirror_pin(mirror);
		table_mark(t, -1, &mark);
		if (mark.release < last)
			atomic_fetch_add(&wrong, 1);
		mirror_unpin(t);
	}
	return NULL;
}

static void publish(int64_t release)
{
	struct entry e = {.scope = SCOPE_NUMBER,
		.value = "84900000001",
		.action = "bar",
		.case_id = "c-0000000000001",
		.basis = "b",
		.release = release};
	struct edit x = edit_of(&e, true, 0);
	struct table *t = NULL;

	CHECK_RC(table_edit(mirror_table(mirror), &x, 1, &t), RC_OK, NULL);
	t->mark = (struct list_mark){.list = "a", .release = release};
	mirror_publish(mirror, t, 0);
}

static void test_readers_while_it_changes(void)
{
	pthread_t threads[4];
	struct err e;

	CHECK_RC(mirror_new(&mirror, &e), RC_OK, &e);
	publish(1);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		if (pthread_create(&threads[i], NULL, reader, NULL) != 0)
			exit(1);
	for (int64_t n = 2; n < 300; n++)
		publish(n);
	atomic_store(&over, true);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		(void)pthread_join(threads[i], NULL);
	CHECK_INT(atomic_load(&wrong), 0);
	mirror_free(mirror);
}

static bool note_release(void *arg, const struct entry *e)
{
	CHECK_STR(e->value, "84900000001");
	*(int64_t *)arg = e->release;
	return true;
}

/* Walkers keep what they pinned, whoever of them ends first. */
static void test_pinned(void)
{
	const struct table *pinned[8];
	struct list_mark mark;
	struct err e;

	CHECK_RC(mirror_new(&mirror, &e), RC_OK, &e);
	CHECK(mirror_pin(mirror) == NULL);
	mirror_unpin(NULL);
	for (int64_t n = 0; n < 8; n++) {
		publish(n + 1);
		pinned[n] = mirror_pin(mirror);
	}
	publish(9);
	for (int i = 0; i < 8; i++) {
		int at = i * 3 % 8;
		int64_t seen = 0;

		table_mark(pinned[at], -1, &mark);
		CHECK_INT(mark.release, at + 1);
		CHECK(table_each(pinned[at], SERVICE_SMS, note_release, &seen));
		CHECK_INT(seen, at + 1);
		seen = -1;
		CHECK(table_each(pinned[at], SERVICE_VOICE, note_release, &seen));
		CHECK_INT(seen, -1);
		mirror_unpin(pinned[at]);
		publish(10 + i);
	}
	mirror_free(mirror); /* the address sanitizer sees what was not freed */
}

static void test_unknown_stale_and_ended(void)
{
	struct sender s = {.scope = SCOPE_NAME, .value = "bank"},
		      other = {.scope = SCOPE_NAME, .value = "bankx"};
	char basis[160];
	struct entry one = {.scope = SCOPE_NAME,
		.value = "bank",
		.action = "throttle",
		.case_id = "c-0000000000001",
		.until_s = 100,
		.release = 3,
		.basis = basis};
	struct table *t = NULL;
	struct lookup out = {0};
	int64_t age = -1, synced;
	struct list_mark mark;
	struct err e;

	(void)snprintf(basis, sizeof(basis), "%0126d\xc4\x91 and more",
		0); /* the cut falls into a character */
	struct edit x = edit_of(&one, true, 0);

	CHECK_RC(mirror_new(&mirror, &e), RC_OK, &e);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 50, 0, 10, &out, &age), RC_RETRY, NULL);
	CHECK(!mirror_mark(mirror, &mark, &synced));
	mirror_wait(mirror, 0, 0); /* comes back */
	CHECK_RC(table_edit(NULL, &x, 1, &t), RC_OK, NULL);
	t->mark = (struct list_mark){.list = "a", .release = 3, .count = 1};
	mirror_publish(mirror, t, 5 * US_PER_S);
	mirror_wait(mirror, 2, 60000); /* is above already */
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 50, 7 * US_PER_S, 10, &out, &age), RC_OK,
		NULL);
	CHECK_STR(out.action, "throttle");
	CHECK_INT(out.until_s, 100);
	CHECK_INT(out.release, 3);
	CHECK_INT(strlen(out.basis), 126);
	CHECK_INT(age, 2);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_VOICE, 50, 7 * US_PER_S, 10, &out, &age),
		RC_NONE, NULL);
	CHECK_RC(mirror_lookup(mirror, &other, SERVICE_SMS, 50, 7 * US_PER_S, 10, &out, &age),
		RC_NONE, NULL);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 99, 7 * US_PER_S, 10, &out, &age), RC_OK,
		NULL);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 100, 7 * US_PER_S, 10, &out, &age), RC_NONE,
		NULL);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 50, 15 * US_PER_S, 10, &out, &age), RC_OK,
		NULL);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 50, 15 * US_PER_S + 1, 10, &out, &age),
		RC_RETRY, NULL);
	mirror_synced(mirror, 15 * US_PER_S);
	CHECK_RC(mirror_lookup(mirror, &s, SERVICE_SMS, 50, 15 * US_PER_S + 1, 10, &out, &age),
		RC_OK, NULL);
	CHECK(mirror_mark(mirror, &mark, &synced) && mark.count == 1 && synced == 15 * US_PER_S);
	mirror_free(mirror);
}

int main(void)
{
	RUN(test_keys);
	RUN(test_against_a_model);
	RUN(test_size);
	RUN(test_unknown_stale_and_ended);
	RUN(test_pinned);
	RUN(test_readers_while_it_changes);
	return check_done();
}
