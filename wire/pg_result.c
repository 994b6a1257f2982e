/* Reading what PostgreSQL answered, in text format or in binary. A value that is not of the asked kind is a mistake in our own SQL and ends the
 * process; SQL NULL gives the documented neutral value. */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "wire/pg_conn.h"

void pg_free(struct pg_result *r)
{
	if (r == NULL)
		return;
	PQclear(r->res);
	free(r);
}

int pg_rows(const struct pg_result *r)
{
	return PQntuples(r->res);
}

int pg_affected(const struct pg_result *r)
{
	uint64_t n = 0;

	if (slice_u64(slice_str(PQcmdTuples(r->res)), &n) != RC_OK || n > INT32_MAX)
		return 0;
	return (int)n;
}

static void check(const struct pg_result *r, int row, int col)
{
	assert(row >= 0 && row < PQntuples(r->res) && col >= 0 && col < PQnfields(r->res));
}

bool pg_null(const struct pg_result *r, int row, int col)
{
	check(r, row, col);
	return PQgetisnull(r->res, row, col) != 0;
}

struct slice pg_text(const struct pg_result *r, int row, int col)
{
	check(r, row, col);
	return slice_of(PQgetvalue(r->res, row, col), (size_t)PQgetlength(r->res, row, col));
}

static int64_t binary_int(struct slice s)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (s.len) {
	case 2:
		memcpy(&two, s.ptr, 2);
		return (int16_t)be16toh(two);
	case 4:
		memcpy(&four, s.ptr, 4);
		return (int32_t)be32toh(four);
	default:
		assert(s.len == 8);
		memcpy(&eight, s.ptr, 8);
		return (int64_t)be64toh(eight);
	}
}

int64_t pg_int(const struct pg_result *r, int row, int col)
{
	struct slice s = pg_text(r, row, col);
	int64_t v = 0;
	bool integer;

	if (pg_null(r, row, col))
		return 0;
	if (PQfformat(r->res, col) == 1)
		return binary_int(s);
	integer = slice_i64(s, &v) == RC_OK;
	assert(integer);
	return v;
}

static double binary_real(struct slice s)
{
	int64_t bits = binary_int(s);
	int32_t half = (int32_t)bits;
	double v;
	float f;

	if (s.len == 8) {
		memcpy(&v, &bits, sizeof(v));
		return v;
	}
	assert(s.len == 4);
	memcpy(&f, &half, sizeof(f));
	return (double)f;
}

double pg_real(const struct pg_result *r, int row, int col)
{
	struct slice s = pg_text(r, row, col);
	char *end = NULL;
	double v;

	if (pg_null(r, row, col))
		return 0;
	if (PQfformat(r->res, col) == 1)
		return binary_real(s);
	v = strtod(s.ptr, &end);
	assert(s.len > 0 && end == s.ptr + s.len);
	return v;
}

bool pg_bool(const struct pg_result *r, int row, int col)
{
	struct slice s = pg_text(r, row, col);

	if (pg_null(r, row, col))
		return false;
	assert(s.len == 1);
	return s.ptr[0] == 't' || s.ptr[0] == '\1';
}

/* Reads exactly n digits off *s; -1 when there are none. */
static int digits(struct slice *s, size_t n)
{
	int v = 0;

	if (s->len < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return -1;
		v = v * 10 + (s->ptr[i] - '0');
	}
	*s = slice_of(s->ptr + n, s->len - n);
	return v;
}

static bool skip(struct slice *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	*s = slice_of(s->ptr + 1, s->len - 1);
	return true;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, counted in eras of 400
 * years that begin on 1 March. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* "2026-08-31 09:15:02.123456+00": what DateStyle ISO and TimeZone UTC give for the years 1 to
 * 9999. */
static int64_t parse_time(struct slice s)
{
	int year = digits(&s, 4), month = skip(&s, '-') ? digits(&s, 2) : -1;
	int day = skip(&s, '-') ? digits(&s, 2) : -1, hour = skip(&s, ' ') ? digits(&s, 2) : -1;
	int minute = skip(&s, ':') ? digits(&s, 2) : -1,
	    second = skip(&s, ':') ? digits(&s, 2) : -1;
	int64_t us = 0, unit = US_PER_S / 10;

	if (year < 1 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0)
		return TIME_NONE;
	if (skip(&s, '.'))
		for (int d; s.len > 0 && s.ptr[0] != '+' && (d = digits(&s, 1)) >= 0; unit /= 10)
			us += d * unit;
	if (!slice_eq(s, SLICE("+00")))
		return TIME_NONE;
	return us + days_of(year, month, day) * US_PER_DAY +
		((int64_t)hour * 3600 + minute * 60 + second) * US_PER_S;
}

int64_t pg_time_us(const struct pg_result *r, int row, int col)
{
	struct slice s = pg_text(r, row, col);

	if (!pg_null(r, row, col) && PQfformat(r->res, col) == 1) {
		int64_t us = binary_int(s);
		return us == INT64_MAX || us == INT64_MIN ? TIME_NONE : us + EPOCH_2000_US;
	}
	if (pg_null(r, row, col) || slice_starts(s, SLICE("infinity")) ||
		slice_starts(s, SLICE("-infinity")))
		return TIME_NONE;
	return parse_time(s);
}

static unsigned nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10) & 15;
}

struct slice pg_bytes(struct pg_result *r, int row, int col)
{
	struct slice s = pg_text(r, row, col);
	size_t len;
	char *out;

	if (pg_null(r, row, col))
		return slice_of(NULL, 0);
	if (PQfformat(r->res, col) == 1)
		return s;
	assert(s.len >= 2 && s.len % 2 == 0 && s.ptr[0] == '\\' && s.ptr[1] == 'x');
	len = (s.len - 2) / 2;
	out = PQresultAlloc(r->res, len + 1);
	if (out == NULL) { /* "absent" would be a lie */
		log_error("pg", "out of memory");
		abort();
	}
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(nibble(s.ptr[2 + 2 * i]) << 4 | nibble(s.ptr[3 + 2 * i]));
	out[len] = '\0';
	return slice_of(out, len);
}
