/* The protected list: a file is loaded whole or not at all with every error named; what it says is what PROTECTED_EXISTS answers, and
 * only keys whose protection changed are looked at again. Needs a PostgreSQL (KHIEN_TEST_PG), else skipped. */
#include "blocklist/blocklist.h"
#include "tests/unit/pgtest.h"

#define T0 (INT64_C(1790000000) * US_PER_S)
#define HEAD "scope,value,service,owner,reason,until\n"

static struct pg *pg;
static char dir[CHECK_PATH], path[CHECK_PATH];

static enum rc load(const char *text, bool *changed, struct complaints *c)
{
	struct err e = {0};

	check_file(dir, "protected.csv", slice_str(text), path);
	complaints_init(c);
	return protected_load(pg, path, T0, c, changed, &e);
}

static void load_ok(const char *text, bool want_changed)
{
	struct complaints c;
	bool changed = false;

	CHECK_RC(load(text, &changed, &c), RC_OK, NULL);
	CHECK_STR(buf_slice(&c.text).ptr, "");
	CHECK_INT(changed, want_changed);
	complaints_done(&c);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "the file is empty"},
		{"# nothing\n\n", "the file is empty"},
		{"number,84900000000,,a,b,\n", "csv:1: the first line must be: scope,value"},
		{HEAD "number,84900000000,,a,b\n", "csv:2: 5 columns, want 6"},
		{HEAD "number,84900000000,,a,b,,\n", "csv:2: 7 columns"},
		{HEAD "# c\nnumbr,84900000000,,a,b,\n", "csv:3: scope \"numbr\""},
		{HEAD "number,0900000000,,a,b,\n", "csv:2: \"0900000000\" is no number"},
		{HEAD "number,8490000000x,,a,b,\n", "is no number"},
		{HEAD "number,1234567890123456,,a,b,\n", "is no number"},
		{HEAD "number,113,,a,b,\n", "is no number"},
		{HEAD "short,84900000000,,a,b,\n", "is no short code"},
		{HEAD "short,012,,a,b,\n", "is no short code"},
		{HEAD "name,12345,,a,b,\n", "is no sender ID"},
		{HEAD "name,,,a,b,\n", "is no sender ID"},
		{HEAD "range,84900000000,,a,b,\n", "written LOW-HIGH"},
		{HEAD "range,84900000009-84900000001,,a,b,\n", "the lower one first"},
		{HEAD "range,8490000000-84900000001,,a,b,\n", "equally many digits"},
		{HEAD "range,113-84900000001,,a,b,\n",
			"two numbers with country code, or two short codes"},
		{HEAD "range,-,,a,b,\n", "two numbers with country code"},
		{HEAD "number,84900000000,fax,a,b,\n", "service \"fax\""},
		{HEAD "number,84900000000,,,b,\n", "owner and reason"},
		{HEAD "number,84900000000,,a,b,tomorrow\n", "until \"tomorrow\""},
		{HEAD "number,84900000000,,a,b,2026-02-30\n", "until \"2026-02-30\""},
		{HEAD "number,84900000000,,\"a,b,\n", "csv:2: a quote is not closed"},
		{HEAD "name,a\xff,,a,b,\n", "csv:2: no UTF-8"},
	};

	load_ok(HEAD "number,84900000009,,bank,hotline,\n", true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct complaints c;
		bool changed = false;

		CHECK_CASE("%s", cases[i].text);
		CHECK_RC(load(cases[i].text, &changed, &c), RC_INVALID, NULL);
		CHECK_HAS(buf_slice(&c.text).ptr, cases[i].why);
		CHECK(!changed);
		complaints_done(&c);
	}
	CHECK_STR(pgtest_get(pg, "SELECT string_agg(low, ' ') FROM protected"), "84900000009");
}

static void test_every_error_is_named(void)
{
	struct complaints c;
	bool changed = false;

	CHECK_RC(load(HEAD "number,1,,a,b,\nshort,113,,a,b,\nshort,1,,a,b,\nname,1,,a,b,x\n",
			 &changed, &c),
		RC_INVALID, NULL);
	CHECK_INT(c.count, 3);
	complaints_done(&c);
	complaints_init(&c);
	CHECK_RC(
		protected_load(pg, "/nonexistent/x.csv", T0, &c, &changed, NULL), RC_INVALID, NULL);
	CHECK_HAS(c.text.ptr, "/nonexistent/x.csv");
	complaints_done(&c);
}

static void test_the_shipped_file(void)
{
	struct complaints c;
	bool changed = false;

	complaints_init(&c);
	CHECK_RC(protected_load(pg, SOURCE_DIR "/etc/protected.csv", T0, &c, &changed, NULL), RC_OK,
		NULL);
	CHECK_STR(buf_slice(&c.text).ptr, "");
	CHECK(changed);
	complaints_done(&c);
}

