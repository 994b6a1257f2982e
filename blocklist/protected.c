/* Senders that are never blocked automatically: the CSV file that is loaded whole or not at all, and the end of a protection whose
 * time is over. Loading compares: only keys inside rows that came or went are looked at again by the keeper. Leaves out rows added
 * by people, which the interface writes, and the check itself, which is PROTECTED_EXISTS in the public header. */
#include <stdlib.h>

#include "blocklist/release.h"

#define FILE_CAP (64UL * 1024 * 1024)
#define LINE_CAP 4096
#define NUMBER_MIN 5 /* digits of an E.164 number */
#define NUMBER_MAX 15

static const char header[] = "scope,value,service,owner,reason,until";
enum { COL_SCOPE, COL_VALUE, COL_SERVICE, COL_OWNER, COL_REASON, COL_UNTIL, COLS };

struct row {
	int64_t id; /* of the ledger; 0: of the file */
	enum scope scope;
	struct slice low, high;
	int service; /* -1: both */
	struct slice owner, reason;
	struct slice except; /* of a range: numbers in it that are not protected */
	int64_t until_us;
};

struct rows {
	struct row *at;
	size_t n, room;
};

static struct row *rows_add(struct rows *r, struct arena *a)
{
	if (r->n == r->room) {
		size_t room = r->room == 0 ? 256 : r->room * 2;
		struct row *at = arena_array(a, room, sizeof(*at));

		if (at == NULL)
			return NULL;
		if (r->n > 0)
			memcpy(at, r->at, r->n * sizeof(*at));
		r->at = at;
		r->room = room;
	}
	return &r->at[r->n++];
}

static int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;

	return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

static int row_cmp(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	int d = (a->scope > b->scope) - (a->scope < b->scope);

	d = d != 0 ? d : slice_cmp(a->low, b->low);
	d = d != 0 ? d : slice_cmp(a->high, b->high);
	d = d != 0 ? d : (a->service > b->service) - (a->service < b->service);
	d = d != 0 ? d : slice_cmp(a->owner, b->owner);
	d = d != 0 ? d : slice_cmp(a->reason, b->reason);
	return d != 0 ? d : (a->until_us > b->until_us) - (a->until_us < b->until_us);
}

/* ---- one line of the file */

struct at {
	const char *path;
	int line;
	struct complaints *c;
};

/* Splits a line in place: "a,""b"",c" is one quoted field. Answers how many there are, 0 after a complaint. */
static size_t split(const struct at *at, char *line, struct slice out[COLS])
{
	size_t n = 0;

	for (char *p = line;; p++) {
		char *from = p, *to = p;
		bool quoted = *p == '"';

		if (quoted) {
			for (from = to = ++p; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
				p += *p == '"' ? 1 : 0;
				*to++ = *p;
			}
			if (*p != '"' || (p[1] != ',' && p[1] != '\0')) {
				complain(at->c, at->path, at->line, "a quote is not closed");
				return 0;
			}
			p++;
		} else {
			while (*p != ',' && *p != '\0')
				p++;
			to = p;
		}
		if (n < COLS)
			out[n] = slice_trim(slice_of(from, (size_t)(to - from)));
		n++;
		if (*p == '\0')
			break;
	}
	if (n != COLS) {
		complain(at->c, at->path, at->line, "%zu columns, want %d: %s", n, COLS, header);
		return 0;
	}
	return n;
}

static bool all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0;
}

/* Short codes, and 1800/1900 numbers, which are short by definition: digits as dialled. */
static bool is_short(struct slice s)
{
	if (!all_digits(s) || s.ptr[0] == '0')
		return false;
	if (s.len >= 3 && s.len <= 6)
		return true;
	return s.len >= 8 && s.len <= 10 &&
		(slice_starts(s, SLICE("1800")) || slice_starts(s, SLICE("1900")));
}

static bool is_number(struct slice s)
{
	return all_digits(s) && s.ptr[0] != '0' && s.len >= NUMBER_MIN && s.len <= NUMBER_MAX &&
		!is_short(s);
}

static bool parse_number(const struct at *at, struct slice s, struct slice *out)
{
	if (s.len > 0 && s.ptr[0] == '+')
		s = slice_of(s.ptr + 1, s.len - 1);
	if (!is_number(s)) {
		complain(at->c, at->path, at->line,
			"\"%.*s\" is no number: write the country code and digits, as in "
			"84912345678",
			(int)s.len, s.ptr);
		return false;
	}
	*out = s;
	return true;
}

