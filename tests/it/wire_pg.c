/* wire/pg against a real PostgreSQL: values both ways, pipelines and their failures, COPY, and a
 * connection that is lost at every kind of moment. Needs KHIEN_TEST_PG, a connection string; says
 * "skipped" (exit 77) without it. Makes only temporary tables. */
#include "wire/wire.h"

#include "tests/unit/check.h"

static const char *dsn;

static struct pg *open_as(bool binary)
{
	struct pg *c = NULL;
	struct err e = {0};
	struct pg_options o = {.dsn = dsn, .name = "wire_pg", .binary = binary};

	if (!CHECK_RC(pg_open(&o, &c, &e), RC_OK, &e))
		exit(1);
	return c;
}

static struct pg *open_pg(void)
{
	return open_as(false);
}

static struct pg *open_binary(void)
{
	return open_as(true);
}

static void script(struct pg *c, const char *sql)
{
	struct err e = {0};

	CHECK_RC(pg_script(c, sql, &e), RC_OK, &e);
}

/* One value of a query without parameters. */
static int64_t ask(struct pg *c, const char *sql)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct err e = {0};

	return CHECK_RC(pg_run(c, sql, NULL, 0, &r, &e), RC_OK, &e) && pg_rows(r) == 1
		? pg_int(r, 0, 0)
		: INT64_MIN;
}

