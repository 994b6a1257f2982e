/* What follows the list on a real PostgreSQL: a feed reader that trusts only what it computed itself, and the mirror, through the same
 * random course of releases, gaps, a new lineage and a damaged list. Skipped without KHIEN_TEST_PG. */
#include <pthread.h>

#include "tests/unit/listtest.h"

/* ---- a reader: the digest of what it was told, from the JSON alone */

struct reader {
	char list[37];
	int64_t release, count;
	struct digest digest;
};

/* The text or number behind "key": in one object; cut at the quote, comma or brace. */
static const char *field(const char *json, const char *key)
{
	static char out[8][256];
	static int turn;
	char *to = out[turn++ % 8], mark[40];
	const char *from;
	size_t n = 0;

	(void)snprintf(mark, sizeof(mark), "\"%s\":", key);
	from = strstr(json, mark);
	if (from == NULL) {
		CHECK_CASE("no \"%s\" in %.60s", key, json);
		CHECK(from != NULL);
		return "";
	}
	from += strlen(mark);
	bool quoted = *from == '"';

	for (from += quoted ? 1 : 0;
		n < 255 && (quoted ? *from != '"' : strchr(",}]", *from) == NULL); from++)
		to[n++] = *from;
	to[n] = '\0';
	return to;
}

static void told(struct reader *r, const char *object, bool add)
{
	struct entry e = {.scope = scope_parse(slice_str(field(object, "scope"))),
		.value = field(object, "value"),
		.service =
			strcmp(field(object, "service"), "sms") == 0 ? SERVICE_SMS : SERVICE_VOICE,
		.action = field(object, "action"),
		.case_id = field(object, "case")};
	const char *until = field(object, "until");
	int64_t us = 0;

	if (strcmp(until, "null") != 0)
		CHECK_RC(time_parse(slice_str(until), &us), RC_OK, NULL);
	e.until_s = us / US_PER_S;
	if (add)
		digest_add(&r->digest, &e);
	else
		digest_sub(&r->digest, &e);
	r->count += add ? 1 : -1;
}

static void check_reader(const struct reader *r, const char *head)
{
	char hex[65];

	digest_hex(&r->digest, hex);
	CHECK_STR(field(head, "digest"), hex);
	CHECK_INT(atoll(field(head, "count")), r->count);
}

static bool gather(void *arg, struct slice piece)
{
	buf_add(arg, piece);
	return true;
}

static void read_snapshot(struct reader *r, int service)
{
	BUF_OWN struct buf b;
	struct list_mark mark = {0};
	struct mirror *m = NULL;
	struct err e = {0};
	struct slice rest, line;
	char head[512] = "";
	int lines = 0;

	buf_init(&b, 1 << 24);
	memset(r, 0, sizeof(*r));
	CHECK_RC(mirror_new(&m, &e), RC_OK, &e);
	CHECK_RC(mirror_follow(m, pg, 1, &e), RC_OK, &e);
	const struct table *t = mirror_pin(m);

	CHECK(feed_snapshot(t, service, now / US_PER_S, gather, &b));
	table_mark(t, service, &mark);
	struct digest buckets[256], sum = {{0}};

	feed_buckets(t, service, buckets);
	for (int i = 0; i < 256; i++)
		digest_join(&sum, &buckets[i]);
	CHECK(digest_same(&sum, &mark.digest));
	mirror_unpin(t);
	mirror_free(m);
	rest = buf_slice(&b);
	while (slice_line(&rest, &line)) {
		if (lines++ == 0)
			(void)snprintf(head, sizeof(head), "%.*s", (int)line.len, line.ptr);
		else if (rest.len > 0)
			told(r, line.ptr, true);
		else
			CHECK_SLICE(line, head);
	}
	check_reader(r, head);
	CHECK_INT(mark.count, r->count);
	(void)snprintf(r->list, sizeof(r->list), "%s", field(head, "list"));
	r->release = atoll(field(head, "release"));
}