static bool parse_name(const struct at *at, struct slice s, struct slice *out)
{
	char *text = (char *)(uintptr_t)s.ptr; /* the line is ours to change */
	bool letter = false;

	for (size_t i = 0; i < s.len; i++) {
		letter = letter || text[i] < '0' || text[i] > '9';
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (char)(text[i] - 'A' + 'a');
	}
	if (!letter || s.len >= SENDER_TEXT) {
		complain(at->c, at->path, at->line,
			"\"%.*s\" is no sender ID: at most %d bytes, not digits alone", (int)s.len,
			s.ptr, SENDER_TEXT - 1);
		return false;
	}
	*out = s;
	return true;
}

static bool parse_range(const struct at *at, struct slice s, struct row *out)
{
	struct slice low, high = s;

	static const char word[] = " except ";
	const char *cut = s.len > 0 ? memmem(s.ptr, s.len, word, sizeof(word) - 1) : NULL;

	if (cut != NULL) {
		const char *rest = cut + sizeof(word) - 1;

		out->except = slice_of(rest, (size_t)(s.ptr + s.len - rest));
		s = slice_of(s.ptr, (size_t)(cut - s.ptr));
		high = s;
	}
	if (!slice_cut(&high, '-', &low) || low.len == s.len) {
		complain(at->c, at->path, at->line,
			"a range is written LOW-HIGH, or LOW-HIGH except A B");
		return false;
	}
	low = slice_trim(low);
	high = slice_trim(high);
	if (is_short(low) && is_short(high))
		out->scope = SCOPE_SHORT;
	else if (is_number(low) && is_number(high))
		out->scope = SCOPE_NUMBER;
	else {
		complain(at->c, at->path, at->line,
			"the ends of a range are two numbers with country code, or two short "
			"codes");
		return false;
	}
	if (low.len != high.len || memcmp(low.ptr, high.ptr, low.len) > 0) {
		complain(at->c, at->path, at->line,
			"the ends of a range have equally many digits, the lower one first");
		return false;
	}
	out->low = low;
	out->high = high;
	return true;
}

static bool parse_key(const struct at *at, const struct slice f[COLS], struct row *out)
{
	if (slice_eq(f[COL_SCOPE], SLICE("range")))
		return parse_range(at, f[COL_VALUE], out);
	out->scope = scope_parse(f[COL_SCOPE]);
	switch (out->scope) {
	case SCOPE_NUMBER:
		if (!parse_number(at, f[COL_VALUE], &out->low))
			return false;
		break;
	case SCOPE_SHORT:
		if (!is_short(f[COL_VALUE])) {
			complain(at->c, at->path, at->line, "\"%.*s\" is no short code",
				(int)f[COL_VALUE].len, f[COL_VALUE].ptr);
			return false;
		}
		out->low = f[COL_VALUE];
		break;
	case SCOPE_NAME:
		if (!parse_name(at, f[COL_VALUE], &out->low))
			return false;
		break;
	case SCOPE_NONE:
		complain(at->c, at->path, at->line,
			"scope \"%.*s\" is none of number, short, name, range",
			(int)f[COL_SCOPE].len, f[COL_SCOPE].ptr);
		return false;
	}
	out->high = out->low;
	return true;
}

/* RFC 3339, or a date: to the end of that day in Vietnam. */
static bool parse_until(const struct at *at, struct slice s, int64_t *out)
{
	char full[] = "YYYY-MM-DDT00:00:00+07:00";

	*out = TIME_NONE;
	if (s.len == 0)
		return true;
	if (s.len == 10) {
		memcpy(full, s.ptr, 10);
		if (time_parse(slice_str(full), out) == RC_OK) {
			*out += US_PER_DAY;
			return true;
		}
	} else if (time_parse(s, out) == RC_OK) {
		return true;
	}
	complain(at->c, at->path, at->line, "until \"%.*s\" is neither a date nor an RFC 3339 time",
		(int)s.len, s.ptr);
	return false;
}

