/* pgtest: a schema of its own on the real PostgreSQL that KHIEN_TEST_PG names, with the whole ledger in it; dropped at the end. A
 * test that has no PostgreSQL says "skipped" and passes. Leaves out starting a server: deploy/local/stand.sh does that. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"
#include "wire/wire.h"

static char pgtest_schema[64];

static inline void pgtest_need(enum rc rc, const struct err *e, const char *what)
{
	if (rc == RC_OK)
		return;
	printf("%s: %s\n", what, e->text);
	exit(1);
}

/* A connection to the test's schema; NULL when there is no PostgreSQL for tests. */
static inline struct pg *pgtest_open(void)
{
	struct pg_options o = {.dsn = getenv("KHIEN_TEST_PG"), .name = "khien-test"};
	struct pg *c = NULL;
	struct err e;
	char sql[256];

	if (o.dsn == NULL || o.dsn[0] == '\0')
		return NULL;
	pgtest_need(pg_open(&o, &c, &e), &e, "KHIEN_TEST_PG");
	pgtest_need(pg_script(c, "SET synchronous_commit = off", &e), &e,
		"set"); /* nothing here crashes */
	if (pgtest_schema[0] == '\0')
		return c;
	(void)snprintf(sql, sizeof(sql), "SET search_path = %s", pgtest_schema);
	pgtest_need(pg_script(c, sql, &e), &e, sql);
	return c;
}

static inline void pgtest_file(struct pg *c, const char *name)
{
	BUF_OWN struct buf text;
	char path[512];
	struct err e;

	buf_init(&text, 1 << 20);
	(void)snprintf(path, sizeof(path), SOURCE_DIR "/sql/%s", name);
	pgtest_need(file_read(path, false, &text, &e), &e, path);
	pgtest_need(pg_script(c, text.ptr, &e), &e, path);
}

/* A new schema with every migration in it. NULL after "skipped". */
static inline struct pg *pgtest_begin(void)
{
	struct pg *c = pgtest_open();
	struct dirent **names;
	struct err e;
	char sql[256];
	int n;

	if (c == NULL) {
		printf("skipped: KHIEN_TEST_PG names no PostgreSQL\n");
		return NULL;
	}
	(void)snprintf(pgtest_schema, sizeof(pgtest_schema), "t_%d_%08x", (int)getpid(),
		(unsigned)random_u64());
	(void)snprintf(sql, sizeof(sql), "CREATE SCHEMA %s; SET search_path = %s", pgtest_schema,
		pgtest_schema);
	pgtest_need(pg_script(c, sql, &e), &e, sql);
	n = scandir(SOURCE_DIR "/sql", &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] == '0')
			pgtest_file(c, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return c;
}

static inline void pgtest_end(struct pg *c)
{
	struct err e;
	char sql[256];

	(void)snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", pgtest_schema);
	pg_rollback(c);
	pgtest_need(pg_script(c, sql, &e), &e, sql);
	pg_close(c);
}

/* A statement that must succeed. */
static inline void PRINTF(2, 3) pgtest_do(struct pg *c, const char *fmt, ...)
{
	char sql[4096];
	struct err e;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sql, sizeof(sql), fmt, ap);
	va_end(ap);
	pgtest_need(pg_script(c, sql, &e), &e, sql);
}

/* The first column of the first row as text; "(none)" without a row. `sql` is a literal. */
static inline const char *pgtest_get(struct pg *c, const char *sql)
{
	static _Thread_local char text[4][4096];
	static _Thread_local unsigned turn;
	struct pg_result *r = NULL;
	struct err e;
	char *out = text[turn++ % 4];

	pgtest_need(pg_run(c, sql, NULL, 0, &r, &e), &e, sql);
	(void)snprintf(
		out, sizeof(text[0]), "%s", pg_rows(r) > 0 ? pg_text(r, 0, 0).ptr : "(none)");
	pg_free(r);
	return out;
}
