/* The Redis copy on a real PostgreSQL and a real Redis: it follows, it heals from whatever is done to it, and at no moment it tells that
 * something is known when it is not. Skipped without KHIEN_TEST_PG and KHIEN_TEST_REDIS. Uses and empties database 11. */
#include <pthread.h>

#include "blocklist/redis_copy.h"
#include "tests/unit/listtest.h"

#define DB "/11"

static const struct projection_ops *const ops = &projection_redis;
static struct projection *copy;
static struct redis *redis;
static char url[256];

static struct redis_reply say(const struct slice *argv, size_t argc)
{
	struct redis_reply reply = {0};
	struct err e = {0};

	pgtest_need(redis_do(redis, argv, argc, &reply, &e), &e, "redis");
	return reply;
}

static const char *get(const char *key)
{
	static char out[4][512];
	static int turn;
	struct redis_reply reply = say(ARGV(SLICE("GET"), slice_str(key)));
	char *to = out[turn++ % 4];

	(void)snprintf(to, sizeof(out[0]), "%.*s", (int)reply.text.len, reply.text.ptr);
	return reply.kind == REDIS_TEXT ? to : "(nil)";
}

static struct list_mark head(void)
{
	struct pg_result *r = NULL;
	struct list_mark m;
	struct err e;

	pgtest_need(
		pg_run(pg, "SELECT list, release, count, digest FROM list_head", NULL, 0, &r, &e),
		&e, "head");
	mark_of_row(r, 0, 0, &m);
	pg_free(r);
	return m;
}

/* As the engine follows: at, apply, else rebuild. Answers which way it went. */
static const char *follow(void)
{
	struct list_mark want = head(), has;
	struct err e = {0};
	enum rc rc = ops->at(copy, &has, &e);

	if (rc == RC_OK && mark_same(&has, &want))
		return "nothing";
	if (rc == RC_OK)
		rc = ops->apply(copy, pg, &has, &want, &e);
	if (rc == RC_OK)
		return "apply";
	if (rc != RC_NONE && rc != RC_CONFLICT) {
		CHECK_RC(rc, RC_OK, &e);
		return "error";
	}
	CHECK_RC(ops->rebuild(copy, pg, &e), RC_OK, &e);
	return "rebuild";
}

static void check_copy(void)
{
	struct list_mark want = head(), has = {0};
	struct pg_result *r = NULL;
	struct err e = {0};
	char key[COPY_KEY], value[ENTRY_LINE];

	CHECK_RC(ops->at(copy, &has, &e), RC_OK, &e);
	CHECK(mark_same(&want, &has));
	CHECK_RC(ops->sweep(copy, pg, &e), RC_OK, &e);
	pgtest_need(pg_run(pg, "SELECT " ENTRY_COLUMNS ", release FROM entry", NULL, 0, &r, &e), &e,
		"entries");
	for (int i = 0; i < pg_rows(r); i++) {
		struct entry one = entry_of_row(r, i, 0);
		struct redis_reply ttl;

		(void)copy_key(&one, key);
		(void)snprintf(value, sizeof(value), "%s|%s|%" PRId64 "|%" PRId64, one.action,
			one.case_id, one.until_s, pg_int(r, i, 7));
		CHECK_STR(get(key), value);
		ttl = say(ARGV(SLICE("EXPIRETIME"), slice_str(key)));
		CHECK_INT(ttl.integer, one.until_s == 0 ? -1 : one.until_s + 60);
	}
	pg_free(r);
}

static void begin(void)
{
	fresh();
	now = clk_system.now_us(&clk_system) / US_PER_S * US_PER_S; /* Redis has the real clock */
	(void)say(ARGV(SLICE("FLUSHDB")));
}

#define A "84912345678"
#define B "84912345679"

