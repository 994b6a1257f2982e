/* Report files, one record a line, byte for byte. A line that begins with the byte 0x01 is an escape: 0x01 "base64:" TEXT is the decoded
 * record (one that holds LF, or is empty), 0x01 "tombstone" is a record without value. Leaves out what the records mean. */
#include "ingest/send.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

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
	return RC_OK;
}

void lines_close(struct lines *l)
{
	if (l->f != NULL && l->f != stdin)
		(void)fclose(l->f);
	l->f = NULL;
	buf_done(&l->text);
	buf_done(&l->decoded);
}

enum rc lines_seek(struct lines *l, const struct position *p, struct err *e)
{
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
static bool decode64(struct slice s, struct buf *out)
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

/* Reads up to LF; a line over the cap is read on and thrown away. */
static bool read_line(struct lines *l)
{
	int c;

	buf_clear(&l->text);
	l->text.failed = false;
	while ((c = getc_unlocked(l->f)) != EOF) {
		l->at++;
		if (c == '\n')
			return true;
		buf_byte(&l->text, (char)c);
	}
	return l->text.len > 0 || l->text.failed;
}

enum rc lines_next(
	struct lines *l, enum line_kind *kind, struct slice *out, const char **why, struct err *e)
{
	bool more = read_line(l);
	struct slice line = buf_slice(&l->text);

	if (ferror(l->f) != 0)
		return err_set(e, RC_INVALID, "%s: %s", l->name, strerror(errno));
	if (!more) {
		*kind = LINE_END;
		return RC_OK;
	}
	l->line++;
	*kind = LINE_RECORD;
	*out = line;
	if (l->text.failed || (line.len > SEND_RECORD_MAX && line.ptr[0] != '\001')) {
		*kind = LINE_BAD;
		*why = "more than a broker takes";
	} else if (line.len == 0) {
		*kind = LINE_EMPTY;
	} else if (line.ptr[0] == '\001') {
		*kind = escape(l, line, out, why);
	}
	return RC_OK;
}