static void test_session(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	OWN(pg_free) struct pg_result *r = NULL;
	struct err e = {0};
	static const struct {
		const char *name, *want;
	} cases[] = {
		{"TimeZone", "UTC"},
		{"statement_timeout", "30s"},
		{"lock_timeout", "10s"},
		{"idle_in_transaction_session_timeout", "1min"},
		{"synchronous_commit", "on"},
		{"application_name", "wire_pg"},
		{"client_encoding", "UTF8"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pg_param p = pg_p_str(cases[i].name);

		CHECK_CASE("%s", cases[i].name);
		pg_free(r);
		r = NULL;
		CHECK_RC(pg_run(c, "SELECT current_setting($1)", &p, 1, &r, &e), RC_OK, &e);
		CHECK_SLICE(pg_text(r, 0, 0), cases[i].want);
	}
	CHECK(!pg_broken(c));
}

static void test_open_refused(void)
{
	struct pg *c = NULL;
	struct err e = {0};
	struct pg_options o = {.dsn = "host=/nonexistent port=1", .name = "x"};

	CHECK_RC(pg_open(&o, &c, &e), RC_RETRY, &e);
	CHECK_HAS(e.text, "postgresql: ");
	o.dsn = "hots=/tmp";
	CHECK_RC(pg_open(&o, &c, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "hots");
	CHECK(c == NULL);
}

static void test_values(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	OWN(arena_free) struct arena *a = arena_new(65536);
	OWN(pg_free) struct pg_result *r = NULL;
	struct err e = {0};
	int64_t when = INT64_C(1788142502123456), before = INT64_C(-2208988800000000);
	struct pg_param p[] = {
		pg_p_int(INT64_MIN, a),
		pg_p_real(0.1, a),
		pg_p_bool(true),
		pg_p_time(when, a),
		pg_p_bytes(SLICE("\0a\377")),
		pg_p_text(SLICE("Lừa \"đảo\""), a),
		pg_p_none(),
		pg_p_bytes(SLICE("")),
		pg_p_text(SLICE(""), a),
	};

	CHECK_RC(pg_run(c,
			 "SELECT $1::int8, $2::float8, $3::bool, $4::timestamptz, $5::bytea,"
			 " $6::text, $7::text, $8::bytea, $9::text, '1900-01-01Z'::timestamptz,"
			 " 'infinity'::timestamptz, '2024-02-29 23:59:59.5Z'::timestamptz, 7::int2,"
			 " -8::int4, false",
			 p, (int)ARRAY_LEN(p), &r, &e),
		RC_OK, &e);
	CHECK_INT(pg_rows(r), 1);
	CHECK_INT(pg_int(r, 0, 0), INT64_MIN);
	CHECK(pg_real(r, 0, 1) == 0.1);
	CHECK(pg_bool(r, 0, 2));
	CHECK_INT(pg_time_us(r, 0, 3), when);
	CHECK(slice_eq(pg_bytes(r, 0, 4), SLICE("\0a\377")));
	CHECK_SLICE(pg_text(r, 0, 5), "Lừa \"đảo\"");
	CHECK(pg_null(r, 0, 6) && !pg_null(r, 0, 5));
	CHECK(pg_bytes(r, 0, 7).ptr != NULL && pg_bytes(r, 0, 7).len == 0);
	CHECK(!pg_null(r, 0, 8) && pg_text(r, 0, 8).len == 0);
	CHECK_INT(pg_time_us(r, 0, 9), before);
	CHECK_INT(pg_time_us(r, 0, 10), TIME_NONE);
	CHECK_INT(pg_time_us(r, 0, 11), INT64_C(1709251199500000));
	CHECK_INT(pg_int(r, 0, 12), 7);
	CHECK_INT(pg_int(r, 0, 13), -8);
	CHECK(!pg_bool(r, 0, 14));
	CHECK_INT(pg_int(r, 0, 6), 0);
	CHECK_INT(pg_time_us(r, 0, 6), TIME_NONE);
	CHECK(pg_bytes(r, 0, 6).ptr == NULL);
}

static void test_parameter_not_built(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	OWN(arena_free) struct arena *a = arena_new(4);
	struct err e = {0};
	struct pg_param p = pg_p_text(SLICE("longer than the arena"), a);

	CHECK_RC(pg_run(c, "SELECT $1::text", &p, 1, NULL, &e), RC_LIMIT, &e);
	CHECK(!pg_broken(c));
	/* Text format would end at the NUL; the server must see it and refuse. */
	p = pg_p_text(SLICE("a\0b"), a);
	CHECK_RC(pg_run(c, "SELECT $1::text", &p, 1, NULL, &e), RC_INVALID, &e);
	CHECK_STR(e.state, "22021");
}

static void test_states(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	struct err e = {0};
	static const struct {
		const char *sql;
		enum rc rc;
		const char *state;
	} cases[] = {
		{"SELECT 1/0", RC_INVALID, "22012"},
		{"SELECT '0912345678x'::int", RC_INVALID, "22P02"},
		{"SELECT nosuch", RC_FATAL, "42703"},
		{"DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", RC_CONFLICT, "40001"},
		{"DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", RC_RETRY, "53100"},
		{"DO $$ BEGIN RAISE SQLSTATE '54000'; END $$", RC_INVALID, "54000"},
		{"DO $$ BEGIN RAISE SQLSTATE '58030'; END $$", RC_RETRY, "58030"},
		{"DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$", RC_RETRY, "55P03"},
		{"SET LOCAL statement_timeout = 1", RC_OK, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].sql);
		e = (struct err){0};
		CHECK_RC(pg_run(c, cases[i].sql, NULL, 0, NULL, &e), cases[i].rc, &e);
		CHECK_STR(e.state, cases[i].state);
		CHECK(strstr(e.text, "0912345678") == NULL || strstr(e.text, "::int") != NULL);
		CHECK(!pg_broken(c));
	}
	/* The value that class 22 quotes is not in the cause (here it is not in the SQL). */
	struct pg_param p = pg_p_str("0912345678x");
	CHECK_RC(pg_run(c, "SELECT $1::int", &p, 1, NULL, &e), RC_INVALID, &e);
	CHECK(strstr(e.text, "0912") == NULL);
	CHECK_RC(pg_script(c, "SELECT 1; SELECT 1/0; SELECT 2", &e), RC_INVALID, &e);
	CHECK_STR(e.state, "22012");
	CHECK_INT(ask(c, "SELECT 5"), 5);
}

static void test_commit_of_failed(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	struct err e = {0};

	script(c, "CREATE TEMP TABLE t (id int PRIMARY KEY)");
	script(c, "BEGIN");
	CHECK_RC(pg_run(c, "INSERT INTO t VALUES (1), (1)", NULL, 0, NULL, &e), RC_INVALID, &e);
	CHECK_RC(pg_run(c, "INSERT INTO t VALUES (2)", NULL, 0, NULL, &e), RC_CONFLICT, &e);
	CHECK_STR(e.state, "25P02");
	CHECK_RC(pg_commit(c, &e), RC_CONFLICT, &e);
	CHECK_INT(ask(c, "SELECT count(*) FROM t"), 0);
	/* A constraint that is checked at the commit, without BEGIN: no success may be told. */
	script(c, "CREATE TEMP TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
	CHECK_RC(pg_run(c, "INSERT INTO d VALUES (1), (1)", NULL, 0, NULL, &e), RC_INVALID, &e);
	CHECK_STR(e.state, "23505");
	script(c, "BEGIN; INSERT INTO d VALUES (1), (1)");
	CHECK_RC(pg_commit(c, &e), RC_INVALID, &e);
	CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
	CHECK_RC(pg_send(c, "INSERT INTO d VALUES (2), (2)", NULL, 0, &e), RC_OK, &e);
	CHECK_RC(pg_pipeline_end(c, &e), RC_INVALID, &e);
	CHECK_INT(ask(c, "SELECT count(*) FROM d"), 0);
}

static void test_pipeline(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	OWN(arena_free) struct arena *a = arena_new(65536);
	struct err e = {0};

	script(c, "CREATE TEMP TABLE t (id int8 PRIMARY KEY)");
	for (int round = 0; round < 3; round++) {
		CHECK_CASE("round %d", round);
		CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
		CHECK_RC(pg_send(c, "BEGIN", NULL, 0, &e), RC_OK, &e);
		for (int i = 0; i < 100; i++) {
			struct pg_param p = pg_p_int(round * 100 + i, a);

			CHECK_RC(pg_send(c, "INSERT INTO t VALUES ($1) RETURNING id", &p, 1, &e),
				RC_OK, &e);
		}
		CHECK_RC(pg_flush(c, &e), RC_OK, &e);
		CHECK_RC(pg_recv(c, NULL, &e), RC_OK, &e);
		for (int i = 0; i < 100; i++) {
			OWN(pg_free) struct pg_result *r = NULL;

			if (CHECK_RC(pg_recv(c, &r, &e), RC_OK, &e))
				CHECK_INT(pg_int(r, 0, 0), round * 100 + i);
		}
		/* A second round in the same pipeline; pg_recv flushes by itself. */
		CHECK_RC(pg_send(c, "SELECT count(*) FROM t", NULL, 0, &e), RC_OK, &e);
		OWN(pg_free) struct pg_result *r = NULL;
		if (CHECK_RC(pg_recv(c, &r, &e), RC_OK, &e))
			CHECK_INT(pg_int(r, 0, 0), (round + 1) * 100);
		CHECK_RC(pg_send(c, "COMMIT", NULL, 0, &e), RC_OK, &e);
		CHECK_RC(pg_pipeline_end(c, &e), RC_OK, &e);
		CHECK_INT(ask(c, "SELECT count(*) FROM t"), (round + 1) * 100);
		arena_reset(a);
	}
}

static void test_pipeline_violation(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	struct err e = {0};
	static const char *const sql[] = {
		"BEGIN",
		"INSERT INTO t VALUES (1)",
		"INSERT INTO t VALUES (1)",
		"INSERT INTO t VALUES (2)",
		"COMMIT",
	};
	static const enum rc want[] = {RC_OK, RC_OK, RC_INVALID, RC_CONFLICT, RC_CONFLICT};

	script(c, "CREATE TEMP TABLE t (id int PRIMARY KEY)");
	/* Twice: statements whose prepare was skipped are prepared the second time. */
	for (int round = 0; round < 2; round++) {
		CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
		for (size_t i = 0; i < ARRAY_LEN(sql); i++)
			CHECK_RC(pg_send(c, sql[i], NULL, 0, &e), RC_OK, &e);
		CHECK_RC(pg_flush(c, &e), RC_OK, &e);
		for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
			CHECK_CASE("round %d, %s (%zu)", round, sql[i], i);
			e = (struct err){0};
			CHECK_RC(pg_recv(c, NULL, &e), want[i], &e);
			CHECK_STR(e.state, want[i] == RC_INVALID ? "23505" : "");
		}
		/* A further round of the same pipeline is skipped too: the transaction failed. */
		CHECK_RC(pg_send(c, "INSERT INTO t VALUES (3)", NULL, 0, &e), RC_OK, &e);
		CHECK_RC(pg_recv(c, NULL, &e), RC_CONFLICT, &e);
		CHECK_RC(pg_pipeline_end(c, &e), RC_OK, &e);
		pg_rollback(c);
		CHECK_INT(ask(c, "SELECT count(*) FROM t"), 0);
	}
	/* A statement that cannot be prepared fails itself, not the one after it. */
	CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
	CHECK_RC(pg_send(c, "SELECT nosuch FROM t", NULL, 0, &e), RC_OK, &e);
	CHECK_RC(pg_send(c, "SELECT 1 FROM t", NULL, 0, &e), RC_OK, &e);
	CHECK_RC(pg_recv(c, NULL, &e), RC_FATAL, &e);
	CHECK_STR(e.state, "42703");
	CHECK_RC(pg_recv(c, NULL, &e), RC_CONFLICT, &e);
	CHECK_RC(pg_pipeline_end(c, &e), RC_OK, &e);
	/* Rolling back from the middle, with answers not received. */
	CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
	CHECK_RC(pg_send(c, "BEGIN", NULL, 0, &e), RC_OK, &e);
	CHECK_RC(pg_send(c, "INSERT INTO t VALUES (9)", NULL, 0, &e), RC_OK, &e);
	pg_rollback(c);
	CHECK_INT(ask(c, "SELECT count(*) FROM t"), 0);
}

/* 20 statements of 5,000 texts each way: both sides' socket buffers are full long before the end. */
static void test_pipeline_big(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	struct err e = {0};
	struct pg_array ids, texts;
	char text[200];

	memset(text, 'x', sizeof(text));
	pg_array_init(&ids, PG_INT8);
	pg_array_init(&texts, PG_TEXT);
	for (int i = 0; i < 5000; i++) {
		pg_array_int(&ids, i);
		pg_array_text(&texts, slice_of(text, sizeof(text)));
	}
	struct pg_param p[2] = {pg_p_array(&ids), pg_p_array(&texts)};

	CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
	for (int i = 0; i < 20; i++)
		CHECK_RC(pg_send(c, "SELECT * FROM unnest($1::int8[], $2::text[])", p, 2, &e),
			RC_OK, &e);
	CHECK_RC(pg_flush(c, &e), RC_OK, &e);
	for (int i = 0; i < 20; i++) {
		OWN(pg_free) struct pg_result *r = NULL;

		if (!CHECK_RC(pg_recv(c, &r, &e), RC_OK, &e))
			break;
		CHECK_INT(pg_rows(r), 5000);
		CHECK_INT(pg_int(r, 4999, 0), 4999);
		CHECK_INT(pg_text(r, 0, 1).len, sizeof(text));
	}
	CHECK_RC(pg_pipeline_end(c, &e), RC_OK, &e);
	pg_array_done(&ids);
	pg_array_done(&texts);
}

static void test_arrays(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	OWN(pg_free) struct pg_result *r = NULL;
	struct err e = {0};
	static const enum pg_type types[] = {PG_BOOL, PG_BYTEA, PG_INT8, PG_INT2, PG_INT4, PG_TEXT,
		PG_FLOAT4, PG_FLOAT8, PG_DATE, PG_TIMESTAMPTZ};
	struct pg_array a[ARRAY_LEN(types)], none;
	struct pg_param p[ARRAY_LEN(types)], q;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		pg_array_init(&a[i], types[i]);
	pg_array_int(&a[0], 1);
	pg_array_text(&a[1], SLICE("\0\1"));
	pg_array_int(&a[2], INT64_MAX);
	pg_array_int(&a[3], INT16_MIN);
	pg_array_int(&a[4], INT32_MIN);
	pg_array_text(&a[5], SLICE("{a,\"b\"}"));
	pg_array_real(&a[6], 0.5);
	pg_array_real(&a[7], 0.1);
	pg_array_int(&a[8], 20000);
	pg_array_time(&a[9], INT64_C(1788142502123456));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		pg_array_null(&a[i]);
		p[i] = pg_p_array(&a[i]);
	}
	CHECK_RC(pg_run(c,
			 "SELECT * FROM unnest($1::bool[], $2::bytea[], $3::int8[], $4::int2[],"
			 " $5::int4[], $6::text[], $7::float4[], $8::float8[], $9::date[],"
			 " $10::timestamptz[])",
			 p, (int)ARRAY_LEN(p), &r, &e),
		RC_OK, &e);
	CHECK_INT(pg_rows(r), 2);
	CHECK(pg_bool(r, 0, 0));
	CHECK(slice_eq(pg_bytes(r, 0, 1), SLICE("\0\1")));
	CHECK_INT(pg_int(r, 0, 2), INT64_MAX);
	CHECK_INT(pg_int(r, 0, 3), INT16_MIN);
	CHECK_INT(pg_int(r, 0, 4), INT32_MIN);
	CHECK_SLICE(pg_text(r, 0, 5), "{a,\"b\"}");
	CHECK(pg_real(r, 0, 6) == 0.5 && pg_real(r, 0, 7) == 0.1);
	CHECK_SLICE(pg_text(r, 0, 8), "2024-10-04");
	CHECK_INT(pg_time_us(r, 0, 9), INT64_C(1788142502123456));
	for (int i = 0; i < (int)ARRAY_LEN(types); i++)
		CHECK(pg_null(r, 1, i));
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		pg_array_done(&a[i]);

	pg_array_init(&none, PG_INT4);
	q = pg_p_array(&none);
	pg_free(TAKE(r));
	CHECK_RC(pg_run(c, "SELECT cardinality($1::int4[])", &q, 1, &r, &e), RC_OK, &e);
	CHECK_INT(pg_int(r, 0, 0), 0);
	none.b.failed = true;
	q = pg_p_array(&none);
	CHECK_RC(pg_run(c, "SELECT cardinality($1::int4[])", &q, 1, NULL, &e), RC_LIMIT, &e);
	pg_array_done(&none);
}