static bool parse_line(const struct at *at, char *line, struct row *out)
{
	struct slice f[COLS];
	enum service service = SERVICE_SMS;

	if (split(at, line, f) == 0)
		return false;
	bool ok = parse_key(at, f, out) && parse_until(at, f[COL_UNTIL], &out->until_us);

	out->service = -1;
	if (f[COL_SERVICE].len > 0 && !service_parse(f[COL_SERVICE], &service)) {
		complain(at->c, at->path, at->line,
			"service \"%.*s\" is neither sms nor voice; empty means both",
			(int)f[COL_SERVICE].len, f[COL_SERVICE].ptr);
		ok = false;
	} else if (f[COL_SERVICE].len > 0) {
		out->service = (int)service;
	}
	if (f[COL_OWNER].len == 0 || f[COL_REASON].len == 0) {
		complain(at->c, at->path, at->line, "owner and reason must be given");
		ok = false;
	}
	out->owner = f[COL_OWNER];
	out->reason = f[COL_REASON];
	return ok;
}

/* ---- exceptions of a range: the range becomes the pieces between them */

#define MAX_EXCEPTIONS 100

/* The decimal text next to s, up or down; false: there is none of as many digits. */
static bool next_to(struct slice s, int step, struct arena *a, struct slice *out)
{
	struct slice copy = arena_copy(a, s);
	char *text = (char *)(uintptr_t)copy.ptr;

	if (text == NULL)
		return false;
	for (size_t i = copy.len; i-- > 0;) {
		bool turns = text[i] == (step > 0 ? '9' : '0');

		text[i] = (char)(turns ? (step > 0 ? '0' : '9') : text[i] + step);
		if (!turns) {
			*out = copy;
			return true;
		}
	}
	return false;
}