/* One answer; how many changes it held. */
static int read_changes(struct reader *r, int service, enum rc want)
{
	BUF_OWN struct buf b;
	struct list_mark mark;
	struct err e = {0};
	int n = 0;

	buf_init(&b, 1 << 26);
	enum rc rc = feed_changes(pg, r->list, r->release, service, &b, &mark, &e);

	CHECK_RC(rc, want, &e);
	if (rc != RC_OK)
		return 0;
	CHECK_INT(atoll(field(b.ptr, "from")), r->release);
	for (const char *p = strstr(b.ptr, "{\"scope\""); p != NULL;
		p = strstr(p + 1, "{\"scope\""), n++) {
		told(r, p, strcmp(field(p, "op"), "add") == 0);
		CHECK(atoll(field(p, "release")) > r->release);
	}
	r->release = atoll(field(b.ptr, "to"));
	check_reader(r, b.ptr);
	CHECK_STR(field(b.ptr, "more"), r->release < mark.release ? "true" : "false");
	return n;
}

/* ---- the mirror */

static void check_mirror(struct mirror *m, int64_t mono_us)
{
	struct pg_result *r = NULL;
	struct list_mark mark;
	int64_t synced = 0, age;
	struct err e;

	CHECK(mirror_mark(m, &mark, &synced));
	CHECK_INT(synced, mono_us);
	pgtest_need(pg_run(pg, "SELECT " ENTRY_COLUMNS ", release FROM entry", NULL, 0, &r, &e), &e,
		"entries");
	CHECK_INT(mark.count, pg_rows(r));
	for (int i = 0; i < pg_rows(r); i++) {
		struct entry want = entry_of_row(r, i, 0);
		struct sender s = {.scope = want.scope};
		struct lookup got = {0};

		(void)snprintf(s.value, sizeof(s.value), "%s", want.value);
		CHECK_RC(mirror_lookup(m, &s, want.service, 0, mono_us, 10, &got, &age), RC_OK,
			NULL);
		CHECK_STR(got.action, want.action);
		CHECK_STR(got.case_id, want.case_id);
		CHECK_STR(got.basis, want.basis);
		CHECK_INT(got.until_s, want.until_s);
		CHECK_INT(got.release, pg_int(r, i, 7));
	}
	pg_free(r);
}

static unsigned seed = 3;

static void random_release(void)
{
	static const char *const origins[] = {"auto:scam", "person:an", "order:1"};
	static const char *const actions[] = {"bar", "throttle", "label"};

	for (int j = 0; j < 5; j++) {
		unsigned pick = (seed = seed * 1664525u + 1013904223u) >> 8;
		char value[16];

		(void)snprintf(value, sizeof(value), "8490000%04u", pick % 30);
		if (pick % 4 == 0)
			drop(value, (int)(pick / 30 % 2), origins[pick / 60 % 3]);
		else
			wish(value, (int)(pick / 30 % 2), origins[pick / 60 % 3],
				actions[pick / 180 % 3], pick / 540 % 4 * 50, 0.5);
		now += (pick % 20) * US_PER_S;
	}
	(void)make(&wide, false);
}