static void test_rows(void)
{
	OWN(pg_close) struct pg *c = open_binary();
	OWN(pg_free) struct pg_result *r = NULL;
	struct err e = {0};
	struct pg_row_type t = {.name = "one_row",
		.n = 5,
		.columns = {PG_INT8, PG_DATE, PG_TEXT, PG_FLOAT4, PG_TIMESTAMPTZ}};
	struct pg_array a;
	struct pg_param p;

	CHECK_RC(pg_row_type_find(c, &t, &e), RC_FATAL, &e); /* not made yet */
	script(c,
		"CREATE TYPE pg_temp.one_row AS (id int8, day date, x text, w float4, at "
		"timestamptz)");
	t.name = "pg_temp.one_row";
	CHECK_RC(pg_row_type_find(c, &t, &e), RC_OK, &e);
	pg_array_init(&a, PG_INT8);
	pg_array_rows(&a, &t);
	for (int i = 0; i < 3; i++) {
		pg_array_row(&a);
		pg_array_int(&a, INT64_MAX - i);
		pg_array_int(&a, 20000 + i);
		if (i == 1)
			pg_array_null(&a);
		else
			pg_array_text(&a, SLICE("Chúc"));
		pg_array_real(&a, i * 0.5);
		pg_array_time(&a, i == 2 ? TIME_NONE : INT64_C(1788142502123456));
	}
	p = pg_p_array(&a);
	CHECK_RC(pg_run(c,
			 "SELECT id, day, x, w, at, w::float8 / 4, id > 0, x::bytea,"
			 " 'infinity'::timestamptz FROM unnest($1::pg_temp.one_row[])",
			 &p, 1, &r, &e),
		RC_OK, &e);
	CHECK_INT(pg_rows(r), 3);
	for (int i = 0; i < pg_rows(r); i++) {
		CHECK_INT(pg_int(r, i, 0), INT64_MAX - i);
		CHECK(pg_null(r, i, 2) == (i == 1));
		CHECK(pg_real(r, i, 3) == i * 0.5);
		CHECK_INT(pg_time_us(r, i, 4), i == 2 ? TIME_NONE : INT64_C(1788142502123456));
		CHECK(pg_real(r, i, 5) == i * 0.125 && pg_bool(r, i, 6));
		CHECK(i == 1 || slice_eq(pg_bytes(r, i, 7), SLICE("Chúc")));
		CHECK_INT(pg_time_us(r, i, 8), TIME_NONE);
	}
	CHECK_SLICE(pg_text(r, 0, 2), "Chúc");
	pg_array_rows(&a, &t);
	p = pg_p_array(&a);
	pg_free(TAKE(r));
	CHECK_RC(pg_run(c, "SELECT cardinality($1::pg_temp.one_row[])", &p, 1, &r, &e), RC_OK, &e);
	CHECK_INT(pg_int(r, 0, 0), 0);
	pg_array_done(&a);
}