static bool is_protected(const char *scope, const char *value, const char *service, const char *at)
{
	static const char sql[] = "SELECT " PROTECTED_EXISTS("$3::smallint",
		"$4::timestamptz") " FROM (SELECT $1::text, $2::text) s(scope, value)";
	struct pg_param p[] = {pg_p_str(scope), pg_p_str(value), pg_p_str(service), pg_p_str(at)};
	struct pg_result *r = NULL;
	struct err e;

	pgtest_need(pg_run(pg, sql, p, 4, &r, &e), &e, "protected");
	bool is = pg_bool(r, 0, 0);

	pg_free(r);
	return is;
}

static void test_what_is_protected(void)
{
	static const struct {
		const char *scope, *value, *service, *at;
		bool want;
	} cases[] = {
		{"number", "84900000001", "0", "2026-09-21", true},
		{"number", "84900000001", "1", "2026-09-21", true},
		{"number", "84900000002", "0", "2026-09-21", false},
		{"short", "84900000001", "0", "2026-09-21", false},
		{"number", "8490000000", "0", "2026-09-21", false},
		{"number", "849000000011", "0", "2026-09-21", false},
		{"number", "84911110000", "1", "2026-09-21", true},
		{"number", "84911110000", "0", "2026-09-21", false}, /* voice only */
		{"number", "84911119999", "1", "2026-09-21", true},
		{"number", "84911115555", "1", "2026-09-21", true},
		{"number", "84911120000", "1", "2026-09-21", false},
		{"number", "84911109999", "1", "2026-09-21", false},
		{"number", "849111155551", "1", "2026-09-21", false}, /* of another length */
		{"number", "8491111555", "1", "2026-09-21", false},
		{"short", "1900123456", "0", "2026-09-21", true},
		{"short", "19001234", "0", "2026-09-21", false},
		{"name", "techcombank", "0", "2026-09-21", true},
		{"name", "a,\"b", "0", "2026-09-21", true},
		{"number", "84922222222", "0", "2026-10-01T16:59:59Z",
			true}, /* that day, in Vietnam */
		{"number", "84922222222", "0", "2026-10-01T17:00:00Z", false},
		{"number", "84933333333", "0", "2026-09-21", false}, /* was over when loaded */
	};

	load_ok("\xEF\xBB\xBF" HEAD " # comment\r\nnumber, +84900000001 ,,bank,hotline,\r\n"
		"range,84911110000-84911119999,voice,bank,block,\nrange,1900123000 - "
		"1900123999,,a,b,\n"
		"name,TechComBank,,bank,brand,\nname,\"a,\"\"b\",,\"x, "
		"y\",z,\nnumber,84922222222,,a,b,2026-10-01\n"
		"number,84933333333,,a,b,2026-09-01T00:00:00+07:00\n",
		true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s %s %s %s", cases[i].scope, cases[i].value, cases[i].service,
			cases[i].at);
		CHECK_INT(
			is_protected(cases[i].scope, cases[i].value, cases[i].service, cases[i].at),
			cases[i].want);
	}
}

static void put_wish(const char *value)
{
	pgtest_do(pg,
		"INSERT INTO sender (scope, value, attribution, created_at) VALUES ('number', "
		"'%s', 'other', 'epoch');"
		"INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, "
		"first_at, decided_at, state)"
		" SELECT id, 0, 'auto:scam', 'bar', 'bar_in', 'c', '', 'epoch', 'epoch', "
		"'admitted' FROM sender WHERE value = '%s'",
		value, value);
}

#define DIRTY                                                                                     \
	"SELECT coalesce(string_agg(value, ' ' ORDER BY value), '') FROM dirty JOIN sender s ON " \
	"s.id = sender"