static void test_course(void)
{
	struct reader r[3]; /* sms, voice, both */
	struct mirror *m = NULL;
	struct err e = {0};

	fresh();
	CHECK_RC(mirror_new(&m, &e), RC_OK, &e);
	for (int s = 0; s < 3; s++)
		read_snapshot(&r[s], s == 2 ? -1 : s);
	for (int i = 0; i < 60; i++) {
		enum rc rc;

		random_release();
		for (int s = 0; s < 3; s++)
			if (i % (s + 2) == 0) {
				struct reader fresh_one;

				(void)read_changes(&r[s], s == 2 ? -1 : s, RC_OK);
				read_snapshot(&fresh_one, s == 2 ? -1 : s);
				CHECK(digest_same(&fresh_one.digest, &r[s].digest));
				CHECK_INT(fresh_one.release, r[s].release);
			}
		if (i % 3 == 0) {
			rc = mirror_follow(m, pg, i, &e);
			CHECK(rc == RC_OK || rc == RC_NONE);
			check_mirror(m, i);
		}
	}
	CHECK_INT(read_changes(&r[2], -1, RC_OK) > 0 ? read_changes(&r[2], -1, RC_OK) : 0, 0);
	CHECK_RC(mirror_follow(m, pg, 99, &e), RC_OK, &e);
	CHECK_RC(mirror_follow(m, pg, 100, &e), RC_NONE, &e);
	check_mirror(m, 100);

	CHECK_CASE("ahead");
	r[0].release++;
	r[0].release += 1000;
	(void)read_changes(&r[0], 0, RC_CONFLICT);
	CHECK_CASE("another list");
	r[1].list[0] = r[1].list[0] == 'a' ? 'b' : 'a';
	(void)read_changes(&r[1], 1, RC_CONFLICT);
	CHECK_CASE("no longer kept");
	pgtest_do(pg, "DELETE FROM release WHERE n < 20; DELETE FROM change WHERE release < 20");
	r[2].release = 10;
	(void)read_changes(&r[2], -1, RC_CONFLICT);
	r[2].release = 19;
	BUF_OWN struct buf b;
	struct list_mark mark;

	buf_init(&b, 1 << 24);
	CHECK_RC(feed_changes(pg, r[2].list, 19, -1, &b, &mark, &e), RC_OK, &e);
	CHECK_RC(feed_changes(pg, r[2].list, -1, -1, &b, &mark, &e), RC_CONFLICT, &e);

	CHECK_CASE("a new lineage at a lower release");
	pgtest_do(pg, "UPDATE list_head SET list = gen_random_uuid(), release = 5");
	CHECK_RC(mirror_follow(m, pg, 200, &e), RC_OK, &e);
	check_mirror(m, 200);
	mirror_free(m);
}

static void test_gap_and_damage(void)
{
	struct mirror *m = NULL;
	struct err e = {0};

	fresh();
	CHECK_RC(mirror_new(&m, &e), RC_OK, &e);
	for (int i = 0; i < 5; i++)
		random_release();
	CHECK_RC(mirror_follow(m, pg, 1, &e), RC_OK, &e);
	for (int i = 0; i < 5; i++)
		random_release();
	CHECK_CASE("changes are gone: the whole list");
	pgtest_do(pg, "DELETE FROM release WHERE n < (SELECT release FROM list_head)");
	CHECK_RC(mirror_follow(m, pg, 2, &e), RC_OK, &e);
	check_mirror(m, 2);

	CHECK_CASE("a change is gone: the digest shows it, the whole list helps");
	random_release();
	random_release();
	pgtest_do(pg,
		"DELETE FROM change WHERE (release, ord) = (SELECT release, ord FROM change ORDER "
		"BY 1 DESC, 2 LIMIT 1)");
	CHECK_RC(mirror_follow(m, pg, 3, &e), RC_OK, &e);
	check_mirror(m, 3);

	CHECK_CASE("the list itself is damaged: what was known stays, and grows old");
	random_release();
	pgtest_do(pg,
		"DELETE FROM entry WHERE value = (SELECT max(value) FROM entry); DELETE FROM "
		"change");
	CHECK_RC(mirror_follow(m, pg, 4, &e), RC_RETRY, &e);
	CHECK_HAS(e.text, "is not what its head says");
	struct list_mark mark;
	int64_t synced = 0;

	CHECK(mirror_mark(m, &mark, &synced) && synced == 3);
	mirror_free(m);
}

static void test_bound_of_an_answer(void)
{
	struct reader r = {0};

	fresh();
	read_snapshot(&r, -1);
	for (int i = 0; i < 3; i++) {
		pgtest_do(pg,
			"INSERT INTO sender (scope, value, attribution, created_at) SELECT "
			"'number', (84900000000 + i)::text, 'other',"
			" 'epoch' FROM generate_series(%d, %d) i;"
			"INSERT INTO wish (sender, service, origin, action, detail, case_id, "
			"basis, first_at, decided_at, state)"
			" SELECT id, 1, 'order:1', 'bar', 'bar_in', 'c-0000000000001', '', "
			"'epoch', 'epoch', 'wanted' FROM sender WHERE id > 0"
			" ON CONFLICT DO NOTHING",
			i * 20000, i * 20000 + (i == 1 ? 12000 : 6000) - 1);
		CHECK(make(&wide, false).made);
	}
	CHECK_INT(read_changes(&r, 1, RC_OK), 6000);  /* with the next it would be 18,000 */
	CHECK_INT(read_changes(&r, 1, RC_OK), 12000); /* one release is never cut */
	CHECK_INT(read_changes(&r, 1, RC_OK), 6000);
	CHECK_INT(read_changes(&r, 1, RC_OK), 0);
	read_snapshot(&r, 0);
	CHECK_INT(r.count, 0);
	read_snapshot(&r, 1); /* more than one page */
	CHECK_INT(r.count, 24000);
	struct mirror *m = NULL;
	struct err e;

	CHECK_RC(mirror_new(&m, &e), RC_OK, &e);
	CHECK_RC(mirror_follow(m, pg, 1, &e), RC_OK, &e);
	check_mirror(m, 1);
	mirror_free(m);
}