static void copy_rows(struct pg *c, int rows, int32_t twice)
{
	for (int i = 0; i < rows; i++) {
		pg_copy_row(c);
		pg_copy_int4(c, i == rows - 1 && twice >= 0 ? twice : i);
		pg_copy_int8(c, (int64_t)i << 33);
		pg_copy_int2(c, (int16_t)(i % 100));
		pg_copy_bool(c, i % 2 == 0);
		pg_copy_real4(c, (float)i / 4);
		pg_copy_text(c, SLICE("Chúc mừng"));
		pg_copy_time(c, i == 0 ? TIME_NONE : INT64_C(1788142502123456));
		pg_copy_date(c, 20000);
		pg_copy_null(c);
		pg_copy_jsonb(c, SLICE("{\"a\":[1]}"));
	}
}

static void test_copy(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	struct err e = {0};
	int64_t rows = 0;
	static const char copy[] = "COPY t FROM STDIN (FORMAT binary)";

	script(c,
		"CREATE TEMP TABLE t (id int4 PRIMARY KEY, b int8, s int2, f bool, r float4,"
		" x text, at timestamptz, day date, n text, j jsonb)");
	script(c, "BEGIN");
	CHECK_RC(pg_copy_begin(c, copy, 10, &e), RC_OK, &e);
	copy_rows(c, 10000, -1);
	CHECK_RC(pg_copy_end(c, &rows, &e), RC_OK, &e);
	CHECK_INT(rows, 10000);
	CHECK_RC(pg_commit(c, &e), RC_OK, &e);
	CHECK_INT(ask(c, "SELECT sum(id) FROM t"), 49995000);
	CHECK_INT(ask(c,
			  "SELECT count(*) FROM t WHERE b = id::int8 << 33 AND s = id % 100 AND"
			  " f = (id % 2 = 0) AND r = id / 4.0 AND x = 'Chúc mừng' AND n IS NULL AND"
			  " day = '2024-10-04' AND j->'a'->>0 = '1' AND (id = 0 OR at ="
			  " 'epoch'::timestamptz + 1788142502123456 * interval '1 us')"),
		10000);

	/* A violation in the middle: the rows are gone, the connection is not. */
	script(c, "TRUNCATE t");
	script(c, "BEGIN");
	CHECK_RC(pg_copy_begin(c, copy, 10, &e), RC_OK, &e);
	copy_rows(c, 5000, 17);
	CHECK_RC(pg_copy_end(c, &rows, &e), RC_INVALID, &e);
	CHECK_STR(e.state, "23505");
	pg_rollback(c);
	CHECK_INT(ask(c, "SELECT count(*) FROM t"), 0);

	/* Given up in the middle. */
	script(c, "BEGIN");
	CHECK_RC(pg_copy_begin(c, copy, 10, &e), RC_OK, &e);
	copy_rows(c, 10, -1);
	pg_rollback(c);
	CHECK_INT(ask(c, "SELECT count(*) FROM t"), 0);
	CHECK_RC(pg_copy_begin(c, "COPY nosuch FROM STDIN (FORMAT binary)", 1, &e), RC_FATAL, &e);
	CHECK_INT(ask(c, "SELECT 3"), 3);

	/* Larger than the piece that is gathered. */
	script(c, "CREATE TEMP TABLE big (v text, a int8[])");
	OWN(arena_free) struct arena *arena = arena_new(1 << 21);
	char *text = arena_alloc(arena, 1 << 20);
	struct pg_array a;
	memset(text, 'y', 1 << 20);
	pg_array_init(&a, PG_INT8);
	pg_array_int(&a, 3);
	CHECK_RC(pg_copy_begin(c, "COPY big FROM STDIN (FORMAT binary)", 2, &e), RC_OK, &e);
	for (int i = 0; i < 8; i++) {
		pg_copy_row(c);
		pg_copy_text(c, slice_of(text, 1 << 20));
		pg_copy_array(c, &a);
	}
	CHECK_RC(pg_copy_end(c, NULL, &e), RC_OK, &e);
	CHECK_INT(ask(c, "SELECT sum(length(v)) + sum(a[1]) FROM big"), (8 << 20) + 24);
	pg_array_done(&a);
}

