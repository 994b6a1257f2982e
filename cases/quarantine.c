/* Quarantined records for people: what is there, its bytes to one who says why, and giving one up. Every look at the bytes is in the audit
 * before they are shown. Taking a record through again is the engine's (engine/retry.c). */
#include <stdio.h>

#include "audit/audit.h"
#include "cases/rows.h"

#define SCRATCH_BYTES (1 << 14)

/* "MICROSECONDS-PARTITION-OFFSET-TOPIC" of the last row of a page. */
static bool cursor_of(
	const char *cursor, int64_t *at, int64_t *part, int64_t *offset, struct slice *topic)
{
	struct slice rest = slice_str(cursor), word;
	int64_t *const numbers[] = {at, part, offset};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!slice_cut(&rest, '-', &word) || slice_i64(word, numbers[i]) != RC_OK)
			return false;
	*topic = rest;
	return rest.len > 0 && slice_utf8_valid(rest);
}

enum rc quarantine_page(struct pg *c, const char *state, const char *reason, const char *topic,
	const char *cursor, int64_t limit, struct buf *out, char *next, size_t room, struct err *e)
{
	static const char sql[] =
		"SELECT source, topic, part, \"offset\", at, reason, detail, sqlstate, size, "
		"report_id,"
		" state, trace, expires_at FROM quarantine WHERE ($1::text IS NULL OR state = $1)"
		" AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR topic = $3)"
		" AND ($5::timestamptz IS NULL OR (at, topic, part, \"offset\") < ($5, $6, $7, $8))"
		" ORDER BY at DESC, topic DESC, part DESC, \"offset\" DESC LIMIT $4";
	static const struct col cols[] = {{"source", COL_TEXT}, {"topic", COL_TEXT},
		{"partition", COL_INT}, {"offset", COL_INT}, {"at", COL_TIME}, {"reason", COL_TEXT},
		{"detail", COL_TEXT}, {"sqlstate", COL_TEXT}, {"size", COL_INT},
		{"report_id", COL_TEXT}, {"state", COL_TEXT}, {"trace", COL_TEXT},
		{"expires_at", COL_TIME}};
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;
	int64_t at = TIME_NONE, part = 0, offset = 0;
	struct slice last = SLICE("");

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (cursor != NULL && !cursor_of(cursor, &at, &part, &offset, &last))
		return err_set(e, RC_INVALID, "not a cursor");
	struct pg_param p[] = {pg_p_str(state), pg_p_str(reason), pg_p_str(topic),
		pg_p_int(limit, a), pg_p_time(at, a), pg_p_text(last, a), pg_p_int(part, a),
		pg_p_int(offset, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		row_json(out, r, i, cols, ARRAY_LEN(cols));
		buf_byte(out, '\n');
	}
	int n = rc == RC_OK ? pg_rows(r) : 0;
	if (next != NULL && n > 0 && n == limit)
		(void)snprintf(next, room, "%lld-%lld-%lld-%.*s",
			(long long)pg_time_us(r, n - 1, 4), (long long)pg_int(r, n - 1, 2),
			(long long)pg_int(r, n - 1, 3), (int)pg_text(r, n - 1, 1).len,
			pg_text(r, n - 1, 1).ptr);
	return rc == RC_OK ? buf_fits(out, e) : rc;
}

static void copy_text(char *out, size_t room, struct slice s)
{
	(void)snprintf(out, room, "%.*s", (int)s.len, s.len > 0 ? s.ptr : "");
}

static enum rc open_bytes(const struct keys *k, const struct quarantine_place *p,
	const char *source, struct slice sealed, struct arena *a, struct slice *out, struct err *e)
{
	const char *aad = arena_fmt(
		a, "quarantine/%s/%s/%d/%lld", source, p->topic, p->part, (long long)p->offset);
	uint8_t *plain;

	if (sealed.len < SEAL_EXTRA)
		return err_set(e, RC_INVALID, "what is kept is no sealed record");
	plain = arena_alloc(a, sealed.len - SEAL_EXTRA + 1);
	if (aad == NULL || plain == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (keys_unseal(k, slice_str(aad), sealed, plain) != RC_OK)
		return err_set(e, RC_INVALID,
			"the seal does not hold: another key, or the row was changed");
	*out = slice_of((const char *)plain, sealed.len - SEAL_EXTRA);
	return RC_OK;
}

enum rc quarantine_read(struct pg *c, const struct keys *k, const struct quarantine_place *p,
	struct arena *a, struct quarantined *out, struct err *e)
{
	static const char sql[] =
		"SELECT source, reason, state, detail, at, size, bytes, trace FROM quarantine"
		" WHERE topic = $1 AND part = $2 AND \"offset\" = $3"
		" AND ($4::text IS NULL OR source = $4) ORDER BY source LIMIT 2";
	OWN(pg_free) struct pg_result *r = NULL;
	struct quarantined q;
	struct pg_param params[] = {pg_p_str(p->topic), pg_p_int(p->part, a),
		pg_p_int(p->offset, a), pg_p_str(p->source)};
	enum rc rc = pg_run(c, sql, params, ARRAY_LEN(params), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "there is no record %s/%d/%lld", p->topic, p->part,
			(long long)p->offset);
	if (pg_rows(r) > 1)
		return err_set(e, RC_CONFLICT, "several sources have %s/%d/%lld; name one",
			p->topic, p->part, (long long)p->offset);
	copy_text(q.source, sizeof(q.source), pg_text(r, 0, 0));
	copy_text(q.reason, sizeof(q.reason), pg_text(r, 0, 1));
	copy_text(q.state, sizeof(q.state), pg_text(r, 0, 2));
	copy_text(q.detail, sizeof(q.detail), pg_text(r, 0, 3));
	q.at = pg_time_us(r, 0, 4);
	q.size = pg_int(r, 0, 5);
	copy_text(q.trace, sizeof(q.trace), pg_text(r, 0, 7));
	rc = open_bytes(k, p, q.source, pg_bytes(r, 0, 6), a, &q.bytes, e);
	if (rc == RC_OK)
		*out = q;
	return rc;
}

/* "main/complaints/0 17 the reason", without control characters. */
static struct slice audit_line(const struct quarantine_place *p, const char *why, struct arena *a)
{
	char *line = arena_fmt(a, "%s/%s/%d %lld %s", p->source != NULL ? p->source : "?", p->topic,
		p->part, (long long)p->offset, why);

	for (char *at = line; at != NULL && *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	return slice_of(line, line != NULL ? strlen(line) : 0);
}

static enum rc audited(struct pg *c, const struct quarantine_place *p, const char *actor,
	const char *what, const char *why, int64_t now_us, struct arena *a, struct err *e)
{
	struct slice line = audit_line(p, why, a);

	if (line.ptr == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	return audit_append(c, now_us, actor, what, line, e);
}

enum rc quarantine_looked(struct pg *c, const struct quarantine_place *p, const char *actor,
	const char *why, int64_t now_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = pg_run(c, "BEGIN", NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = audited(c, p, actor, "quarantine.show", why, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc quarantine_drop(struct pg *c, const struct quarantine_place *p, const char *actor,
	const char *why, int64_t now_us, struct err *e)
{
	static const char sql[] = "UPDATE quarantine SET state = 'dropped' WHERE source = $1 AND "
				  "topic = $2 AND part = $3"
				  " AND \"offset\" = $4 AND state = 'open'";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param params[] = {pg_p_str(p->source), pg_p_str(p->topic), pg_p_int(p->part, a),
		pg_p_int(p->offset, a)};
	enum rc rc = pg_run(c, "BEGIN", NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, sql, params, ARRAY_LEN(params), &r, e);
	if (rc == RC_OK && pg_affected(r) != 1)
		rc = err_set(e, RC_CONFLICT, "%s/%d/%lld is not open", p->topic, p->part,
			(long long)p->offset);
	if (rc == RC_OK)
		rc = audited(c, p, actor, "quarantine.drop", why, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

void quarantine_printable(struct slice s, struct buf *out)
{
	bool utf8 = slice_utf8_valid(s);

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < 0x20 && c != '\n') || c == 0x7f || (c >= 0x80 && !utf8))
			buf_fmt(out, "\\x%02x", c);
		else
			buf_byte(out, (char)c);
	}
	buf_byte(out, '\n');
}
