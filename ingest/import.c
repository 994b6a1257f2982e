/* Tables of others' making, row by row: which format a header belongs to, how rows are split (RFC 4180: quotes, line ends inside them),
 * and the pieces that records are put together from. Leaves out what the columns mean (import_us.c, import_portal.c). */
#include "ingest/import.h"

#include <stdio.h>

const struct import_ops *const import_tables[] = {&import_ftc, &import_fcc, &import_portal, NULL};

/* ---- rows ---- */

/* Splits a row; quoted fields are unquoted into `room`, which is as large as the row. The count, or -1. */
static int split(struct slice row, char *room, struct slice field[IMPORT_COLUMNS])
{
	size_t i = 0, at = 0;
	int n = 0;

	for (;;) {
		size_t from = at;

		if (n == IMPORT_COLUMNS)
			return -1;
		if (i < row.len && row.ptr[i] == '"') {
			for (i++; i < row.len; i++) {
				if (row.ptr[i] == '"' &&
					(i + 1 == row.len || row.ptr[i + 1] != '"'))
					break;
				if (row.ptr[i] == '"')
					i++;
				room[at++] = row.ptr[i];
			}
			if (i == row.len)
				return -1; /* the quote never closes */
			i++;
			if (i < row.len && row.ptr[i] != ',')
				return -1;
		} else {
			for (; i < row.len && row.ptr[i] != ','; i++)
				room[at++] = row.ptr[i];
		}
		field[n++] = slice_trim(slice_of(room + from, at - from));
		if (i == row.len)
			return n;
		i++;
	}
}

bool import_row_open(struct slice row)
{
	bool open = false;

	for (size_t i = 0; i < row.len; i++)
		open ^= row.ptr[i] == '"';
	return open;
}

/* A header's name: lower case, one _ for each run of anything else. */
static struct slice plain_name(struct slice s, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && n < room; i++) {
		char c = s.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[n++] = c;
		else if (n > 0 && out[n - 1] != '_')
			out[n++] = '_';
	}
	while (n > 0 && out[n - 1] == '_')
		n--;
	return slice_of(out, n);
}

static int column_of(const struct import_ops *ops, struct slice name)
{
	for (size_t k = 0; k < ops->n; k++) {
		struct slice names = slice_str(ops->columns[k].names), one;

		while (slice_cut(&names, ' ', &one))
			if (slice_eq(one, name))
				return (int)k;
	}
	return -1;
}

static bool fits(
	const struct import_ops *ops, const struct slice *field, int n, struct import_table *t)
{
	uint64_t seen = 0;

	*t = (struct import_table){.ops = ops, .n = (size_t)n};
	for (int i = 0; i < n; i++) {
		char name[64];
		int k = column_of(ops, plain_name(field[i], name, sizeof(name)));

		if (k >= 0 && (seen >> k & 1) != 0)
			return false;
		t->column[i] = k;
		if (k >= 0)
			seen |= UINT64_C(1) << k;
	}
	for (size_t k = 0; k < ops->n; k++)
		if (ops->columns[k].needed && (seen >> k & 1) == 0)
			return false;
	return true;
}

bool import_header(struct slice line, struct import_table *out)
{
	struct slice field[IMPORT_COLUMNS];
	BUF_OWN struct buf room = {0};
	int n;

	out->ops = NULL;
	if (line.len > 4096 || memchr(line.ptr, ',', line.len) == NULL)
		return false;
	if (slice_starts(line, SLICE("\xEF\xBB\xBF")))
		line = slice_of(line.ptr + 3, line.len - 3);
	buf_init(&room, 8192);
	buf_add(&room, line); /* room of its size */
	n = room.failed ? -1 : split(slice_trim(line), room.ptr, field);
	for (size_t i = 0; n > 0 && import_tables[i] != NULL; i++)
		if (fits(import_tables[i], field, n, out))
			return true;
	out->ops = NULL;
	return false;
}

bool import_row(const struct import_table *t, struct slice row, struct buf *out, const char **why)
{
	struct slice given[IMPORT_COLUMNS], field[IMPORT_COLUMNS];
	BUF_OWN struct buf room = {0};

	row = slice_trim(row);
	buf_clear(out);
	buf_init(&room, SIZE_MAX);
	buf_add(&room, row);
	if (!slice_utf8_valid(row)) {
		*why = "not UTF-8";
		return false;
	}
	int n = room.failed || row.len == 0 ? -1 : split(row, room.ptr, given);
	if (n < 0 || (size_t)n != t->n) {
		*why = n < 0 ? "the quotes or the number of fields are not in order"
			     : "more or fewer fields than the header";
		return false;
	}
	for (size_t k = 0; k < t->ops->n; k++)
		field[k] = SLICE("");
	for (int i = 0; i < n; i++)
		if (t->column[i] >= 0)
			field[t->column[i]] = given[i];
	for (size_t k = 0; k < t->ops->n; k++)
		if (field[k].len > 0 && memchr(field[k].ptr, '\0', field[k].len) != NULL) {
			*why = "a field holds a NUL character";
			return false;
		}
	if (!t->ops->row(field, row, out, why))
		return false;
	if (out->failed)
		*why = "more than a broker takes";
	return !out->failed;
}

/* ---- pieces ---- */

void import_text(struct buf *out, const char *name, struct slice text)
{
	if (text.len == 0)
		return;
	buf_fmt(out, ",\"%s\":", name);
	buf_json(out, text);
}

void import_hash(struct buf *out, struct slice s)
{
	uint8_t sum[SHA256_LEN];

	sha256(s, sum);
	for (size_t i = 0; i < 16; i++)
		buf_fmt(out, "%02x", sum[i]);
}

void import_nobody(struct buf *out, struct slice seed)
{
	uint8_t sum[SHA256_LEN];
	uint64_t n = 0;

	sha256(seed, sum);
	for (size_t i = 0; i < 8; i++)
		n = n << 8 | sum[i];
	buf_fmt(out, ",\"reporter\":\"+999%010llu\"", (unsigned long long)(n % 10000000000u));
}