static void *wait_for_one(void *arg)
{
	mirror_wait(arg, 0, 60000);
	return NULL;
}

static void test_waiters_wake(void)
{
	struct mirror *m = NULL;
	pthread_t t;
	struct err e;

	fresh();
	CHECK_RC(mirror_new(&m, &e), RC_OK, &e);
	CHECK_RC(mirror_follow(m, pg, 1, &e), RC_OK, &e);
	if (pthread_create(&t, NULL, wait_for_one, m) != 0)
		exit(1);
	wish("84912345678", 0, "order:1", "bar", 0, 0);
	(void)make(&wide, false);
	CHECK_RC(mirror_follow(m, pg, 2, &e), RC_OK, &e);
	(void)pthread_join(t, NULL); /* would take a minute */
	mirror_free(m);
}

static void test_exempt(void)
{
	BUF_OWN struct buf b;
	struct err e;

	buf_init(&b, 1 << 16);
	pgtest_do(pg, "INSERT INTO exempt VALUES ('18001234', 'our \"own\" care')");
	CHECK_RC(feed_exempt(pg, &b, &e), RC_OK, &e);
	CHECK_HAS(b.ptr, "{\"destinations\":[{\"value\":\"111\",\"why\":\"child protection\"},");
	CHECK_HAS(b.ptr, ",{\"value\":\"18001234\",\"why\":\"our \\\"own\\\" care\"},");
	CHECK_HAS(b.ptr, "{\"value\":\"5656\"");
}

static void test_prune(void)
{
	struct err e;

	fresh();
	pgtest_do(pg,
		"INSERT INTO release (n, list, at, added, removed, count, digest) SELECT i, "
		"gen_random_uuid(),"
		" to_timestamp(1000 + i), 1, 0, 1, '' FROM generate_series(1, 3000) i; UPDATE "
		"list_head SET release = 3000;"
		" INSERT INTO change SELECT n, 0, 'add', 'number', '1', 0, 'bar', 'c', NULL, '' "
		"FROM release;"
		" INSERT INTO pull (token, address, list, release, at) SELECT 't', a, "
		"gen_random_uuid(), 1, to_timestamp(s)"
		" FROM (VALUES ('old', 2499), ('new', 2500)) v (a, s)");
	CHECK_RC(release_prune(pg, INT64_C(2500) * US_PER_S, &e), RC_OK, &e);
	CHECK_STR(pgtest_get(pg,
			  "SELECT min(n) || ' ' || (SELECT min(release) FROM change) FROM release"),
		"1500 1500");
	CHECK_STR(pgtest_get(pg, "SELECT string_agg(address, ' ') FROM pull"), "new");
	CHECK_RC(release_prune(pg, INT64_C(9999) * US_PER_S, &e), RC_OK, &e);
	CHECK_STR(pgtest_get(pg,
			  "SELECT min(n) || ' ' || (SELECT min(release) FROM change) FROM release"),
		"2001 2001");
}

int main(void)
{
	pg = pgtest_begin();
	if (pg == NULL)
		return 0;
	RUN(test_course);
	RUN(test_gap_and_damage);
	RUN(test_bound_of_an_answer);
	RUN(test_waiters_wake);
	RUN(test_exempt);
	RUN(test_prune);
	pgtest_end(pg);
	return check_done();
}