static void test_only_what_changed_is_dirty(void)
{
	put_wish("84900000001");
	put_wish("84900000002");
	put_wish("84900000003");
	put_wish("849000000025"); /* between the ends as a text, but longer */
	pgtest_do(pg,
		"TRUNCATE protected, dirty; INSERT INTO protected (scope, low, high, owner, "
		"reason, origin) VALUES"
		" ('number', '84900000003', '84900000003', 'a', 'b', 'person:an')");
	load_ok(HEAD "number,84900000001,,a,b,\n", true);
	CHECK_STR(pgtest_get(pg, DIRTY), "84900000001");
	pgtest_do(pg, "TRUNCATE dirty");
	load_ok(HEAD "# again\nnumber,84900000001,,a,b,\nnumber,84900000001,,a,b,\n", false);
	CHECK_STR(pgtest_get(pg, DIRTY), "");
	load_ok(HEAD "number,84900000001,,a,b,\nrange,84900000002-84900000002,,a,b,\n", true);
	CHECK_STR(pgtest_get(pg, DIRTY), "84900000002");
	pgtest_do(pg, "TRUNCATE dirty");
	load_ok(HEAD "range,84900000002-84900000009,,a,b,\n", true);
	CHECK_STR(pgtest_get(pg, DIRTY), "84900000001 84900000002 84900000002 84900000003");
	CHECK_STR(pgtest_get(pg, "SELECT string_agg(origin, ' ' ORDER BY origin) FROM protected"),
		"file person:an");
	CHECK_STR(pgtest_get(pg,
			  "SELECT lines FROM audit WHERE what = 'protected.load' ORDER BY id DESC "
			  "LIMIT 1"),
		"unprotect number/8490*****01 both owner=\"a\"\nunprotect number/8490*****02 both "
		"owner=\"a\"\n"
		"protect number/8490*****02-8490*****09 both owner=\"a\"\n");
	pgtest_do(pg, "TRUNCATE dirty");
	load_ok(HEAD, true); /* nobody, said clearly */
	CHECK_STR(pgtest_get(pg, "SELECT string_agg(origin, ' ') FROM protected"), "person:an");
}

/* Whoever asks for one sender among many ranges looks at a handful of rows. */
static void test_a_range_is_found_by_an_index(void)
{
	struct pg_result *r = NULL;
	struct err e;
	char plan[8192] = "";

	pgtest_do(pg,
		"TRUNCATE protected; INSERT INTO protected (scope, low, high, owner, reason, "
		"origin) SELECT 'number',"
		" (84900000000 + i * 100)::text, (84900000050 + i * 100)::text, 'a', 'b', 'test' "
		"FROM generate_series(1, 20000) i;"
		" ANALYZE protected");
	pgtest_need(pg_run(pg,
			    "EXPLAIN SELECT " PROTECTED_EXISTS(
				    "0", "'epoch'") " FROM (SELECT 'number', '84900010020' FROM "
						    "generate_series(1,"
						    " 50)) s(scope, value)",
			    NULL, 0, &r, &e),
		&e, "explain");
	for (int i = 0; i < pg_rows(r); i++)
		(void)snprintf(plan + strlen(plan), sizeof(plan) - strlen(plan), "%s\n",
			pg_text(r, i, 0).ptr);
	pg_free(r);
	CHECK_HAS(plan, "protected_key");
	CHECK_HAS(plan, "protected_span");
	CHECK(strstr(plan, "Seq Scan") == NULL);
	CHECK(is_protected("number", "84900010020", "0", "2026-09-21"));
	CHECK(!is_protected("number", "84900010070", "0", "2026-09-21"));
}

/* A list is compared with the senders that it names, not with all there are: a bank list of today goes into a ledger of years. */
static void test_a_list_finds_its_senders_by_an_index(void)
{
	BUF_OWN struct buf list;
	int64_t begun;

	pgtest_do(pg,
		"TRUNCATE protected, dirty, wish; DELETE FROM sender WHERE id > 0;"
		" INSERT INTO sender (scope, value, attribution, created_at) SELECT 'number', "
		"(84800000000 + i)::text, 'other', 'epoch' FROM generate_series(1, 50000) i;"
		" INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, "
		"first_at, decided_at, state) SELECT id, 0, 'auto:scam', 'bar', '', '', '', "
		"'epoch', 'epoch', 'held' FROM sender WHERE id > 0; ANALYZE sender; ANALYZE wish");
	buf_init(&list, 1 << 20);
	buf_fmt(&list, HEAD);
	for (int i = 0; i < 2000; i++)
		buf_fmt(&list, "number,%lld,,a,b,\n", 84800000001LL + 20 * i);
	begun = clk_system.mono_us(&clk_system);
	load_ok(list.ptr, true);
	load_ok(HEAD, true);
	CHECK(clk_system.mono_us(&clk_system) - begun < 10 * US_PER_S);
	CHECK_STR(pgtest_get(pg, "SELECT count(*) || ' ' || count(DISTINCT sender) FROM dirty"),
		"4000 2000");
}

int main(void)
{
	pg = pgtest_begin();
	if (pg == NULL)
		return 0;
	check_dir(dir);
	RUN(test_refused);
	RUN(test_every_error_is_named);
	RUN(test_the_shipped_file);
	RUN(test_what_is_protected);
	RUN(test_only_what_changed_is_dirty);
	RUN(test_a_range_is_found_by_an_index);
	RUN(test_a_list_finds_its_senders_by_an_index);
	pgtest_end(pg);
	(void)unlink(path);
	(void)rmdir(dir);
	return check_done();
}
