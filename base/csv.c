/* csv: reads tables line by line and complains with file and line. Leaves out line ends inside quotes: in a file that people
 * mend by hand a forgotten quote must not swallow the rest. */
#include <assert.h>

#include "base/csv.h"

/* The next line that says something; false at the end of the text. */
static bool next_line(struct csv *r, struct slice *out)
{
	struct slice line;

	while (slice_line(&r->rest, &line)) {
		r->line++;
		line = slice_trim(line);
		if (line.len > 0 && line.ptr[0] != '#') {
			*out = line;
			return true;
		}
	}
	return false;
}

/* Takes a quoted field off *line; its text is appended to `unquoted`. False when the quotes are not in order. */
static bool quoted(struct csv *r, struct slice *line, struct slice *out)
{
	size_t from = r->unquoted.len, i = 1;

	for (;; i++) {
		if (i >= line->len)
			return false;
		if (line->ptr[i] == '"') {
			if (i + 1 >= line->len || line->ptr[i + 1] != '"')
				break;
			i++;
		}
		buf_byte(&r->unquoted, line->ptr[i]);
	}
	*line = slice_of(line->ptr + i + 1, line->len - i - 1);
	/* the buffer was given room for the whole line, so it does not move */
	*out = slice_of(r->unquoted.ptr + from, r->unquoted.len - from);
	return !r->unquoted.failed;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Splits into fields; the count, or 0 when the quotes are not in order or there are more than CSV_COLUMNS. */
static size_t split(struct csv *r, struct slice line)
{
	size_t n = 0;

	buf_clear(&r->unquoted);
	for (size_t i = 0; i < line.len; i++) /* room first: see quoted() */
		buf_byte(&r->unquoted, ' ');
	buf_clear(&r->unquoted);
	for (;;) {
		if (n == CSV_COLUMNS)
			return 0;
		while (line.len > 0 && blank(line.ptr[0]))
			line = slice_of(line.ptr + 1, line.len - 1);
		if (line.len > 0 && line.ptr[0] == '"') {
			if (!quoted(r, &line, &r->field[n]))
				return 0;
			while (line.len > 0 && blank(line.ptr[0]))
				line = slice_of(line.ptr + 1, line.len - 1);
			if (line.len > 0 && line.ptr[0] != ',')
				return 0;
		} else {
			const char *comma = line.len > 0 ? memchr(line.ptr, ',', line.len) : NULL;
			size_t len = comma != NULL ? (size_t)(comma - line.ptr) : line.len;

			r->field[n] = slice_trim(slice_of(line.ptr, len));
			if (len > 0 && memchr(line.ptr, '"', len) != NULL)
				return 0;
			line = slice_of(line.ptr + len, line.len - len);
		}
		n++;
		if (line.len == 0)
			return n;
		line = slice_of(line.ptr + 1, line.len - 1);
	}
}

bool csv_begin(struct csv *r, const char *name, struct slice text, const char *header,
	struct complaints *c)
{
	struct slice want = slice_str(header), line, column;
	bool same;

	memset(r, 0, sizeof(*r));
	buf_init(&r->unquoted, SIZE_MAX);
	r->name = name;
	r->c = c;
	r->rest = text;
	if (slice_starts(r->rest, SLICE("\xEF\xBB\xBF"))) /* a mark that spreadsheets write */
		r->rest = slice_of(r->rest.ptr + 3, r->rest.len - 3);
	if (!next_line(r, &line)) {
		complain(c, name, 1, "the file is empty; its first line must be %s", header);
		return false;
	}
	size_t n = split(r, line), i = 0;

	for (same = n > 0; slice_cut(&want, ',', &column); i++)
		same = same && i < n && slice_eq(r->field[i], column);
	if (!same || i != n) {
		complain(c, name, r->line, "the header must be %s", header);
		return false;
	}
	assert(n <= CSV_COLUMNS);
	r->columns = n;
	return true;
}

bool csv_next(struct csv *r)
{
	struct slice line;

	while (next_line(r, &line)) {
		size_t n = split(r, line);

		if (n == r->columns)
			return true;
		if (n == 0)
			complain(r->c, r->name, r->line,
				"the quotes or the number of fields are not in order");
		else
			complain(r->c, r->name, r->line, "%zu field%s instead of %zu", n,
				n == 1 ? "" : "s", r->columns);
	}
	return false;
}

void csv_done(struct csv *r)
{
	buf_done(&r->unquoted);
}