static void terminate(struct pg *other, int64_t pid)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct err e = {0};
	struct pg_param p = pg_p_int(pid, a);

	/* Waits until it is gone. */
	CHECK_RC(pg_run(other, "SELECT pg_terminate_backend($1::int4, 10000)", &p, 1, NULL, &e),
		RC_OK, &e);
}

/* Until the backend sleeps in its statement. */
static void wait_asleep(struct pg *other, int64_t pid)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct pg_param p = pg_p_int(pid, a);
	struct err e = {0};

	for (int i = 0; i < 5000; i++) {
		OWN(pg_free) struct pg_result *r = NULL;

		if (pg_run(other,
			    "SELECT 1 FROM pg_stat_activity WHERE pid = $1::int4 AND wait_event ="
			    " 'PgSleep'",
			    &p, 1, &r, &e) != RC_OK ||
			pg_rows(r) == 1)
			return;
		(void)usleep(2000);
	}
}

/* The connection is ended from outside at each kind of moment. */
static void test_lost(void)
{
	OWN(pg_close) struct pg *other = open_pg();
	struct err e = {0};

	for (int moment = 0; moment < 6; moment++) {
		OWN(pg_close) struct pg *c = open_pg();
		int64_t pid = ask(c, "SELECT pg_backend_pid()");

		CHECK_CASE("moment %d", moment);
		script(c, "CREATE TEMP TABLE t (id int4)");
		script(c, "BEGIN");
		e = (struct err){0};
		switch (moment) {
		case 0: /* before a statement */
			terminate(other, pid);
			CHECK_RC(pg_run(c, "SELECT 1", NULL, 0, NULL, &e), RC_RETRY, &e);
			break;
		case 1: /* before the commit */
			terminate(other, pid);
			CHECK_RC(pg_commit(c, &e), RC_RETRY, &e);
			break;
		case 2: /* with a pipeline sent and not received */
			CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
			CHECK_RC(pg_send(c, "SELECT 1", NULL, 0, &e), RC_OK, &e);
			CHECK_RC(pg_send(c, "SELECT pg_sleep(20)", NULL, 0, &e), RC_OK, &e);
			CHECK_RC(pg_send(c, "SELECT 2", NULL, 0, &e), RC_OK, &e);
			CHECK_RC(pg_flush(c, &e), RC_OK, &e);
			wait_asleep(other, pid);
			terminate(other, pid);
			CHECK_RC(pg_recv(c, NULL, &e), RC_OK, &e);
			CHECK_RC(pg_recv(c, NULL, &e), RC_RETRY, &e);
			CHECK_STR(e.state, "57P01");
			CHECK_RC(pg_recv(c, NULL, &e), RC_RETRY, &e);
			CHECK_RC(pg_pipeline_end(c, &e), RC_RETRY, &e);
			break;
		case 3: /* while a pipeline is being filled */
			CHECK_RC(pg_pipeline_begin(c, &e), RC_OK, &e);
			CHECK_RC(pg_send(c, "SELECT 1", NULL, 0, &e), RC_OK, &e);
			terminate(other, pid);
			(void)!pg_flush(c, &e);
			CHECK_RC(pg_recv(c, NULL, &e), RC_RETRY, &e);
			CHECK_RC(pg_pipeline_end(c, &e), RC_RETRY, &e);
			break;
		case 4: /* in a COPY */
			CHECK_RC(pg_copy_begin(c, "COPY t FROM STDIN (FORMAT binary)", 1, &e),
				RC_OK, &e);
			terminate(other, pid);
			for (int i = 0; i < 100000; i++) {
				pg_copy_row(c);
				pg_copy_int4(c, i);
			}
			CHECK_RC(pg_copy_end(c, NULL, &e), RC_RETRY, &e);
			break;
		default: /* by itself, in the middle of the statement */
			CHECK_RC(pg_run(c,
					 "SELECT pg_terminate_backend(pg_backend_pid()), "
					 "pg_sleep(5)",
					 NULL, 0, NULL, &e),
				RC_RETRY, &e);
			CHECK_STR(e.state, "57P01");
			break;
		}
		CHECK(pg_broken(c));
		CHECK_RC(pg_run(c, "SELECT 1", NULL, 0, NULL, &e), RC_RETRY, &e);
		pg_rollback(c);
	}
	CHECK_INT(ask(other, "SELECT 1"), 1);
}

