/* PostgreSQL over libpq: one connection per owner, named prepared statements, pipelines, binary COPY. Every failure is mapped to a
 * result code by its SQLSTATE: 08, 53, 57, 58 and a lost connection RC_RETRY; 40 RC_CONFLICT; 22, 23, 54 RC_INVALID; anything else
 * RC_FATAL; err.state carries the SQLSTATE ("" when the connection was lost). Refined: 55P03 (lock_timeout) RC_RETRY, 25P02 (the
 * transaction failed already) RC_CONFLICT; whatever ends the session, a server that turned read-only (25006) and a plan made stale by a
 * migration are RC_RETRY with pg_broken. The cause never quotes values. Not thread-safe: a connection belongs to one thread. */
#pragma once

#include "base/base.h"

struct pg;
struct pg_result;

/* Session settings put on every connection: TimeZone UTC, statement_timeout, lock_timeout, idle_in_transaction_session_timeout,
 * application_name, and tcp_user_timeout, connect_timeout, keepalives, target_session_attrs=read-write in the conninfo. */
struct pg_options {
	const char *dsn;          /* libpq conninfo or URI */
	const char *name;         /* application_name: "khien-worker-1" */
	int statement_timeout_ms; /* 0: 30,000; negative: none (migrations) */
	int lock_timeout_ms;      /* 0: 10,000; negative: none */
	/* Statements walk from some keys into large tables by index. A plan made while a table was still small would scan it for every
	 * key, and be kept; so the planner is told once. */
	bool by_index;
	/* Answers come in binary format, cheaper on both sides for whoever reads many numbers: pg_int, pg_real, pg_bool, pg_time_us,
	 * pg_bytes and pg_text of a text read both; nothing else does. */
	bool binary;
};

MUST_USE enum rc pg_open(const struct pg_options *o, struct pg **out, struct err *e);
void pg_close(struct pg *c); /* NULL is fine; an open transaction is rolled back by the server */
OWNER(pg_close, struct pg);
bool pg_broken(const struct pg *c); /* the connection is gone: close it and open another */
/* Called about four times a second while a statement keeps us waiting, on the owner's thread; it must not use the connection. NULL: nobody. */
void pg_on_wait(struct pg *c, void (*waiting)(void *arg), void *arg);

/* Parameters. Text format unless `bin` is set; NULL ptr is SQL NULL. Build them with the helpers below. */
struct pg_param {
	const char *ptr;
	int len;
	int bin; /* 1: binary format */
};
/* The statement is prepared on first use under a name made from its address, so `sql` must be a string literal or otherwise constant
 * for the connection's life. `n` parameters. `out` may be NULL when rows do not matter. RC_LIMIT: a parameter could not be built (its
 * arena or array is full). Neither this nor pg_script inside a pipeline or COPY. */
MUST_USE enum rc pg_run(struct pg *c, const char *sql, const struct pg_param *params, int n,
	struct pg_result **out, struct err *e);
/* Several statements without parameters in one string (migrations, BEGIN). They are one transaction of their own, and a BEGIN among them
 * takes in those before it too. */
MUST_USE enum rc pg_script(struct pg *c, const char *sql, struct err *e);

/* Pipeline: begin, any number of pg_send, then pg_recv once per sent statement in order, then pg_pipeline_end (which syncs and drains
 * whatever was not received). After a failed statement the rest of the pipeline answers RC_CONFLICT "skipped"; the transaction is
 * the caller's to roll back. */
MUST_USE enum rc pg_pipeline_begin(struct pg *c, struct err *e);
MUST_USE enum rc pg_send(
	struct pg *c, const char *sql, const struct pg_param *params, int n, struct err *e);
/* Asks the server to run what was sent and answer it now (pipeline sync). Call before the first pg_recv of a round. */
MUST_USE enum rc pg_flush(struct pg *c, struct err *e);
MUST_USE enum rc pg_recv(struct pg *c, struct pg_result **out, struct err *e);
MUST_USE enum rc pg_pipeline_end(struct pg *c, struct err *e);

/* The failure is a deadlock or a serialization failure (SQLSTATE 40): the transaction may be tried again as a whole. */
bool pg_collided(enum rc rc, const struct err *e);
/* COMMIT. RC_OK: durable. RC_RETRY with pg_broken: the answer was lost, the outcome is unknown. RC_CONFLICT: the transaction had failed
 * and was rolled back (also when COMMIT goes through pg_run or pg_send). */
MUST_USE enum rc pg_commit(struct pg *c, struct err *e);
void pg_rollback(struct pg *c); /* best effort; also out of an open pipeline or COPY */

/* Results hold text-format values unless the connection asked for binary; borrowed until freed. */
void pg_free(struct pg_result *r);
OWNER(pg_free, struct pg_result);
int pg_rows(const struct pg_result *r);
int pg_affected(const struct pg_result *r); /* rows of INSERT, UPDATE, DELETE, COPY */
bool pg_null(const struct pg_result *r, int row, int col);
struct slice pg_text(const struct pg_result *r, int row, int col);
int64_t pg_int(const struct pg_result *r, int row,
	int col); /* int2, int4, int8, text or binary; 0 for NULL */
