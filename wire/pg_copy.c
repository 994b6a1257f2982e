/* Binary COPY ... FROM STDIN: rows are gathered in one piece of 64 KiB and sent when it is full. The
 * first failure is kept and told by pg_copy_end; until then values are swallowed, so a loop over a
 * batch needs no checks. */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "wire/pg_conn.h"

#define EPOCH_2000_DAYS 10957

static void fail(struct pg *c, enum rc rc)
{
	if (c->copy.rc == RC_OK)
		c->copy.rc = rc;
}

/* Queues bytes in libpq and waits until the kernel has them: memory stays bounded. */
static void send_bytes(struct pg *c, const char *bytes, size_t len)
{
	struct pg_copy *y = &c->copy;

	if (y->rc != RC_OK || len == 0)
		return;
	if (PQputCopyData(c->conn, bytes, (int)len) != 1)
		fail(c, pg_lost(c, &y->err));
	else
		fail(c, pg_wait(c, false, 1, &y->err));
}

static void send_piece(struct pg *c)
{
	send_bytes(c, c->copy.piece, c->copy.len);
	c->copy.len = 0;
}

static void put(struct pg *c, const void *bytes, size_t len)
{
	struct pg_copy *y = &c->copy;

	if (y->len + len > PG_COPY_PIECE)
		send_piece(c);
	if (len > PG_COPY_PIECE) {
		send_bytes(c, bytes, len);
		return;
	}
	if (len > 0)
		memcpy(y->piece + y->len, bytes, len);
	y->len += len;
}

static void put2(struct pg *c, int16_t v)
{
	uint16_t be = htobe16((uint16_t)v);

	put(c, &be, sizeof(be));
}

static void put4(struct pg *c, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	put(c, &be, sizeof(be));
}

static void put8(struct pg *c, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	put(c, &be, sizeof(be));
}

enum rc pg_copy_begin(struct pg *c, const char *sql, int columns, struct err *e)
{
	static const char signature[19] = "PGCOPY\n\377\r\n"; /* then flags and extension: zeros */
	PG_RESULT_OWN PGresult *res = NULL;
	struct pg_copy *y = &c->copy;
	enum rc rc;

	assert(!c->pipe.on && !y->on && columns > 0 && columns < INT16_MAX);
	if (pg_broken(c))
		return pg_lost(c, e);
	if (y->piece == NULL && (y->piece = malloc(PG_COPY_PIECE)) == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (PQsendQuery(c->conn, sql) == 0)
		return pg_lost(c, e);
	rc = pg_take(c, &res, e);
	if (rc != RC_OK)
		return rc;
	if (PQresultStatus(res) != PGRES_COPY_IN) {
		rc = pg_judge(c, res, sql, e);
		return rc != RC_OK ? rc : err_set(e, RC_FATAL, "postgresql: no COPY: %s", sql);
	}
	assert(PQnfields(res) == columns && PQbinaryTuples(res));
	y->on = true;
	y->columns = columns;
	y->left = 0;
	y->rows = 0;
	y->len = 0;
	y->rc = RC_OK;
	y->sql = sql;
	put(c, signature, sizeof(signature));
	return RC_OK;
}

void pg_copy_row(struct pg *c)
{
	struct pg_copy *y = &c->copy;

	assert(y->on && y->left == 0);
	y->left = y->columns;
	y->rows++;
	put2(c, (int16_t)y->columns);
}

static void value(struct pg *c, int32_t len)
{
	assert(c->copy.left > 0);
	c->copy.left--;
	put4(c, len);
}

void pg_copy_null(struct pg *c)
{
	value(c, -1);
}

void pg_copy_int2(struct pg *c, int16_t v)
{
	value(c, 2);
	put2(c, v);
}

void pg_copy_int4(struct pg *c, int32_t v)
{
	value(c, 4);
	put4(c, v);
}

void pg_copy_int8(struct pg *c, int64_t v)
{
	value(c, 8);
	put8(c, v);
}

void pg_copy_bool(struct pg *c, bool v)
{
	value(c, 1);
	put(c, v ? "\1" : "\0", 1);
}

void pg_copy_real4(struct pg *c, float v)
{
	int32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	pg_copy_int4(c, bits);
}

void pg_copy_real8(struct pg *c, double v)
{
	int64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	pg_copy_int8(c, bits);
}

void pg_copy_text(struct pg *c, struct slice s)
{
	if (s.ptr == NULL) {
		pg_copy_null(c);
		return;
	}
	if (s.len > BOUND_BATCH_BYTES) {
		fail(c,
			err_set(&c->copy.err, RC_INVALID,
				"postgresql: a value of %zu bytes in COPY", s.len));
		pg_copy_null(c);
		return;
	}
	value(c, (int32_t)s.len);
	put(c, s.ptr, s.len);
}

void pg_copy_jsonb(struct pg *c, struct slice s)
{
	if (s.ptr == NULL || s.len > BOUND_BATCH_BYTES) {
		pg_copy_text(c, s);
		return;
	}
	value(c, (int32_t)s.len + 1);
	put(c, "\1", 1); /* the version of the format */
	put(c, s.ptr, s.len);
}

void pg_copy_array(struct pg *c, struct pg_array *a)
{
	struct pg_param p = pg_p_array(a);

	if (p.bin < 0)
		fail(c, err_set(&c->copy.err, RC_LIMIT, "postgresql: no room for an array"));
	pg_copy_text(c, slice_of(p.ptr, p.bin < 0 ? 0 : (size_t)p.len));
}

void pg_copy_time(struct pg *c, int64_t us)
{
	if (us == TIME_NONE)
		pg_copy_null(c);
	else
		pg_copy_int8(c, us - EPOCH_2000_DAYS * US_PER_DAY);
}

void pg_copy_date(struct pg *c, int32_t day)
{
	pg_copy_int4(c, day - EPOCH_2000_DAYS);
}

/* Ends the COPY, with its rows or with `why` it is given up, and takes the answer. */
static enum rc finish(struct pg *c, const char *why, PGresult **out, struct err *e)
{
	enum rc rc;

	c->copy.on = false;
	if (pg_broken(c) || PQputCopyEnd(c->conn, why) != 1)
		return pg_lost(c, e);
	rc = pg_wait(c, false, 1, e);
	return rc == RC_OK ? pg_take(c, out, e) : rc;
}

enum rc pg_copy_end(struct pg *c, int64_t *rows, struct err *e)
{
	PG_RESULT_OWN PGresult *res = NULL;
	struct pg_copy *y = &c->copy;
	struct err ignored;
	enum rc rc;

	assert(y->on && y->left == 0);
	put2(c, -1);
	send_piece(c);
	if (y->rc != RC_OK) {
		y->on = false;
		if (e != NULL)
			*e = y->err;
		(void)!finish(c, "a value could not be sent", &res, &ignored);
		return y->rc;
	}
	rc = finish(c, NULL, &res, e);
	if (rc == RC_OK)
		rc = pg_judge(c, res, y->sql, e);
	if (rc == RC_OK && rows != NULL)
		*rows = y->rows;
	return rc;
}

void pg_copy_abandon(struct pg *c)
{
	PG_RESULT_OWN PGresult *res = NULL;
	struct err ignored;

	(void)!finish(c, "given up", &res, &ignored);
}