static void test_layout(void)
{
	char want[512], until[32];
	struct list_mark m;

	begin();
	CHECK_STR(follow(), "rebuild");
	m = head();
	(void)snprintf(want, sizeof(want), "%s|0|0|%064d", m.list, 0);
	CHECK_STR(get("blk:gen"), want); /* a list without entries is known */
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	wish(B, 1, "order:1", "label", 0, 0);
	(void)make(&wide, false);
	CHECK_STR(follow(), "apply");
	check_copy();
	(void)snprintf(until, sizeof(until), "|%" PRId64 "|1", now / US_PER_S + 3600);
	CHECK_HAS(get("blk:sms:number:" A), "bar|c-");
	CHECK_HAS(get("blk:sms:number:" A), until);
	CHECK_HAS(get("blk:voice:number:" B), "|0|1");
	CHECK_STR(get("blk:voice:number:" A), "(nil)");
	CHECK_INT(say(ARGV(SLICE("SISMEMBER"), SLICE("blk:exempt"), SLICE("5656"))).integer, 1);
	CHECK_INT(say(ARGV(SLICE("SISMEMBER"), SLICE("blk:exempt"), SLICE("113"))).integer, 1);
	CHECK_INT(say(ARGV(SLICE("XLEN"), SLICE("blk:changes"))).integer,
		3); /* the rebuild and two adds */
	CHECK_STR(follow(), "nothing");
}

static void test_course(void)
{
	static const char *const origins[] = {"auto:scam", "person:an", "order:1"};
	static const char *const actions[] = {"bar", "throttle", "label"};
	unsigned seed = 5;

	begin();
	for (int i = 0; i < 60; i++) {
		for (int j = 0; j < 4; j++) {
			unsigned pick = (seed = seed * 1664525u + 1013904223u) >> 8;
			char value[16];

			(void)snprintf(value, sizeof(value), "8490000%04u", pick % 20);
			if (pick % 4 == 0)
				drop(value, (int)(pick / 20 % 2), origins[pick / 40 % 3]);
			else
				wish(value, (int)(pick / 20 % 2), origins[pick / 40 % 3],
					actions[pick / 120 % 3], pick / 360 % 3 * 4000, 0.5);
		}
		(void)make(&wide, false);
		if (i % 3 == 0) {
			CHECK_STR(follow(), i == 0 ? "rebuild" : "apply");
			check_copy();
		}
	}
}

/* Whatever is done to the copy, it is seen and healed, and nothing else in the database is touched. */
static void test_heals(void)
{
	static const struct {
		const char *what;
		const char *cmd[6];
		enum rc at, sweep;
	} cases[] = {
		{"all gone", {"FLUSHDB"}, RC_NONE, RC_CONFLICT},
		{"no mark", {"DEL", "blk:gen"}, RC_NONE, RC_CONFLICT},
		{"a mark of nonsense", {"SET", "blk:gen", "x|1|2"}, RC_NONE, RC_CONFLICT},
		{"a mark with letters",
			{"SET", "blk:gen", "00000000-0000-0000-0000-000000000000|a|1|"}, RC_NONE,
			RC_CONFLICT},
		{"another list's mark",
			{"SET", "blk:gen",
				"00000000-0000-0000-0000-000000000000|1|1|"
				"e0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b10"},
			RC_OK, RC_CONFLICT},
		{"an entry is gone", {"DEL", "blk:sms:number:" A}, RC_OK, RC_CONFLICT},
		{"an entry too many",
			{"SET", "blk:sms:number:84900000000", "bar|c-7k3q9w2m4x5zt|0|1"}, RC_OK,
			RC_CONFLICT},
		{"an entry says something else",
			{"SET", "blk:sms:number:" A, "label|c-7k3q9w2m4x5zt|0|1"}, RC_OK,
			RC_CONFLICT},
		{"an entry says nothing", {"SET", "blk:sms:number:" A, "bar"}, RC_OK, RC_CONFLICT},
		{"a key of nonsense", {"SET", "blk:sms:what", "bar|c-7k3q9w2m4x5zt|0|1"}, RC_OK,
			RC_CONFLICT},
		{"a value without end",
			{"SETRANGE", "blk:sms:number:" A, "5",
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
			RC_OK, RC_CONFLICT},
		{"destinations are gone", {"DEL", "blk:exempt"}, RC_OK, RC_OK},
		{"a mark of another type",
			{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')", "1",
				"blk:gen"},
			RC_NONE, RC_CONFLICT},
		{"an entry of another type",
			{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')", "1",
				"blk:sms:number:" A},
			RC_OK, RC_CONFLICT},
	};

	begin();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	wish(B, 1, "order:1", "label", 0, 0);
	(void)make(&wide, false);
	CHECK_STR(follow(), "rebuild");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct list_mark has;
		struct slice argv[6];
		struct err e = {0};
		size_t n = 0;

		CHECK_CASE("%s", cases[i].what);
		for (; n < 6 && cases[i].cmd[n] != NULL; n++)
			argv[n] = slice_str(cases[i].cmd[n]);
		(void)say(argv, n);
		(void)say(ARGV(SLICE("SET"), SLICE("other:key"), SLICE("1")));
		(void)say(ARGV(SLICE("SET"), SLICE("blk:mine"), SLICE("2")));
		CHECK_RC(ops->at(copy, &has, &e), cases[i].at, &e);
		CHECK_RC(ops->sweep(copy, pg, &e), cases[i].sweep, &e);
		if (cases[i].sweep == RC_CONFLICT)
			CHECK_RC(ops->rebuild(copy, pg, &e), RC_OK, &e);
		check_copy();
		CHECK_INT(say(ARGV(SLICE("SISMEMBER"), SLICE("blk:exempt"), SLICE("5656"))).integer,
			1);
		CHECK_STR(get("other:key"), "1");
		CHECK_STR(get("blk:mine"), "2");
		CHECK_STR(get("blk:sms:number:84900000000"), "(nil)");
	}
}

