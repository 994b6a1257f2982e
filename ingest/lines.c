/* Report files, one record a line, byte for byte; tables and XARF of others are made into records on the way (import.h). A line that begins with the byte 0x01 is an escape: 0x01 "base64:" TEXT is the decoded
 * record (one that holds LF, or is empty), 0x01 "tombstone" is a record without value. Leaves out what the records mean. */
#include "ingest/send.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

/* Reads up to LF; a line over the cap is read on and thrown away. */
static bool read_on(struct lines *l)
{
	int c;

	while ((c = getc_unlocked(l->f)) != EOF) {
		l->at++;
		if (c == '\n')
			return true;
		buf_byte(&l->text, (char)c);
	}
	return l->text.len > 0 || l->text.failed;
}

static bool read_line(struct lines *l)
{
	buf_clear(&l->text);
	l->text.failed = false;
	return read_on(l);
}

/* A row of a table goes on over line ends inside quotes. */
static bool read_row(struct lines *l)
{
	bool more = read_line(l);

	l->first_at = l->at;
	l->first_line = l->line;
	while (more && !l->text.failed && l->text.len < BOUND_RECORD &&
		import_row_open(buf_slice(&l->text))) {
		buf_byte(&l->text, '\n');
		l->line++;
		if (!read_on(l))
			break; /* the end of the file inside quotes */
	}
	return more;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcasecmp(name + n - m, end) == 0;
}

/* A file whose first line is the header of a table is one; what is called .csv must be one. */
static enum rc look_at_header(struct lines *l, struct err *e)
{
	if (read_line(l) && !l->text.failed &&
		import_header(slice_trim(buf_slice(&l->text)), &l->table)) {
		l->line = 1;
		return RC_OK;
	}
	l->at = 0;
	if (ends_with(l->name, ".csv"))
		return lines_close(l),
		       err_set(e, RC_INVALID,
			       "%s:1: the header is of no table that is known (portal, FTC, FCC)",
			       l->name);
	if (fseeko(l->f, 0, SEEK_SET) != 0)
		return err_set(e, RC_INVALID, "%s: %s", l->name, strerror(errno));
	return RC_OK;
}

enum rc lines_open(struct lines *l, const char *name, struct err *e)
{
	struct stat st;

	memset(l, 0, sizeof(*l));
	l->name = name;
	l->f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	if (l->f == NULL)
		return err_set(e, RC_INVALID, "%s: %s", name, strerror(errno));
	if (fstat(fileno(l->f), &st) != 0 || S_ISDIR(st.st_mode)) {
		lines_close(l);
		return err_set(e, RC_INVALID, "%s: not a file of records", name);
	}
	l->piped = l->f == stdin || !S_ISREG(st.st_mode);
	l->size = l->piped ? 0 : (uint64_t)st.st_size;
	buf_init(&l->text, SEND_RECORD_MAX * 2);
	buf_init(&l->decoded, SEND_RECORD_MAX);
	l->json = json_parser_new();
	if (l->json == NULL)
		return lines_close(l), err_set(e, RC_RETRY, "out of memory");
	return l->piped ? RC_OK : look_at_header(l, e);
}

void lines_close(struct lines *l)
{
	if (l->f != NULL && l->f != stdin)
		(void)fclose(l->f);
	l->f = NULL;
	buf_done(&l->text);
	buf_done(&l->decoded);
	json_parser_free(l->json);
	l->json = NULL;
}

enum rc lines_seek(struct lines *l, const struct position *p, struct err *e)
{
	if (p->at <= l->at) /* behind the header already */
		return RC_OK;
	if (fseeko(l->f, (off_t)p->at, SEEK_SET) != 0)
		return err_set(e, RC_INVALID, "%s: %s", l->name, strerror(errno));
	l->at = p->at;
	l->line = p->line;
	return RC_OK;
}

static int value64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Standard base64 with padding. */
bool decode64(struct slice s, struct buf *out)
{
	uint32_t bits = 0;
	size_t pad = 0;

	buf_clear(out);
	buf_add(out, SLICE("")); /* an empty record has a place */
	if (s.len % 4 != 0)
		return false;
	while (pad < 2 && s.len > 0 && s.ptr[s.len - 1] == '=') {
		s.len--;
		pad++;
	}
	for (size_t i = 0; i < s.len; i++) {
		int v = value64(s.ptr[i]);

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 1)
			buf_byte(out, (char)(bits >> 4 & 0xff));
		else if (i % 4 == 2)
			buf_byte(out, (char)(bits >> 2 & 0xff));
		else if (i % 4 == 3)
			buf_byte(out, (char)(bits & 0xff));
	}
	return !out->failed;
}

static enum line_kind escape(
	struct lines *l, struct slice line, struct slice *out, const char **why)
{
	static const struct slice base64 = {"\001base64:", 8};

	if (slice_eq(line, SLICE("\001tombstone"))) {
		*out = slice_of(NULL, 0);
		return LINE_RECORD;
	}
	if (!slice_starts(line, base64)) {
		*why = "an escape that is neither base64: nor tombstone";
		return LINE_BAD;
	}
	if (!decode64(slice_of(line.ptr + base64.len, line.len - base64.len), &l->decoded)) {
		*why = "not base64, or more than a broker takes";
		return LINE_BAD;
	}
	*out = buf_slice(&l->decoded);
	return LINE_RECORD;
}

/* A quote that was forgotten must not swallow the rows behind it: only its own line is bad. */
static enum rc only_first_line(struct lines *l, struct err *e)
{
	if (l->piped || l->at == l->first_at)
		return RC_OK;
	if (fseeko(l->f, (off_t)l->first_at, SEEK_SET) != 0)
		return err_set(e, RC_INVALID, "%s: %s", l->name, strerror(errno));
	l->at = l->first_at;
	l->line = l->first_line + 1;
	return RC_OK;
}

enum rc lines_next(
	struct lines *l, enum line_kind *kind, struct slice *out, const char **why, struct err *e)
{
	bool more = l->table.ops != NULL ? read_row(l) : read_line(l);
	struct slice line = buf_slice(&l->text);

	if (ferror(l->f) != 0)
		return err_set(e, RC_INVALID, "%s: %s", l->name, strerror(errno));
	if (!more) {
		*kind = LINE_END;
		return RC_OK;
	}
	l->line++;
	if (l->piped && l->line == 1 && import_header(slice_trim(line), &l->table))
		return lines_next(l, kind, out, why, e);
	*kind = LINE_RECORD;
	*out = line;
	if (l->text.failed || (line.len > SEND_RECORD_MAX && line.ptr[0] != '\001')) {
		*kind = LINE_BAD;
		*why = "more than a broker takes";
		if (l->table.ops != NULL)
			return only_first_line(l, e);
	} else if (line.len == 0) {
		*kind = LINE_EMPTY;
	} else if (l->table.ops != NULL) {
		if (slice_trim(line).len == 0) {
			*kind = LINE_EMPTY;
		} else if (!import_row(&l->table, line, &l->decoded, why)) {
			*kind = LINE_BAD;
			return only_first_line(l, e);
		}
		*out = buf_slice(&l->decoded);
	} else if (line.ptr[0] == '\001') {
		*kind = escape(l, line, out, why);
	} else {
		enum rc rc = xarf_read(l->json, line, &l->decoded, why);

		if (rc != RC_NONE)
			*out = buf_slice(&l->decoded);
		if (rc == RC_INVALID)
			*kind = LINE_BAD;
	}
	return RC_OK;
}