static int slice_order(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static bool read_exceptions(const struct at *at, const struct row *range, struct slice text,
	struct slice out[MAX_EXCEPTIONS], size_t *n)
{
	*n = 0;
	while ((text = slice_trim(text)).len > 0) {
		struct slice one, rest = text;

		if (!slice_cut(&rest, ' ', &one)) {
			one = text;
			rest = slice_of(NULL, 0);
		}
		if (*n == MAX_EXCEPTIONS || one.len != range->low.len || !all_digits(one) ||
			slice_cmp(one, range->low) < 0 || slice_cmp(one, range->high) > 0) {
			complain(at->c, at->path, at->line,
				"\"%.*s\" is no exception inside the range, or there are more than "
				"%d",
				(int)one.len, one.ptr, MAX_EXCEPTIONS);
			return false;
		}
		out[(*n)++] = one;
		text = rest;
	}
	if (*n > 0)
		qsort(out, *n, sizeof(*out), slice_order);
	return true;
}

/* Adds the row, or the pieces of it that the exceptions leave. */
static enum rc add_pieces(const struct at *at, const struct row *row, struct slice exceptions,
	struct arena *a, struct rows *out, struct err *e)
{
	struct slice except[MAX_EXCEPTIONS], from = row->low;
	size_t n = 0;

	if (!read_exceptions(at, row, exceptions, except, &n))
		return RC_OK; /* complained */
	for (size_t i = 0; i <= n; i++) {
		struct slice to = row->high;

		if (i < n && !next_to(except[i], -1, a, &to))
			return err_set(e, RC_RETRY, "out of memory");
		if (slice_cmp(from, to) <= 0) {
			struct row *r = rows_add(out, a);

			if (r == NULL)
				return err_set(e, RC_RETRY, "%s: out of memory", at->path);
			*r = *row;
			r->low = from;
			r->high = to;
		}
		if (i < n && !next_to(except[i], 1, a, &from))
			break; /* the last number that there is */
	}
	return RC_OK;
}

/* ---- the whole file */

static enum rc read_rows(const char *path, struct slice text, int64_t now_us, struct arena *a,
	struct complaints *c, struct rows *out, struct err *e)
{
	struct at at = {.path = path, .c = c};
	bool headed = false;

	if (slice_starts(text, SLICE("\xEF\xBB\xBF"))) /* a spreadsheet wrote it */
		text = slice_of(text.ptr + 3, text.len - 3);
	for (struct slice line; slice_line(&text, &line);) {
		struct row one = {0};
		struct slice copy = slice_trim(line);

		at.line++;
		if (copy.len == 0 || copy.ptr[0] == '#')
			continue;
		if (!headed && !slice_eq(copy, SLICE("scope,value,service,owner,reason,until"))) {
			complain(c, path, at.line, "the first line must be: %s", header);
			break;
		}
		if (!headed) {
			headed = true;
			continue;
		}
		if (line.len > LINE_CAP || !slice_utf8_valid(line) ||
			memchr(line.ptr, '\0', line.len) != NULL) {
			complain(c, path, at.line, "no UTF-8 text, or longer than %d bytes",
				LINE_CAP);
			continue;
		}
		copy = arena_copy(a, copy);
		if (copy.ptr == NULL)
			return err_set(e, RC_RETRY, "%s: out of memory", path);
		if (!parse_line(&at, (char *)(uintptr_t)copy.ptr, &one) ||
			(one.until_us != TIME_NONE && one.until_us <= now_us))
			continue;
		enum rc rc = add_pieces(&at, &one, one.except, a, out, e);

		if (rc != RC_OK)
			return rc;
	}
	if (!headed && c->count == 0)
		complain(c, path, 1,
			"the file is empty; without any protected sender it holds only: %s",
			header);
	if (c->count > 0)
		return err_set(e, RC_INVALID, "%s: %zu errors", path, c->count);
	return RC_OK;
}

/* ---- against the ledger */

static const char lock_sql[] = "LOCK TABLE protected IN SHARE ROW EXCLUSIVE MODE";
static const char known_sql[] = "SELECT id, scope, low, high, service, owner, reason, until FROM "
				"protected WHERE origin = 'file'";
/* Both also mark what is inside for the keeper. Row by row, through the indexes: as one join, every row would be compared with every
 * sender of its scope. */
#define MARK_INSIDE                                                                             \
	" INSERT INTO dirty (sender, service) SELECT DISTINCT w.sender, w.service FROM x"       \
	" CROSS JOIN LATERAL (SELECT s.id FROM sender s WHERE s.scope = x.scope"                \
	" AND s.value BETWEEN x.low AND x.high AND length(s.value) = length(x.low) OFFSET 0) s" \
	" CROSS JOIN LATERAL (SELECT w.sender, w.service FROM wish w WHERE w.sender = s.id"     \
	" OFFSET 0) w"
static const char delete_sql[] =
	"WITH x AS (DELETE FROM protected p USING unnest($1::int8[]) k(id) WHERE p.id = k.id"
	" RETURNING p.scope, p.low, p.high)" MARK_INSIDE;
static const char insert_sql[] =
	"WITH x AS (INSERT INTO protected (scope, low, high, service, owner, reason, until, origin)"
	" SELECT *, 'file' FROM unnest($1::text[], $2::text[], $3::text[], $4::int2[], $5::text[], "
	"$6::text[],"
	" $7::timestamptz[]) RETURNING scope, low, high)" MARK_INSIDE;
/* The same by people: $8 who. */
static const char put_sql[] =
	"WITH x AS (INSERT INTO protected (scope, low, high, service, owner, reason, until, origin)"
	" SELECT u.*, $8::text FROM unnest($1::text[], $2::text[], $3::text[], $4::int2[], "
	"$5::text[], $6::text[], $7::timestamptz[]) u RETURNING scope, low, high)" MARK_INSIDE;
static const char drop_sql[] =
	"WITH x AS (DELETE FROM protected p WHERE p.id = $1 AND p.origin <> 'file'"
	" RETURNING p.scope, p.low, p.high, p.service, p.owner), d AS (" MARK_INSIDE
	") SELECT 0, scope, low, high, service, owner, '', NULL FROM x";
static const char end_sql[] =
	"WITH x AS (DELETE FROM protected WHERE until <= $1 RETURNING scope, low, high, service, "
	"owner),"
	" d AS (" MARK_INSIDE ") SELECT 0, scope, low, high, service, owner, '', NULL FROM x"
	" ORDER BY scope COLLATE \"C\", low, high";

/* Texts are borrowed from the result. */
static struct row row_of(struct pg_result *r, int i)
{
	return (struct row){.id = pg_int(r, i, 0),
		.scope = scope_parse(pg_text(r, i, 1)),
		.low = pg_text(r, i, 2),
		.high = pg_text(r, i, 3),
		.service = pg_null(r, i, 4) ? -1 : (int)pg_int(r, i, 4),
		.owner = pg_text(r, i, 5),
		.reason = pg_text(r, i, 6),
		.until_us = pg_time_us(r, i, 7)};
}

static enum rc read_known(
	struct pg *c, struct arena *a, struct pg_result **result, struct rows *out, struct err *e)
{
	enum rc rc = pg_run(c, known_sql, NULL, 0, result, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(*result); i++) {
		struct row *r = rows_add(out, a);

		if (r == NULL)
			return err_set(e, RC_RETRY, "out of memory");
		*r = row_of(*result, i);
	}
	return rc;
}

struct diff {
	struct pg_array gone, scope, low, high, service, owner, reason, until;
	struct buf lines; /* of the audit */
};

static void diff_init(struct diff *d)
{
	pg_array_init(&d->gone, PG_INT8);
	pg_array_init(&d->scope, PG_TEXT);
	pg_array_init(&d->low, PG_TEXT);
	pg_array_init(&d->high, PG_TEXT);
	pg_array_init(&d->service, PG_INT2);
	pg_array_init(&d->owner, PG_TEXT);
	pg_array_init(&d->reason, PG_TEXT);
	pg_array_init(&d->until, PG_TIMESTAMPTZ);
	buf_init(&d->lines, FILE_CAP);
}

static void diff_done(struct diff *d)
{
	pg_array_done(&d->gone);
	pg_array_done(&d->scope);
	pg_array_done(&d->low);
	pg_array_done(&d->high);
	pg_array_done(&d->service);
	pg_array_done(&d->owner);
	pg_array_done(&d->reason);
	pg_array_done(&d->until);
	buf_done(&d->lines);
}
#define DIFF_OWN __attribute__((cleanup(diff_done)))

static void diff_line(struct diff *d, const char *what, const struct row *r)
{
	char low[MASKED_TEXT], high[MASKED_TEXT];
	bool mask = r->scope == SCOPE_NUMBER;

	buf_fmt(&d->lines, "%s %s/%s", what, scope_name(r->scope),
		mask ? log_mask(r->low, low) : "");
	if (!mask)
		buf_add(&d->lines, r->low);
	if (!slice_eq(r->low, r->high)) {
		buf_byte(&d->lines, '-');
		buf_add(&d->lines, mask ? slice_str(log_mask(r->high, high)) : r->high);
	}
	buf_fmt(&d->lines,
		" %s owner=", r->service < 0 ? "both" : service_name((enum service)r->service));
	buf_json(&d->lines, r->owner);
	buf_byte(&d->lines, '\n');
}

static void diff_gone(struct diff *d, const struct row *r)
{
	pg_array_int(&d->gone, r->id);
	diff_line(d, "unprotect", r);
}

static void diff_came(struct diff *d, const struct row *r)
{
	pg_array_text(&d->scope, slice_str(scope_name(r->scope)));
	pg_array_text(&d->low, r->low);
	pg_array_text(&d->high, r->high);
	if (r->service < 0)
		pg_array_null(&d->service);
	else
		pg_array_int(&d->service, r->service);
	pg_array_text(&d->owner, r->owner);
	pg_array_text(&d->reason, r->reason);
	pg_array_time(&d->until, r->until_us);
	diff_line(d, "protect", r);
}

/* Both sorted; a row that the file has twice counts once. */
static void compare(struct diff *d, const struct rows *known, const struct rows *file)
{
	size_t k = 0, f = 0;

	while (k < known->n || f < file->n) {
		int side;

		if (f + 1 < file->n && row_cmp(&file->at[f], &file->at[f + 1]) == 0) {
			f++;
			continue;
		}
		if (k == known->n)
			side = 1;
		else if (f == file->n)
			side = -1;
		else
			side = row_cmp(&known->at[k], &file->at[f]);
		if (side < 0)
			diff_gone(d, &known->at[k]);
		if (side > 0)
			diff_came(d, &file->at[f]);
		k += side <= 0 ? 1 : 0;
		f += side >= 0 ? 1 : 0;
	}
}

static enum rc write_diff(struct pg *c, struct diff *d, int64_t now_us, struct err *e)
{
	struct pg_param gone = pg_p_array(&d->gone);
	struct pg_param came[] = {pg_p_array(&d->scope), pg_p_array(&d->low), pg_p_array(&d->high),
		pg_p_array(&d->service), pg_p_array(&d->owner), pg_p_array(&d->reason),
		pg_p_array(&d->until)};
	enum rc rc = d->lines.failed ? err_set(e, RC_RETRY, "out of memory") : RC_OK;

	if (rc == RC_OK)
		rc = pg_run(c, delete_sql, &gone, 1, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, insert_sql, came, ARRAY_LEN(came), NULL, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, "keeper", "protected.load", buf_slice(&d->lines), e);
	return rc == RC_OK ? pg_commit(c, e) : rc;
}

static enum rc replace_rows(struct pg *c, struct rows *file, int64_t now_us, struct arena *a,
	bool *changed, struct err *e)
{
	OWN(pg_free) struct pg_result *result = NULL;
	DIFF_OWN struct diff d;
	struct rows known = {0};
	enum rc rc = pg_script(c, "BEGIN", e);

	diff_init(&d);
	if (rc == RC_OK)
		rc = pg_run(c, lock_sql, NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = read_known(c, a, &result, &known, e);
	if (rc != RC_OK)
		return rc;
	if (known.n > 0)
		qsort(known.at, known.n, sizeof(*known.at), row_cmp);
	if (file->n > 0)
		qsort(file->at, file->n, sizeof(*file->at), row_cmp);
	compare(&d, &known, file);
	*changed = d.lines.len > 0 || d.lines.failed;
	return *changed ? write_diff(c, &d, now_us, e) : RC_OK;
}

static enum rc read_list(const char *path, int64_t now_us, struct arena *a,
	struct complaints *complaints, struct rows *out, struct err *e)
{
	BUF_OWN struct buf text;
	struct err why = {0};

	buf_init(&text, FILE_CAP);
	if (file_read(path, false, &text, &why) != RC_OK) {
		complain_text(complaints, why.text);
		return err_set(e, RC_INVALID, "%s", why.text);
	}
	return read_rows(path, buf_slice(&text), now_us, a, complaints, out, e);
}

enum rc protected_check(
	const char *path, int64_t now_us, struct complaints *complaints, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(8 * FILE_CAP);
	struct rows file = {0};

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	return read_list(path, now_us, a, complaints, &file, e);
}

enum rc protected_load(struct pg *c, const char *path, int64_t now_us,
	struct complaints *complaints, bool *changed, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(8 * FILE_CAP);
	struct rows file = {0};
	bool differs = false;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = read_list(path, now_us, a, complaints, &file, e);
	if (rc != RC_OK)
		return rc;
	rc = replace_rows(c, &file, now_us, a, &differs, e);
	if (rc != RC_OK || !differs)
		pg_rollback(c);
	if (rc == RC_OK)
		*changed = differs;
	return rc;
}

enum rc protected_end(struct pg *c, int64_t now_us, struct arena *a, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param now = pg_p_time(now_us, a);
	DIFF_OWN struct diff d;
	enum rc rc = pg_run(c, end_sql, &now, 1, &r, e);

	diff_init(&d);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct row gone = row_of(r, i);

		diff_line(&d, "unprotect", &gone);
	}
	if (rc == RC_OK && d.lines.failed)
		rc = err_set(e, RC_RETRY, "out of memory");
	if (rc == RC_OK && d.lines.len > 0)
		rc = audit_append(c, now_us, "keeper", "protected.end", buf_slice(&d.lines), e);
	return rc;
}

enum rc protected_put(struct pg *c, const char *name, struct slice csv, const char *who,
	int64_t now_us, struct complaints *complaints, size_t *n, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(8 * FILE_CAP);
	struct rows file = {0};
	DIFF_OWN struct diff d;

	diff_init(&d);
	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = read_rows(name, csv, now_us, a, complaints, &file, e);
	if (rc == RC_OK)
		rc = pg_run(c, lock_sql, NULL, 0, NULL, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < file.n; i++)
		diff_came(&d, &file.at[i]);
	struct pg_param came[] = {pg_p_array(&d.scope), pg_p_array(&d.low), pg_p_array(&d.high),
		pg_p_array(&d.service), pg_p_array(&d.owner), pg_p_array(&d.reason),
		pg_p_array(&d.until), pg_p_str(who)};
	rc = d.lines.failed ? err_set(e, RC_RETRY, "out of memory")
			    : pg_run(c, put_sql, came, ARRAY_LEN(came), NULL, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, who, "protected.add", buf_slice(&d.lines), e);
	if (rc == RC_OK)
		*n = file.n;
	return rc;
}

enum rc protected_drop(
	struct pg *c, int64_t id, const char *who, int64_t now_us, struct arena *a, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	DIFF_OWN struct diff d;
	struct pg_param p = pg_p_int(id, a);

	diff_init(&d);
	enum rc rc = pg_run(c, lock_sql, NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, drop_sql, &p, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		return err_set(e, RC_NONE,
			"no protection %lld that people added; rows of the file are taken out of "
			"it",
			(long long)id);
	if (rc != RC_OK)
		return rc;
	struct row gone = row_of(r, 0);
	diff_line(&d, "unprotect", &gone);
	return audit_append(c, now_us, who, "protected.remove", buf_slice(&d.lines), e);
}