static void test_not_the_next_one(void)
{
	struct list_mark first, has, want;
	struct err e = {0};

	begin();
	CHECK_STR(follow(), "rebuild");
	first = head();
	wish(A, 0, "order:1", "bar", 0, 0);
	(void)make(&wide, false);
	CHECK_STR(follow(), "apply");
	has = head();
	wish(B, 0, "order:1", "bar", 0, 0);
	(void)make(&wide, false);
	want = head();
	CHECK_RC(ops->apply(copy, pg, &first, &want, &e), RC_CONFLICT,
		&e); /* the copy is further than that */
	CHECK_STR(get("blk:sms:number:" B), "(nil)");
	pgtest_do(pg, "DELETE FROM change WHERE release = 2");
	CHECK_RC(ops->apply(copy, pg, &has, &want, &e), RC_CONFLICT, &e); /* the log is not whole */
	pgtest_do(pg, "DELETE FROM release WHERE n = 2");
	CHECK_RC(ops->apply(copy, pg, &has, &want, &e), RC_CONFLICT, &e);
	CHECK_RC(ops->apply(copy, pg, &want, &has, &e), RC_CONFLICT, &e); /* backwards */
	CHECK_STR(follow(), "rebuild");
	check_copy();
	/* a restored ledger has another lineage at a release that was there before */
	pgtest_do(pg, "UPDATE list_head SET list = gen_random_uuid()");
	CHECK_STR(follow(), "rebuild");
	check_copy();
}

/* ---- two who rebuild */

static enum rc other_rc;

static void *rebuild(void *arg)
{
	struct err e = {0};
	struct pg *c = pgtest_open();

	other_rc = ops->rebuild(arg, c, &e);
	pg_close(c);
	return NULL;
}

