/* Parameters of statements: single values, mostly in text format because the server then takes them
 * for any type, and arrays for unnest in binary format. A value that could not be built (the arena
 * or the buffer is full) is marked, and pg_run and pg_send refuse it with RC_LIMIT: it must not turn
 * into SQL NULL. */
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "wire/pg_conn.h"

#define ARRAY_CAP (256UL * 1024 * 1024)
#define ARRAY_HEADER 20

static const struct pg_param failed_param = {.bin = -1};

struct pg_param pg_p_none(void)
{
	return (struct pg_param){0};
}

struct pg_param pg_p_text(struct slice s, struct arena *a)
{
	struct slice copy;

	if (s.ptr == NULL)
		return pg_p_none();
	if (s.len > INT32_MAX)
		return failed_param;
	/* Text format ends at a NUL, which would cut the value silently; in binary format the
	 * server sees it and refuses (22021). */
	if (memchr(s.ptr, '\0', s.len) != NULL)
		return pg_p_bytes(s);
	copy = arena_copy(a, s);
	return copy.ptr != NULL ? (struct pg_param){copy.ptr, (int)copy.len, 0} : failed_param;
}

struct pg_param pg_p_str(const char *s)
{
	return (struct pg_param){.ptr = s};
}

static struct pg_param formatted(char *text)
{
	return text != NULL ? pg_p_str(text) : failed_param;
}

struct pg_param pg_p_int(int64_t v, struct arena *a)
{
	return formatted(arena_fmt(a, "%" PRId64, v));
}

struct pg_param pg_p_real(double v, struct arena *a)
{
	if (isnan(v))
		return pg_p_str("NaN");
	if (isinf(v))
		return pg_p_str(v > 0 ? "Infinity" : "-Infinity");
	return formatted(arena_fmt(a, "%.17g", v));
}

struct pg_param pg_p_bool(bool v)
{
	return pg_p_str(v ? "t" : "f");
}

struct pg_param pg_p_time(int64_t us, struct arena *a)
{
	char text[TIME_TEXT];

	if (us == TIME_NONE)
		return pg_p_none();
	time_format(us, text);
	return formatted(arena_fmt(a, "%s", text));
}

struct pg_param pg_p_bytes(struct slice s)
{
	if (s.len > INT32_MAX)
		return failed_param;
	return (struct pg_param){s.ptr, (int)s.len, 1};
}

/* --- arrays: dimensions, has-null, element type, count, lower bound, then length and value of each
 * element, all in network order */

static void put(struct buf *b, const void *bytes, size_t len)
{
	buf_add(b, slice_of(bytes, len));
}

static void put2(struct buf *b, int16_t v)
{
	uint16_t be = htobe16((uint16_t)v);

	put(b, &be, sizeof(be));
}

static void put4(struct buf *b, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	put(b, &be, sizeof(be));
}

static void put8(struct buf *b, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	put(b, &be, sizeof(be));
}

void pg_array_clear(struct pg_array *a)
{
	static const char header[ARRAY_HEADER];

	buf_clear(&a->b);
	put(&a->b, header, sizeof(header)); /* written by pg_p_array */
	a->count = 0;
	a->has_null = false;
	a->row = NULL;
	a->open = 0;
}

void pg_array_init(struct pg_array *a, enum pg_type type)
{
	a->type = type;
	buf_init(&a->b, ARRAY_CAP);
	pg_array_clear(a);
}

void pg_array_done(struct pg_array *a)
{
	buf_done(&a->b);
}

/* A row: its length, the number of columns, then type, length and value of each. */
void pg_array_rows(struct pg_array *a, const struct pg_row_type *t)
{
	pg_array_clear(a);
	a->row = t;
}

static void close_row(struct pg_array *a)
{
	if (a->open == 0 || a->b.failed)
		return;
	assert(a->at == a->row->n);
	uint32_t len = htobe32((uint32_t)(a->b.len - a->open - 4));
	memcpy(a->b.ptr + a->open, &len, sizeof(len));
	a->open = 0;
}

