/* One PostgreSQL connection: opening it with the session settings that every process of the house
 * uses, running a statement, waiting with a deadline, and the translation of SQLSTATEs into result
 * codes. Pipelines are in pg_pipeline.c, parameters in pg_param.c, results in pg_result.c, COPY in
 * pg_copy.c. Connections are not pooled here: each belongs to one thread. */
#include "wire/pg_conn.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void conninfo_own(PQconninfoOption **o)
{
	PQconninfoFree(*o);
}
#define CONNINFO_OWN __attribute__((cleanup(conninfo_own)))

/* What libpq says, on one line and without its final newline. */
static void one_line(const char *text, char *out, size_t room)
{
	size_t n = 0;

	for (; text != NULL && *text != '\0' && n + 1 < room; text++) {
		char c = *text;

		if (c == '\n' || c == '\t' || c == '\r')
			c = ' ';
		if (c == ' ' && (n == 0 || out[n - 1] == ' '))
			continue;
		out[n++] = c;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

enum rc pg_lost(struct pg *c, struct err *e)
{
	char why[256];

	one_line(PQerrorMessage(c->conn), why, sizeof(why));
	c->broken = true;
	return err_set(e, RC_RETRY, "postgresql: connection lost: %s",
		why[0] != '\0' ? why : "closed by the server");
}

/* --- errors */

static enum rc rc_of_state(const char *state)
{
	static const struct {
		const char *prefix;
		enum rc rc;
	} map[] = {
		{"08", RC_RETRY}, {"53", RC_RETRY}, {"57", RC_RETRY}, {"58", RC_RETRY},
		{"40", RC_CONFLICT}, {"22", RC_INVALID}, {"23", RC_INVALID}, {"54", RC_INVALID},
		{"25P02", RC_CONFLICT}, /* an earlier statement failed: nothing new is wrong */
		{"55P03", RC_RETRY},    /* lock_timeout: as statement_timeout, which is class 57 */
		{"25006", RC_RETRY},    /* read-only: the server was demoted under us */
	};

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (strncmp(state, map[i].prefix, strlen(map[i].prefix)) == 0)
			return map[i].rc;
	return RC_FATAL;
}

/* True when the server has ended, or is about to end, this connection, or when only a fresh one
 * helps. */
static bool ends_connection(const char *severity, const char *state, const char *message)
{
	if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)
		return true;
	/* A demoted server stays connected; only reconnecting finds the one that takes writes. */
	if (strcmp(state, "25006") == 0)
		return true;
	/* A migration changed a table under a prepared statement. */
	if (strcmp(state, "0A000") == 0 && strstr(message, "cached plan") != NULL)
		return true;
	return strncmp(state, "08", 2) == 0 || strcmp(state, "57P01") == 0 ||
		strcmp(state, "57P02") == 0 || strcmp(state, "57P03") == 0;
}

static const char *diag_field(const PGresult *res, int code)
{
	const char *text = PQresultErrorField(res, code);

	return text != NULL ? text : "";
}

/* The primary message only: DETAIL and CONTEXT quote values of the row, which are people's numbers
 * and words. Class 22 quotes the value in the message itself, after a colon. */
static enum rc judge_error(struct pg *c, const PGresult *res, const char *sql, struct err *e)
{
	const char *state = diag_field(res, PG_DIAG_SQLSTATE);
	char message[256], where[64];
	char *quoted;
	enum rc rc;

	one_line(diag_field(res, PG_DIAG_MESSAGE_PRIMARY), message, sizeof(message));
	one_line(sql, where, sizeof(where));
	if (strlen(state) != 5) /* libpq's own: no answer came from the server */
		return pg_lost(c, e);
	if (strncmp(state, "22", 2) == 0 && (quoted = strstr(message, ": \"")) != NULL)
		*quoted = '\0';
	rc = rc_of_state(state);
	if (ends_connection(diag_field(res, PG_DIAG_SEVERITY_NONLOCALIZED), state, message))
		c->broken = true;
	if (c->broken)
		rc = RC_RETRY;
	(void)err_set(e, rc, "postgresql: %s [%s] in: %s", message, state, where);
	if (e != NULL)
		memcpy(e->state, state, sizeof(e->state));
	return rc;
}

enum rc pg_judge(struct pg *c, const PGresult *res, const char *sql, struct err *e)
{
	switch (PQresultStatus(res)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		return RC_OK;
	case PGRES_PIPELINE_ABORTED:
		return err_set(e, RC_CONFLICT, "postgresql: skipped after an earlier failure");
	case PGRES_FATAL_ERROR:
	case PGRES_NONFATAL_ERROR:
	case PGRES_BAD_RESPONSE:
		return judge_error(c, res, sql, e);
	default: /* a COPY or a sync where none was asked for: the protocol is out of step */
		c->broken = true;
		return err_set(e, RC_FATAL, "postgresql: unexpected answer %s",
			PQresStatus(PQresultStatus(res)));
	}
}

/* --- waiting */

static int64_t mono_us(void)
{
	return clk_system.mono_us(&clk_system);
}

/* One poll(2), a quarter of a second at most: under TLS libpq may hold decrypted bytes that poll
 * cannot see, so the caller looks again. */
static int wait_socket(struct pg *c, bool writing, int64_t end_us)
{
	struct pollfd p = {.fd = PQsocket(c->conn), .events = POLLIN};
	int64_t left_ms = (end_us - mono_us()) / 1000 + 1;

	if (writing)
		p.events |= POLLOUT;
	if (left_ms < 0)
		left_ms = 0;
	return poll(&p, 1, left_ms < 250 ? (int)left_ms : 250);
}

void pg_on_wait(struct pg *c, void (*waiting)(void *arg), void *arg)
{
	c->waiting = waiting;
	c->waiting_arg = arg;
}

enum rc pg_wait(struct pg *c, bool want_result, size_t n, struct err *e)
{
	int64_t patience_us = c->patience_us * (int64_t)(n > 0 ? n : 1) + PG_GRACE_US;
	int64_t end_us = mono_us() + patience_us;

	for (;;) {
		int unsent = PQflush(c->conn);
		int ready;

		/* A dead connection may still hold the server's last words: they are a result. */
		if (unsent < 0)
			(void)PQconsumeInput(c->conn);
		if (want_result && !PQisBusy(c->conn))
			return RC_OK;
		if (unsent < 0 || PQstatus(c->conn) != CONNECTION_OK)
			return pg_lost(c, e);
		if (!want_result && unsent == 0)
			return RC_OK;
		ready = wait_socket(c, unsent > 0, end_us);
		if (ready < 0 && errno != EINTR)
			return pg_lost(c, e);
		if (ready > 0)
			end_us = mono_us() + patience_us;
		if (ready == 0 && c->waiting != NULL)
			c->waiting(c->waiting_arg);
		if (ready == 0 && mono_us() >= end_us) {
			c->broken = true;
			return err_set(e, RC_RETRY, "postgresql: no answer in %lld s",
				(long long)(patience_us / US_PER_S));
		}
		/* Also when only writing was possible: the server may be waiting for us to read. */
		if (PQconsumeInput(c->conn) == 0 && !want_result)
			return pg_lost(c, e);
	}
}

/* Results without the NULL behind them. */
static bool stands_alone(const PGresult *res)
{
	ExecStatusType st = PQresultStatus(res);

	return st == PGRES_PIPELINE_SYNC || st == PGRES_COPY_IN || st == PGRES_COPY_OUT ||
		st == PGRES_COPY_BOTH;
}

enum rc pg_take(struct pg *c, PGresult **out, struct err *e)
{
	PG_RESULT_OWN PGresult *res = NULL;
	enum rc rc = pg_wait(c, true, c->pipe.len, e);

	if (rc != RC_OK)
		return rc;
	res = PQgetResult(c->conn);
	if (res == NULL)
		return pg_lost(c, e);
	while (!stands_alone(res)) {
		PGresult *more;

		rc = pg_wait(c, true, c->pipe.len, e);
		/* An error stands, though the server hung up after it. A success does not: an
		 * implicit transaction commits after it. */
		if (rc != RC_OK && PQresultStatus(res) == PGRES_FATAL_ERROR)
			break;
		if (rc != RC_OK)
			return rc;
		more = PQgetResult(c->conn);
		if (more == NULL)
			break;
		if (PQresultStatus(res) == PGRES_FATAL_ERROR) {
			PQclear(more); /* libpq adds that the server hung up */
			continue;
		}
		PQclear(res); /* that commit failed: its error is the answer */
		res = more;
	}
	*out = TAKE(res);
	return RC_OK;
}

enum rc pg_give(PGresult *res, struct pg_result **out, struct err *e)
{
	struct pg_result *r;

	if (out == NULL) {
		PQclear(res);
		return RC_OK;
	}
	r = malloc(sizeof(*r));
	if (r == NULL) {
		PQclear(res);
		return err_set(e, RC_RETRY, "out of memory");
	}
	r->res = res;
	*out = r;
	return RC_OK;
}

/* --- opening */

static void on_notice(void *arg, const PGresult *res)
{
	char line[256];

	(void)arg;
	one_line(diag_field(res, PG_DIAG_MESSAGE_PRIMARY), line, sizeof(line));
	log_debug("pg", "notice=\"%s\"", line);
}

/* What a connection string may leave open. `forced`: what it must not say otherwise. */
static const struct {
	const char *key, *value;
	bool forced;
} conn_defaults[] = {
	{"connect_timeout", "5", false},
	{"keepalives", "1", false},
	{"keepalives_idle", "10", false},
	{"keepalives_interval", "5", false},
	{"keepalives_count", "3", false},
	{"tcp_user_timeout", "10000", false},
	{"target_session_attrs", "read-write", false},
	{"client_encoding", "UTF8", true},
};

static const char *conn_default(const PQconninfoOption *o, const char *name)
{
	if (strcmp(o->keyword, "application_name") == 0 && o->val == NULL)
		return name;
	for (size_t i = 0; i < ARRAY_LEN(conn_defaults); i++)
		if (strcmp(o->keyword, conn_defaults[i].key) == 0 &&
			(o->val == NULL || conn_defaults[i].forced))
			return conn_defaults[i].value;
	return o->val;
}

static enum rc connect_with(struct pg *c, const struct pg_options *o, struct err *e)
{
	char *why = NULL, line[256];
	CONNINFO_OWN PQconninfoOption *opts = PQconninfoParse(o->dsn != NULL ? o->dsn : "", &why);
	const char *keys[64], *values[64];
	size_t n = 0;

	if (opts == NULL) {
		one_line(why, line, sizeof(line));
		PQfreemem(why);
		return err_set(e, RC_INVALID, "postgresql: connection string: %s", line);
	}
	for (PQconninfoOption *p = opts; p->keyword != NULL; p++) {
		const char *value = conn_default(p, o->name);

		if (value == NULL)
			continue;
		assert(n + 1 < ARRAY_LEN(keys));
		keys[n] = p->keyword;
		values[n++] = value;
	}
	keys[n] = values[n] = NULL;
	/* libpq tells no SQLSTATE of a refused connection: a wrong password and a server that is
	 * away look alike, and both may mend. */
	c->conn = PQconnectdbParams(keys, values, 0);
	if (c->conn == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (PQstatus(c->conn) != CONNECTION_OK) {
		one_line(PQerrorMessage(c->conn), line, sizeof(line));
		return err_set(e, RC_RETRY, "postgresql: %s", line);
	}
	(void)PQsetNoticeReceiver(c->conn, on_notice, NULL);
	if (PQsetnonblocking(c->conn, 1) != 0)
		return pg_lost(c, e);
	return RC_OK;
}

static const char by_index[] =
	"; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_material "
	"= off;"
	" SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

static enum rc session(struct pg *c, const struct pg_options *o, struct err *e)
{
	int statement_ms = o->statement_timeout_ms == 0 ? 30000 : o->statement_timeout_ms;
	int lock_ms = o->lock_timeout_ms == 0 ? 10000 : o->lock_timeout_ms;
	char sql[640];

	if (statement_ms < 0)
		statement_ms = 0;
	if (lock_ms < 0)
		lock_ms = 0;
	c->binary = o->binary;
	c->patience_us = statement_ms > 0 ? statement_ms * (US_PER_S / 1000) : US_PER_DAY;
	(void)snprintf(sql, sizeof(sql),
		"SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex';"
		" SET statement_timeout = %d; SET lock_timeout = %d;"
		" SET idle_in_transaction_session_timeout = 60000; SET synchronous_commit = on%s",
		statement_ms, lock_ms, o->by_index ? by_index : "");
	return pg_script(c, sql, e);
}

enum rc pg_open(const struct pg_options *o, struct pg **out, struct err *e)
{
	OWN(pg_close) struct pg *c = calloc(1, sizeof(*c));
	enum rc rc = c != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");

	if (rc == RC_OK)
		rc = connect_with(c, o, e);
	if (rc == RC_OK)
		rc = session(c, o, e);
	if (rc == RC_OK)
		*out = TAKE(c);
	return rc;
}

void pg_close(struct pg *c)
{
	if (c == NULL)
		return;
	if (c->conn != NULL)
		PQfinish(c->conn);
	for (size_t i = 0; i < c->stmt_room; i++)
		free(c->stmts[i]);
	free(c->stmts);
	free(c->pipe.sent);
	free(c->copy.piece);
	free(c);
}

bool pg_broken(const struct pg *c)
{
	return c->broken || PQstatus(c->conn) != CONNECTION_OK;
}

/* --- prepared statements */

static uint64_t text_hash(const char *sql)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *sql != '\0'; sql++)
		h = (h ^ (unsigned char)*sql) * UINT64_C(1099511628211);
	return h;
}