static void test_the_last_one_who_rebuilds_wins(void)
{
	struct projection *other = NULL;
	struct pg *blocker = pgtest_open();
	struct redis_reply seen = {0};
	struct list_mark has;
	struct err e = {0};
	pthread_t t;

	begin();
	wish(A, 0, "order:1", "bar", 0, 0);
	(void)make(&wide, false);
	CHECK_STR(follow(), "rebuild");
	pgtest_need(
		ops->open(&(struct projection_target){.url = url, .timeout_ms = 2000}, &other, &e),
		&e, "open");
	pgtest_do(blocker, "BEGIN; LOCK TABLE list_head IN ACCESS EXCLUSIVE MODE");
	if (pthread_create(&t, NULL, rebuild, other) != 0)
		exit(1);
	/* it has begun: the mark is gone, the entries are not */
	for (int64_t end = clk_system.mono_us(&clk_system) + 20 * US_PER_S;
		clk_system.mono_us(&clk_system) < end;) {
		seen = say(ARGV(SLICE("EXISTS"), SLICE("blk:gen")));
		if (seen.integer == 0)
			break;
	}
	CHECK_INT(seen.integer, 0);
	CHECK_RC(ops->at(copy, &has, &e), RC_NONE, &e);
	CHECK_HAS(get("blk:sms:number:" A), "bar|");
	(void)say(ARGV(SLICE("SET"), SLICE("blk:rebuild"), SLICE("somebody else")));
	pgtest_do(blocker, "COMMIT");
	(void)pthread_join(t, NULL);
	CHECK_RC(other_rc, RC_CONFLICT, NULL);
	CHECK_RC(ops->at(copy, &has, &e), RC_NONE, &e);
	CHECK_STR(follow(), "rebuild");
	check_copy();
	ops->close(other);
	pg_close(blocker);
}

/* One that is stopped in its rebuild, and goes on when its successor has rebuilt: what it still has in hand is of an older list. */
static void test_a_stopped_writer_writes_nothing_more(void)
{
	static const char *const stops[] = {
		"list_head", "exempt"}; /* before the entries, behind them */

	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		struct projection *other = NULL;
		struct pg *blocker = pgtest_open();
		struct err e = {0};
		pthread_t t;

		CHECK_CASE("%s", stops[i]);
		begin();
		wish(A, 0, "order:1", "bar", 0, 0);
		(void)make(&wide, false);
		CHECK_STR(follow(), "rebuild");
		pgtest_need(ops->open(&(struct projection_target){.url = url, .timeout_ms = 2000},
				    &other, &e),
			&e, "open");
		pgtest_do(blocker, "BEGIN; LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", stops[i]);
		if (pthread_create(&t, NULL, rebuild, other) != 0)
			exit(1);
		int64_t waiting = 0;
		char waits[160];
		(void)snprintf(waits, sizeof(waits),
			"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
			"to_regclass('%s')",
			stops[i]);
		for (int64_t end = clk_system.mono_us(&clk_system) + 20 * US_PER_S;
			waiting == 0 && clk_system.mono_us(&clk_system) < end;)
			waiting = atoll(pgtest_get(blocker, waits));
		CHECK_INT(waiting, 1);
		/* what a successor does: A is lifted, B is new */
		(void)say(ARGV(SLICE("SET"), SLICE("blk:rebuild"), SLICE("the successor")));
		(void)say(ARGV(SLICE("DEL"), SLICE("blk:sms:number:" A)));
		(void)say(ARGV(SLICE("SET"), SLICE("blk:sms:number:" B), SLICE("bar|c|0|2")));
		(void)say(ARGV(SLICE("DEL"), SLICE("blk:rebuild")));
		(void)say(ARGV(SLICE("SET"), SLICE("blk:gen"), SLICE("of the successor")));
		pgtest_do(blocker, "COMMIT");
		(void)pthread_join(t, NULL);
		CHECK_RC(other_rc, RC_CONFLICT, NULL);
		CHECK_STR(get("blk:sms:number:" A), "(nil)");
		CHECK_STR(get("blk:sms:number:" B), "bar|c|0|2");
		CHECK_STR(get("blk:gen"), "of the successor");
		ops->close(other);
		pg_close(blocker);
	}
}