static void test_timeouts(void)
{
	OWN(pg_close) struct pg *c = NULL;
	struct err e = {0};
	struct pg_options o = {
		.dsn = dsn, .name = "wire_pg", .statement_timeout_ms = 50, .lock_timeout_ms = 20};

	CHECK_RC(pg_open(&o, &c, &e), RC_OK, &e);
	CHECK_RC(pg_run(c, "SELECT pg_sleep(30)", NULL, 0, NULL, &e), RC_RETRY, &e);
	CHECK_STR(e.state, "57014");
	CHECK(!pg_broken(c));
	/* Idle in a transaction: the server hangs up, whatever the class of the state is. */
	script(c, "SET idle_in_transaction_session_timeout = 1");
	script(c, "BEGIN");
	enum rc rc = RC_OK;
	for (int i = 0; i < 1000 && rc == RC_OK; i++)
		rc = usleep(2000) == 0 ? pg_script(c, "SELECT 1", &e) : rc;
	CHECK_RC(rc, RC_RETRY, &e);
	CHECK(pg_broken(c));
}

/* A migration under a prepared statement: only a new connection helps, so one is asked for. */
static void test_changed_plan(void)
{
	OWN(pg_close) struct pg *c = open_pg();
	struct err e = {0};

	script(c, "CREATE TEMP TABLE t (id int4)");
	CHECK_RC(pg_run(c, "SELECT * FROM t", NULL, 0, NULL, &e), RC_OK, &e);
	script(c, "ALTER TABLE t ADD b int4");
	CHECK_RC(pg_run(c, "SELECT * FROM t", NULL, 0, NULL, &e), RC_RETRY, &e);
	CHECK(pg_broken(c));
}

int main(void)
{
	dsn = getenv("KHIEN_TEST_PG");
	if (dsn == NULL) {
		printf("skipped: KHIEN_TEST_PG is not set\n");
		return 77;
	}
	RUN(test_session);
	RUN(test_open_refused);
	RUN(test_values);
	RUN(test_parameter_not_built);
	RUN(test_states);
	RUN(test_commit_of_failed);
	RUN(test_pipeline);
	RUN(test_pipeline_violation);
	RUN(test_pipeline_big);
	RUN(test_arrays);
	RUN(test_rows);
	RUN(test_copy);
	RUN(test_lost);
	RUN(test_timeouts);
	RUN(test_changed_plan);
	return check_done();
}