double pg_real(const struct pg_result *r, int row, int col);
bool pg_bool(const struct pg_result *r, int row, int col);
int64_t pg_time_us(const struct pg_result *r, int row,
	int col); /* timestamptz; TIME_NONE for NULL, infinity */
/* bytea decoded into the result's own memory; borrowed. */
struct slice pg_bytes(struct pg_result *r, int row, int col);

/* Waits up to wait_ms for a NOTIFY on a channel that this connection LISTENs to, and takes all that came, also during statements before.
 * Not within a transaction. */
MUST_USE enum rc pg_notified(struct pg *c, int wait_ms, bool *rung, struct err *e);

/* Parameter helpers; what they format lives in the arena. pg_p_none() is SQL NULL, and so is a slice whose ptr is NULL, here and in
 * arrays and COPY; the empty text is SLICE(""). */
struct pg_param pg_p_none(void);
struct pg_param pg_p_text(struct slice s, struct arena *a);
struct pg_param pg_p_str(const char *s); /* borrowed; NULL is SQL NULL */
struct pg_param pg_p_int(int64_t v, struct arena *a);
struct pg_param pg_p_real(double v, struct arena *a);
struct pg_param pg_p_bool(bool v);
struct pg_param pg_p_time(int64_t us, struct arena *a); /* TIME_NONE is NULL */
struct pg_param pg_p_bytes(struct slice s);             /* binary, borrowed */

/* Array parameters for unnest, in binary format: build with one of the adders, all elements of one type. */
enum pg_type {
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_INT8 = 20,
	PG_INT2 = 21,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_FLOAT4 = 700,
	PG_FLOAT8 = 701,
	PG_DATE = 1082,
	PG_TIMESTAMPTZ = 1184
};
struct pg_array {
	struct buf b;
	enum pg_type type; /* of the next value */
	int32_t count;
	bool has_null;
	const struct pg_row_type *row; /* NULL: of single values */
	int at;                        /* the next column of a row */
	size_t open;                   /* where the row in work begins; 0: none */
};
/* A composite type of the schema. Rows as one parameter, `unnest($1::vote_row[])`, cost the server a third less than an array per column,
 * which it has to put side by side again. The type is of its own, not a table's: a column more in a table changes no statement. */
struct pg_row_type {
	const char *name;
	uint32_t oid; /* of this database: pg_row_type_find */
	int n;
	enum pg_type columns[16];
};
MUST_USE enum rc pg_row_type_find(struct pg *c, struct pg_row_type *t, struct err *e);
void pg_array_init(struct pg_array *a, enum pg_type type);
/* Makes it an empty array of rows: pg_array_row begins one, then exactly t->n values follow. `t` is borrowed. */
void pg_array_rows(struct pg_array *a, const struct pg_row_type *t);
void pg_array_row(struct pg_array *a);
void pg_array_done(struct pg_array *a);
void pg_array_clear(struct pg_array *a);
void pg_array_null(struct pg_array *a);
void pg_array_int(
	struct pg_array *a, int64_t v); /* int2, int4, int8, bool; date as days since 1970-01-01 */
void pg_array_real(struct pg_array *a, double v);
void pg_array_text(struct pg_array *a, struct slice s); /* text or bytea */
void pg_array_time(struct pg_array *a, int64_t us);     /* TIME_NONE is NULL */
struct pg_param pg_p_array(
	struct pg_array *a); /* borrowed; finishes the header. Check a->b.failed first */

/* Binary COPY … FROM STDIN. Also allowed inside a transaction; not inside a pipeline. Rows are gathered and sent in 64 KiB pieces. */
MUST_USE enum rc pg_copy_begin(struct pg *c, const char *sql, int columns, struct err *e);
void pg_copy_row(struct pg *c); /* starts a row; then exactly `columns` values follow */
void pg_copy_null(struct pg *c);
void pg_copy_int2(struct pg *c, int16_t v);
void pg_copy_int4(struct pg *c, int32_t v);
void pg_copy_int8(struct pg *c, int64_t v);
void pg_copy_bool(struct pg *c, bool v);
void pg_copy_real4(struct pg *c, float v);
void pg_copy_real8(struct pg *c, double v);
void pg_copy_text(struct pg *c, struct slice s); /* text or bytea */
void pg_copy_time(struct pg *c, int64_t us);     /* timestamptz, TIME_NONE is NULL */
void pg_copy_date(struct pg *c, int32_t day);
void pg_copy_jsonb(
	struct pg *c, struct slice json); /* into a jsonb column; json takes pg_copy_text */
void pg_copy_array(struct pg *c, struct pg_array *a);
MUST_USE enum rc pg_copy_end(struct pg *c, int64_t *rows, struct err *e); /* rows may be NULL */