static void test_a_server_that_evicts_is_refused(void)
{
	static const struct {
		const char *max, *policy;
		enum rc want;
	} cases[] = {
		{"100mb", "allkeys-lru", RC_INVALID}, {"100mb", "volatile-ttl", RC_INVALID},
		{"100mb", "noeviction", RC_OK},
		{"0", "allkeys-lru", RC_OK}, /* without a limit nothing is thrown away */
	};
	struct redis_reply was = say(ARGV(SLICE("CONFIG"), SLICE("GET"), SLICE("maxmemory")));
	char max[32];

	(void)snprintf(max, sizeof(max), "%s", redis_item(&was, 1).text.ptr);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct projection *p = NULL;
		struct err e = {0};

		CHECK_CASE("%s %s", cases[i].max, cases[i].policy);
		(void)say(ARGV(SLICE("CONFIG"), SLICE("SET"), SLICE("maxmemory"),
			slice_str(cases[i].max)));
		(void)say(ARGV(SLICE("CONFIG"), SLICE("SET"), SLICE("maxmemory-policy"),
			slice_str(cases[i].policy)));
		CHECK_RC(ops->open(&(struct projection_target){.url = url, .timeout_ms = 1000}, &p,
				 &e),
			cases[i].want, &e);
		if (cases[i].want == RC_INVALID)
			CHECK_HAS(e.text, "noeviction");
		ops->close(p);
	}
	(void)say(ARGV(SLICE("CONFIG"), SLICE("SET"), SLICE("maxmemory"), slice_str(max)));
	(void)say(ARGV(
		SLICE("CONFIG"), SLICE("SET"), SLICE("maxmemory-policy"), SLICE("noeviction")));
}

/* The connection dies under it: an error, and the next call begins anew. */
static void test_a_lost_connection(void)
{
	struct list_mark has;
	struct err e = {0};

	begin();
	CHECK_STR(follow(), "rebuild");
	(void)say(ARGV(SLICE("CLIENT"), SLICE("KILL"), SLICE("TYPE"), SLICE("normal"),
		SLICE("SKIPME"), SLICE("yes")));
	CHECK_RC(ops->at(copy, &has, &e), RC_RETRY, &e);
	CHECK_RC(ops->at(copy, &has, &e), RC_OK, &e);
}

/* ---- answers that come too late */

/* Writes wait: for the whole server until let_go. What only reads is answered, so that a call is cut in its middle. */
static void hold_writes(void)
{
	(void)say(ARGV(SLICE("CLIENT"), SLICE("PAUSE"), SLICE("60000"), SLICE("WRITE")));
}

static void let_go(void)
{
	(void)say(ARGV(SLICE("CLIENT"), SLICE("UNPAUSE")));
}

static enum rc late_at(struct projection *p, struct err *e)
{
	struct list_mark has;

	/* Everything waits, this connection's next command too: it ends by itself. */
	(void)say(ARGV(SLICE("CLIENT"), SLICE("PAUSE"), SLICE("1000"), SLICE("ALL")));
	return ops->at(p, &has, e);
}

static enum rc late_apply(struct projection *p, struct err *e)
{
	struct list_mark want = head(), has;
	enum rc rc = ops->at(p, &has, e);

	hold_writes();
	return rc == RC_OK ? ops->apply(p, pg, &has, &want, e) : RC_FATAL;
}

static enum rc late_sweep(struct projection *p, struct err *e)
{
	CHECK_STR(follow(), "apply");
	hold_writes();
	return ops->sweep(p, pg, e); /* the destinations are written */
}

static enum rc late_rebuild(struct projection *p, struct err *e)
{
	hold_writes();
	return ops->rebuild(p, pg, e);
}

/* The connection that waited is thrown away with its answer: whatever came after it to the server is what the next call reads, and half a
 * transaction is none. */
static void test_a_late_answer_is_nobodys(void)
{
	static const struct {
		const char *what;
		enum rc (*call)(struct projection *p, struct err *e);
	} cases[] = {
		{"at", late_at},
		{"apply", late_apply},
		{"sweep", late_sweep},
		{"rebuild", late_rebuild},
	};
	struct projection *p = NULL;
	struct err e = {0};

	begin();
	CHECK_STR(follow(), "rebuild");
	pgtest_need(ops->open(&(struct projection_target){.url = url, .timeout_ms = 200}, &p, &e),
		&e, "open");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct list_mark has, want;
		char value[16];

		CHECK_CASE("%s", cases[i].what);
		(void)snprintf(value, sizeof(value), "8490000000%zu", i);
		wish(value, 0, "order:1", "bar", 0, 0);
		(void)make(&wide, false);
		CHECK_RC(cases[i].call(p, &e), RC_RETRY, &e);
		CHECK_HAS(e.text, "in time");
		let_go();
		(void)follow(); /* by the other connection: the server has moved on */
		want = head();
		CHECK_RC(ops->at(p, &has, &e), RC_OK, &e);
		CHECK(mark_same(&has, &want));
		check_copy();
		wish(value, 1, "order:1", "bar", 0, 0);
		(void)make(&wide, false);
		want = head();
		CHECK_RC(ops->apply(p, pg, &has, &want, &e), RC_OK, &e);
		check_copy();
	}
	ops->close(p);
}