static size_t stmt_slot(struct pg_stmt *const *at, size_t room, const char *sql)
{
	size_t i = (size_t)(((uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (room - 1);

	while (at[i] != NULL && at[i]->sql != sql)
		i = (i + 1) & (room - 1);
	return i;
}

static enum rc stmt_grow(struct pg *c, struct err *e)
{
	size_t room = c->stmt_room == 0 ? 64 : c->stmt_room * 2;
	struct pg_stmt **at;

	if (c->stmt_count * 2 < c->stmt_room)
		return RC_OK;
	at = calloc(room, sizeof(struct pg_stmt *));
	if (at == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < c->stmt_room; i++)
		if (c->stmts[i] != NULL)
			at[stmt_slot(at, room, c->stmts[i]->sql)] = c->stmts[i];
	free(c->stmts);
	c->stmts = at;
	c->stmt_room = room;
	return RC_OK;
}

enum rc pg_stmt_of(struct pg *c, const char *sql, struct pg_stmt **out, struct err *e)
{
	enum rc rc = stmt_grow(c, e);
	struct pg_stmt *s;
	size_t i;

	if (rc != RC_OK)
		return rc;
	i = stmt_slot(c->stmts, c->stmt_room, sql);
	s = c->stmts[i];
	if (s != NULL) {
		assert(s->hash == text_hash(sql)); /* the text must be constant, see pg_run */
		*out = s;
		return RC_OK;
	}
	assert(c->stmt_count < PG_STMTS_MAX);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	s->sql = sql;
	s->hash = text_hash(sql);
	(void)snprintf(s->name, sizeof(s->name), "k%llx", (unsigned long long)(uintptr_t)sql);
	while (isspace((unsigned char)*sql))
		sql++;
	s->commit = strncasecmp(sql, "commit", 6) == 0;
	c->stmts[i] = s;
	c->stmt_count++;
	*out = s;
	return RC_OK;
}

enum rc pg_params_ok(const struct pg_param *params, int n, struct err *e)
{
	assert(n >= 0 && n <= PG_PARAMS_MAX);
	for (int i = 0; i < n; i++)
		if (params[i].bin < 0)
			return err_set(e, RC_LIMIT, "postgresql: no room for parameter $%d", i + 1);
	return RC_OK;
}

enum rc pg_queue(
	struct pg *c, struct pg_stmt *s, const struct pg_param *params, int n, struct err *e)
{
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];

	for (int i = 0; i < n; i++) {
		values[i] = params[i].ptr;
		lengths[i] = params[i].len;
		formats[i] = params[i].bin;
	}
	if (PQsendQueryPrepared(c->conn, s->name, n, values, lengths, formats, c->binary) == 0)
		return pg_lost(c, e);
	return RC_OK;
}

/* COMMIT of a transaction that has failed is answered ROLLBACK, without an error. */
enum rc pg_judge_commit(const struct pg_stmt *s, PGresult *res, struct err *e)
{
	if (!s->commit || strcmp(PQcmdStatus(res), "ROLLBACK") != 0)
		return RC_OK;
	return err_set(e, RC_CONFLICT, "postgresql: COMMIT of a failed transaction: rolled back");
}

/* --- running */

static enum rc prepare_now(struct pg *c, struct pg_stmt *s, struct err *e)
{
	PG_RESULT_OWN PGresult *res = NULL;
	enum rc rc;

	if (s->ready)
		return RC_OK;
	if (PQsendPrepare(c->conn, s->name, s->sql, 0, NULL) == 0)
		return pg_lost(c, e);
	rc = pg_take(c, &res, e);
	if (rc == RC_OK)
		rc = pg_judge(c, res, s->sql, e);
	s->ready = rc == RC_OK;
	return rc;
}

static enum rc idle(struct pg *c, struct err *e)
{
	assert(!c->pipe.on && !c->copy.on);
	if (!pg_broken(c))
		return RC_OK;
	c->broken = true;
	return err_set(e, RC_RETRY, "postgresql: connection lost");
}

enum rc pg_run(struct pg *c, const char *sql, const struct pg_param *params, int n,
	struct pg_result **out, struct err *e)
{
	PG_RESULT_OWN PGresult *res = NULL;
	struct pg_stmt *s = NULL;
	enum rc rc = idle(c, e);

	if (rc == RC_OK)
		rc = pg_params_ok(params, n, e);
	if (rc == RC_OK)
		rc = pg_stmt_of(c, sql, &s, e);
	if (rc == RC_OK)
		rc = prepare_now(c, s, e);
	if (rc == RC_OK)
		rc = pg_queue(c, s, params, n, e);
	if (rc == RC_OK)
		rc = pg_take(c, &res, e);
	if (rc == RC_OK)
		rc = pg_judge(c, res, sql, e);
	if (rc == RC_OK)
		rc = pg_judge_commit(s, res, e);
	if (rc == RC_OK)
		rc = pg_give(TAKE(res), out, e);
	return rc;
}

enum rc pg_script(struct pg *c, const char *sql, struct err *e)
{
	struct err later;
	enum rc rc = idle(c, e);

	if (rc != RC_OK)
		return rc;
	if (PQsendQuery(c->conn, sql) == 0)
		return pg_lost(c, e);
	for (;;) {
		PG_RESULT_OWN PGresult *res = NULL;
		/* The first failure is the cause; after it only the end is looked for. */
		enum rc one = pg_wait(c, true, 1, rc == RC_OK ? e : &later);

		if (one != RC_OK)
			return rc == RC_OK ? one : rc;
		res = PQgetResult(c->conn);
		if (res == NULL)
			return rc;
		one = pg_judge(c, res, sql, rc == RC_OK ? e : &later);
		if (rc == RC_OK)
			rc = one;
		if (c->broken)
			return rc;
	}
}

enum rc pg_commit(struct pg *c, struct err *e)
{
	return pg_run(c, "COMMIT", NULL, 0, NULL, e);
}

void pg_rollback(struct pg *c)
{
	struct err ignored;

	if (c->copy.on)
		pg_copy_abandon(c);
	if (c->pipe.on)
		(void)!pg_pipeline_end(c, &ignored);
	if (!pg_broken(c) && PQtransactionStatus(c->conn) != PQTRANS_IDLE)
		(void)!pg_script(c, "ROLLBACK", &ignored);
}

bool pg_collided(enum rc rc, const struct err *e)
{
	return rc == RC_CONFLICT && strncmp(e->state, "40", 2) == 0;
}