void pg_array_row(struct pg_array *a)
{
	assert(a->row != NULL && a->count < INT32_MAX);
	close_row(a);
	a->count++;
	a->open = a->b.len;
	put4(&a->b, 0); /* written by close_row */
	put4(&a->b, a->row->n);
	a->at = 0;
	a->type = a->row->columns[0];
}

static void element(struct pg_array *a, int32_t len)
{
	if (a->row == NULL) {
		assert(a->count < INT32_MAX);
		a->count++;
		a->has_null = a->has_null || len < 0;
		put4(&a->b, len);
		return;
	}
	assert(a->open != 0 && a->at < a->row->n);
	put4(&a->b, (int32_t)a->type);
	put4(&a->b, len);
	a->at++;
	if (a->at < a->row->n)
		a->type = a->row->columns[a->at];
}

void pg_array_null(struct pg_array *a)
{
	element(a, -1);
}

void pg_array_int(struct pg_array *a, int64_t v)
{
	switch (a->type) {
	case PG_BOOL:
		element(a, 1);
		buf_byte(&a->b, v != 0 ? 1 : 0);
		return;
	case PG_INT2:
		assert(v >= INT16_MIN && v <= INT16_MAX);
		element(a, 2);
		put2(&a->b, (int16_t)v);
		return;
	case PG_INT4:
	case PG_DATE:
		if (a->type == PG_DATE)
			v -= EPOCH_2000_DAYS;
		assert(v >= INT32_MIN && v <= INT32_MAX);
		element(a, 4);
		put4(&a->b, (int32_t)v);
		return;
	default:
		assert(a->type == PG_INT8);
		element(a, 8);
		put8(&a->b, v);
		return;
	}
}

void pg_array_real(struct pg_array *a, double v)
{
	float small = (float)v;
	int32_t four;
	int64_t eight;

	if (a->type == PG_FLOAT4) {
		memcpy(&four, &small, sizeof(four));
		element(a, 4);
		put4(&a->b, four);
		return;
	}
	assert(a->type == PG_FLOAT8);
	memcpy(&eight, &v, sizeof(eight));
	element(a, 8);
	put8(&a->b, eight);
}

void pg_array_text(struct pg_array *a, struct slice s)
{
	assert(a->type == PG_TEXT || a->type == PG_BYTEA);
	if (s.ptr == NULL) {
		pg_array_null(a);
		return;
	}
	if (s.len > INT32_MAX) {
		a->b.failed = true;
		return;
	}
	element(a, (int32_t)s.len);
	buf_add(&a->b, s);
}

void pg_array_time(struct pg_array *a, int64_t us)
{
	assert(a->type == PG_TIMESTAMPTZ);
	if (us == TIME_NONE) {
		pg_array_null(a);
		return;
	}
	element(a, 8);
	put8(&a->b, us - EPOCH_2000_US);
}

struct pg_param pg_p_array(struct pg_array *a)
{
	uint32_t head[5];
	/* An empty array has no dimension and ends after the element type. */
	size_t head_len = a->count > 0 ? ARRAY_HEADER : 12;

	close_row(a);
	if (a->b.failed || a->b.len > INT32_MAX)
		return failed_param;
	head[0] = htobe32(a->count > 0 ? 1 : 0);
	head[1] = htobe32(a->has_null ? 1 : 0);
	head[2] = htobe32(a->row != NULL ? a->row->oid : (uint32_t)a->type);
	head[3] = htobe32((uint32_t)a->count);
	head[4] = htobe32(1);
	memcpy(a->b.ptr, head, head_len);
	return (struct pg_param){a->b.ptr, (int)(a->count > 0 ? a->b.len : head_len), 1};
}

enum rc pg_row_type_find(struct pg *c, struct pg_row_type *t, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(t->name)};
	enum rc rc = pg_run(c, "SELECT to_regtype($1)::oid::bigint", p, 1, &r, e);

	if (rc == RC_OK && pg_null(r, 0, 0))
		rc = err_set(e, RC_FATAL, "the database has no type %s", t->name);
	if (rc == RC_OK)
		t->oid = (uint32_t)pg_int(r, 0, 0);
	return rc;
}