/* In the middle of a rebuild, with entries on their way. */
static void test_a_rebuild_that_is_cut_is_begun_anew(void)
{
	struct pg *blocker = pgtest_open();
	struct projection *other = NULL;
	struct redis_reply seen = {0};
	struct list_mark has;
	struct err e = {0};
	pthread_t t;

	begin();
	wish(A, 0, "order:1", "bar", 0, 0);
	(void)make(&wide, false);
	CHECK_STR(follow(), "rebuild");
	pgtest_need(
		ops->open(&(struct projection_target){.url = url, .timeout_ms = 200}, &other, &e),
		&e, "open");
	pgtest_do(blocker, "BEGIN; LOCK TABLE list_head IN ACCESS EXCLUSIVE MODE");
	if (pthread_create(&t, NULL, rebuild, other) != 0)
		exit(1);
	for (int64_t end = clk_system.mono_us(&clk_system) + 20 * US_PER_S;
		clk_system.mono_us(&clk_system) < end;) {
		seen = say(ARGV(SLICE("EXISTS"), SLICE("blk:gen")));
		if (seen.integer == 0)
			break;
	}
	hold_writes();
	pgtest_do(blocker, "COMMIT");
	(void)pthread_join(t, NULL);
	CHECK_RC(other_rc, RC_RETRY, NULL);
	let_go();
	CHECK_RC(ops->at(other, &has, &e), RC_NONE, &e);
	CHECK_RC(ops->rebuild(other, pg, &e), RC_OK, &e);
	check_copy();
	ops->close(other);
	pg_close(blocker);
}

/* The rights that deploy/redis/ ships for the writer are enough. */
static void test_least_rights(void)
{
	BUF_OWN struct buf file;
	struct slice argv[64] = {
		SLICE("ACL"), SLICE("SETUSER"), SLICE("khien-test"), SLICE("on"), SLICE(">secret")};
	struct slice rest, line, word;
	struct projection *was = copy;
	struct err e = {0};
	char as[300];
	size_t n = 5;

	buf_init(&file, 1 << 20);
	pgtest_need(
		file_read(SOURCE_DIR "/deploy/redis/users.acl", false, &file, &e), &e, "rights");
	rest = buf_slice(&file);
	while (slice_line(&rest, &line) && !slice_starts(line, SLICE("user khien-writer ")))
		;
	begin();
	for (int i = 0; slice_cut(&line, ' ', &word) && n < ARRAY_LEN(argv); i++)
		if (i > 3) /* user NAME on #HASH */
			argv[n++] = word;
	CHECK(n > 10);
	(void)say(argv, n);
	(void)snprintf(as, sizeof(as), "redis://khien-test:secret@%s", strstr(url, "://") + 3);
	copy = NULL;
	pgtest_need(
		ops->open(&(struct projection_target){.url = as, .timeout_ms = 5000}, &copy, &e),
		&e, "open");
	CHECK_STR(follow(), "rebuild");
	wish(A, 0, "order:1", "bar", 0, 0);
	(void)make(&wide, false);
	CHECK_STR(follow(), "apply");
	drop(A, 0, "order:1");
	(void)make(&wide, false);
	CHECK_STR(follow(), "apply");
	(void)say(ARGV(SLICE("SET"), SLICE("blk:sms:number:84900000000"),
		SLICE("bar|c-7k3q9w2m4x5zt|0|1")));
	CHECK_RC(ops->sweep(copy, pg, &e), RC_CONFLICT, &e);
	CHECK_RC(ops->rebuild(copy, pg, &e), RC_OK, &e);
	check_copy();
	ops->close(copy);
	copy = was;
	(void)say(ARGV(SLICE("ACL"), SLICE("DELUSER"), SLICE("khien-test")));
}

