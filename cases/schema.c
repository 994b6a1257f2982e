/* The schema up to date: numbered files applied in order, each in its own transaction, remembered with their checksums. Two
 * programs at once wait for each other on an advisory lock; a killed one leaves whole files only. Leaves out going back. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "cases/cases.h"

#define MIGRATIONS_MAX 1000
#define MIGRATION_BYTES (4u << 20)
#define MONTHS_AHEAD 3

struct migration {
	int n;
	char name[128];
	uint8_t sum[SHA256_LEN];
	struct buf text;
};

struct migrations {
	struct migration *at;
	size_t count;
};

static void migrations_free(struct migrations *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++)
		buf_done(&m->at[i].text);
	free(m->at);
	free(m);
}
OWNER(migrations_free, struct migrations);

/* "0001_ledger.sql" is 1; anything else is no migration. */
static int number_of(const char *name)
{
	size_t len = strlen(name);
	int n = 0;

	if (len < 10 || len >= sizeof(((struct migration *)0)->name) || name[4] != '_' ||
		strcmp(name + len - 4, ".sql") != 0)
		return 0;
	for (int i = 0; i < 4; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

static int by_number(const void *a, const void *b)
{
	return ((const struct migration *)a)->n - ((const struct migration *)b)->n;
}

static enum rc add_file(struct migrations *m, const char *dir, const char *name, struct err *e)
{
	struct migration *one = &m->at[m->count];
	char path[512];

	if (m->count == MIGRATIONS_MAX)
		return err_set(e, RC_LIMIT, "%s: more than %d migrations", dir, MIGRATIONS_MAX);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)snprintf(one->name, sizeof(one->name), "%s", name);
	one->n = number_of(name);
	buf_init(&one->text, MIGRATION_BYTES);
	m->count++;
	enum rc rc = file_read(path, false, &one->text, e);
	if (rc != RC_OK)
		return rc == RC_NONE ? err_set(e, RC_INVALID, "%s: vanished", path) : rc;
	sha256(buf_slice(&one->text), one->sum);
	return RC_OK;
}

static enum rc read_folder(const char *dir, struct migrations **out, struct err *e)
{
	OWN(migrations_free) struct migrations *m = calloc(1, sizeof(*m));
	enum rc rc = RC_OK;

	if (m != NULL)
		m->at = calloc(MIGRATIONS_MAX, sizeof(*m->at));
	if (m == NULL || m->at == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_set(e, RC_INVALID, "%s: cannot be read", dir);
	for (struct dirent *f; rc == RC_OK && (f = readdir(d)) != NULL;)
		if (number_of(f->d_name) > 0)
			rc = add_file(m, dir, f->d_name, e);
	(void)closedir(d);
	if (rc != RC_OK)
		return rc;
	qsort(m->at, m->count, sizeof(*m->at), by_number);
	for (size_t i = 0; i < m->count; i++)
		if (m->at[i].n != (int)i + 1)
			return err_set(e, RC_INVALID,
				"%s: migration %04zu is missing or there twice", dir, i + 1);
	if (m->count == 0)
		return err_set(e, RC_INVALID, "%s: holds no migrations", dir);
	*out = TAKE(m);
	return RC_OK;
}

/* Refuses what this program does not know: a file that was changed after it was applied, or a schema from the future. */
static enum rc compare(const struct migrations *m, struct pg_result *r, int *applied, struct err *e)
{
	int rows = pg_rows(r);

	for (int i = 0; i < rows; i++) {
		struct slice sum = pg_bytes(r, i, 2), name = pg_text(r, i, 1);
		if ((size_t)i >= m->count)
			return err_set(e, RC_INVALID,
				"the schema is newer than this program: it has migration %.*s",
				(int)name.len, name.ptr);
		if (pg_int(r, i, 0) != m->at[i].n || sum.len != SHA256_LEN ||
			memcmp(sum.ptr, m->at[i].sum, SHA256_LEN) != 0)
			return err_set(e, RC_INVALID,
				"migration %.*s was applied with another content than %s has",
				(int)name.len, name.ptr, m->at[i].name);
	}
	*applied = rows;
	return RC_OK;
}

static enum rc read_applied(struct pg *c, const struct migrations *m, int *applied, struct err *e)
{
	static const char there[] = "SELECT to_regclass('schema_version') IS NOT NULL";
	static const char versions[] = "SELECT n, name, sum FROM schema_version ORDER BY n";
	OWN(pg_free) struct pg_result *exists = NULL, *r = NULL;
	enum rc rc = pg_run(c, there, NULL, 0, &exists, e);

	if (rc != RC_OK)
		return rc;
	if (!pg_bool(exists, 0, 0)) {
		*applied = 0;
		return RC_OK;
	}
	rc = pg_run(c, versions, NULL, 0, &r, e);
	return rc == RC_OK ? compare(m, r, applied, e) : rc;
}

/* Under the lock until the end of the transaction. The lock is this program's: "khien" in ASCII. */
static enum rc begin_locked(struct pg *c, struct err *e)
{
	return pg_script(c,
		"BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;"
		" SELECT pg_advisory_xact_lock(461263627630);"
		" CREATE TABLE IF NOT EXISTS schema_version (n int PRIMARY KEY, name text NOT NULL,"
		" sum bytea NOT NULL, applied_at timestamptz NOT NULL)",
		e);
}

static enum rc remember(
	struct pg *c, const struct migration *m, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"INSERT INTO schema_version (n, name, sum, applied_at) VALUES ($1, $2, $3, $4)";
	struct pg_param p[] = {
		pg_p_int(m->n, a),
		pg_p_str(m->name),
		pg_p_bytes(slice_of((const char *)m->sum, SHA256_LEN)),
		pg_p_time(now_us, a),
	};

	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

/* Applies the first migration that is missing, if any. *left: how many are missing after it. */
static enum rc apply_next(struct pg *c, const struct migrations *m, int64_t now_us, struct arena *a,
	size_t *left, bool *did, struct err *e)
{
	int applied = 0;
	enum rc rc = begin_locked(c, e);

	*did = false;
	if (rc == RC_OK)
		rc = read_applied(c, m, &applied, e);
	if (rc == RC_OK && (size_t)applied < m->count) {
		const struct migration *next = &m->at[applied];
		rc = pg_script(c, buf_slice(&next->text).ptr, e);
		if (rc != RC_OK)
			(void)err_wrap(e, rc, "%s", next->name);
		else
			rc = remember(c, next, now_us, a, e);
		applied++;
		*did = true;
	}
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	*left = m->count - (size_t)applied;
	return RC_OK;
}

static enum rc make_partitions(struct pg *c, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"SELECT report_partitions(($1::timestamptz AT TIME ZONE 'UTC')::date, $2::int)";
	struct pg_param p[] = {pg_p_time(now_us, a), pg_p_int(MONTHS_AHEAD, a)};
	enum rc rc = begin_locked(c, e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc schema_migrate(struct pg *c, const char *dir, int64_t now_us, int *applied, struct err *e)
{
	OWN(migrations_free) struct migrations *m = NULL;
	OWN(arena_free) struct arena *a = arena_new(1 << 16);
	size_t left = 1;
	int done = 0;
	enum rc rc = a != NULL ? read_folder(dir, &m, e) : err_set(e, RC_RETRY, "out of memory");

	while (rc == RC_OK && left > 0) {
		bool did;
		rc = apply_next(c, m, now_us, a, &left, &did, e);
		done += rc == RC_OK && did;
	}
	if (rc == RC_OK)
		rc = make_partitions(c, now_us, a, e);
	if (rc == RC_OK && applied != NULL)
		*applied = done;
	return rc;
}

enum rc schema_check(struct pg *c, const char *dir, struct err *e)
{
	OWN(migrations_free) struct migrations *m = NULL;
	int applied = 0;
	enum rc rc = read_folder(dir, &m, e);

	if (rc == RC_OK)
		rc = read_applied(c, m, &applied, e);
	if (rc == RC_OK && (size_t)applied < m->count)
		rc = err_set(e, RC_INVALID,
			"the schema is older than this program: %s was not applied; run khien "
			"migrate",
			m->at[applied].name);
	return rc;
}