static void test_many(void)
{
	const char *size = getenv("KHIEN_SIZE");
	const int N = size != NULL && strcmp(size, "full") == 0 ? 100000 : 20000;
	struct err e = {0};
	int64_t at;

	begin();
	pgtest_do(pg,
		"INSERT INTO sender (scope, value, attribution, created_at) SELECT 'number', "
		"(84900000000 + i)::text, 'other',"
		" 'epoch' FROM generate_series(1, %d) i;"
		"INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, "
		"first_at, decided_at, state)"
		" SELECT id, 1, 'order:1', 'bar', 'bar_in', 'c-' || right('0000000000000' || id, "
		"13), 'law', 'epoch', 'epoch',"
		" 'wanted' FROM sender WHERE id > 0",
		N);
	at = clk_system.mono_us(&clk_system);
	while (make(&wide, false).made)
		;
	printf("releases of %d entries: %" PRId64 " ms\n", N,
		(clk_system.mono_us(&clk_system) - at) / 1000);
	at = clk_system.mono_us(&clk_system);
	CHECK_RC(ops->rebuild(copy, pg, &e), RC_OK, &e);
	at = clk_system.mono_us(&clk_system) - at;
	printf("rebuild of %d entries: %" PRId64 " ms\n", N, at / 1000);
	CHECK(at < 20 * US_PER_S); /* about a second on an idle machine, for 100,000 */
	at = clk_system.mono_us(&clk_system);
	CHECK_RC(ops->sweep(copy, pg, &e), RC_OK, &e);
	printf("sweep: %" PRId64 " ms\n", (clk_system.mono_us(&clk_system) - at) / 1000);
	pgtest_do(pg,
		"DELETE FROM wish WHERE sender %% 10 = 0; INSERT INTO dirty (sender, service) "
		"SELECT sender, 1 FROM entry");
	struct list_mark was = head();

	while (make(&wide, false).made)
		;
	struct list_mark is = head();

	at = clk_system.mono_us(&clk_system);
	CHECK_RC(ops->apply(copy, pg, &was, &is, &e), RC_OK, &e);
	printf("apply of %" PRId64 " changes: %" PRId64 " ms\n", was.count - is.count,
		(clk_system.mono_us(&clk_system) - at) / 1000);
	CHECK_RC(ops->sweep(copy, pg, &e), RC_OK, &e);
}

int main(void)
{
	const char *server = getenv("KHIEN_TEST_REDIS");
	struct err e = {0};

	if (server == NULL || server[0] == '\0') {
		printf("skipped: KHIEN_TEST_REDIS names no Redis\n");
		return 0;
	}
	pg = pgtest_begin();
	if (pg == NULL)
		return 0;
	(void)snprintf(url, sizeof(url), "%s" DB, server);
	pgtest_need(redis_open(url, 5000, &redis, &e), &e, "KHIEN_TEST_REDIS");
	pgtest_need(
		ops->open(&(struct projection_target){.url = url, .timeout_ms = 5000}, &copy, &e),
		&e, "open");
	RUN(test_layout);
	RUN(test_course);
	RUN(test_heals);
	RUN(test_not_the_next_one);
	RUN(test_the_last_one_who_rebuilds_wins);
	RUN(test_a_stopped_writer_writes_nothing_more);
	RUN(test_a_server_that_evicts_is_refused);
	RUN(test_a_lost_connection);
	RUN(test_a_late_answer_is_nobodys);
	RUN(test_a_rebuild_that_is_cut_is_begun_anew);
	RUN(test_least_rights);
	RUN(test_many);
	(void)say(ARGV(SLICE("FLUSHDB")));
	ops->close(copy);
	redis_close(redis);
	pgtest_end(pg);
	return check_done();
}
