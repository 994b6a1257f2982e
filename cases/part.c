/* One row per partition is its offset, its fence and its conservation. An owner takes it over by raising the epoch; the first
 * statement of every batch transaction names that epoch. A partition that cannot go on is stopped with a gap, and resumed by a person. Leaves out
 * the batch itself. */
#include <stdio.h>

#include "cases/rows.h"

#define SCRATCH_BYTES (1 << 14)

static enum rc run(struct pg *c, const char *sql, const struct pg_param *p, int n,
	struct pg_result **out, struct err *e)
{
	enum rc rc = pg_run(c, sql, p, n, out, e);

	return rc == RC_OK ? RC_OK : err_wrap(e, rc, "partition");
}

static void copy_text(char *out, size_t room, struct slice s)
{
	(void)snprintf(out, room, "%.*s", (int)s.len, s.len > 0 ? s.ptr : "");
}

/* A row that may not be taken is not touched: its owner was told, a person resumes it. */
static enum rc read_stopped(
	struct pg *c, const struct pg_param key[3], struct part *out, struct err *e)
{
	static const char sql[] = "SELECT epoch, next_offset, attempts, stopped FROM part"
				  " WHERE source = $1 AND topic = $2 AND part = $3";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = run(c, sql, key, 3, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0 || pg_text(r, 0, 3).len == 0)
		return err_set(e, RC_CONFLICT, "partition: it changed while it was acquired");
	out->epoch = pg_int(r, 0, 0);
	out->next_offset = pg_int(r, 0, 1);
	out->attempts = (int)pg_int(r, 0, 2);
	copy_text(out->stopped, sizeof(out->stopped), pg_text(r, 0, 3));
	return RC_OK;
}

enum rc part_acquire(struct pg *c, const char *source, const char *topic, int32_t part,
	const char *me, struct part *out, struct err *e)
{
	static const char sql[] =
		"INSERT INTO part AS p (source, topic, part, epoch, owner) VALUES ($1, $2, $3, 1, "
		"$4)"
		" ON CONFLICT (source, topic, part) DO UPDATE SET epoch = p.epoch + 1, owner = "
		"excluded.owner,"
		" attempts = p.attempts + (p.owner NOT IN ('', excluded.owner))::int"
		" WHERE p.stopped = '' RETURNING epoch, next_offset, attempts";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;
	struct part p = {.part = part};

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (strlen(topic) >= sizeof(p.topic))
		return err_set(
			e, RC_INVALID, "topic %s: longer than %zu", topic, sizeof(p.topic) - 1);
	copy_text(p.topic, sizeof(p.topic), slice_str(topic));
	struct pg_param params[] = {
		pg_p_str(source), pg_p_str(topic), pg_p_int(part, a), pg_p_str(me)};
	enum rc rc = run(c, sql, params, ARRAY_LEN(params), &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0) {
		rc = read_stopped(c, params, &p, e);
		if (rc != RC_OK)
			return rc;
	} else {
		p.epoch = pg_int(r, 0, 0);
		p.next_offset = pg_int(r, 0, 1);
		p.attempts = (int)pg_int(r, 0, 2);
	}
	*out = p;
	return RC_OK;
}

enum rc part_begin(struct pg *c, const char *source, struct part *p, int64_t first, struct err *e)
{
	static const char sql[] =
		"UPDATE part SET next_offset = $5 WHERE source = $1 AND topic = $2 AND part = $3"
		" AND epoch = $4 AND next_offset = 0 AND records = 0";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param params[] = {pg_p_str(source), pg_p_str(p->topic), pg_p_int(p->part, a),
		pg_p_int(p->epoch, a), pg_p_int(first, a)};
	enum rc rc = run(c, sql, params, ARRAY_LEN(params), &r, e);
	if (rc == RC_OK && pg_affected(r) != 1)
		return err_set(
			e, RC_CONFLICT, "partition %s/%d has moved already", p->topic, p->part);
	if (rc == RC_OK)
		p->next_offset = first;
	return rc;
}

enum rc part_release(struct pg *c, const char *source, const struct part *p, struct err *e)
{
	static const char sql[] = "UPDATE part SET owner = '', attempts = 0"
				  " WHERE source = $1 AND topic = $2 AND part = $3 AND epoch = $4";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param params[] = {
		pg_p_str(source), pg_p_str(p->topic), pg_p_int(p->part, a), pg_p_int(p->epoch, a)};
	enum rc rc = run(c, sql, params, ARRAY_LEN(params), &r, e);
	if (rc == RC_OK && pg_affected(r) != 1)
		return err_set(
			e, RC_CONFLICT, "partition %s/%d has another owner", p->topic, p->part);
	return rc;
}

/* ---- stopped, and resumed by a person ---- */

/* One line without control characters; empty ones say so. */
static void cause_text(char *out, size_t room, const char *why)
{
	copy_text(out, room, slice_str(why));
	while (!slice_utf8_valid(slice_str(out))) /* the cut may have gone through a character */
		out[strlen(out) - 1] = '\0';
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	if (out[0] == '\0')
		copy_text(out, room, SLICE("stopped"));
}

/* In one transaction: the change, which must touch one row, and its audit entry. */
static enum rc change_and_tell(struct pg *c, const char *sql, const struct pg_param *p, int n,
	int64_t now_us, const char *actor, const char *what, const char *line, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = run(c, sql, p, n, &r, e);
	if (rc == RC_OK && pg_rows(r) != 1)
		rc = err_set(e, RC_CONFLICT, "the partition was changed by somebody else");
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, what, slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc part_stop(struct pg *c, const char *source, const struct part *p, int64_t to,
	int64_t now_us, const char *actor, const char *why, struct err *e)
{
	static const char sql[] =
		"WITH stop AS (UPDATE part SET stopped = $8, epoch = epoch + 1, owner = ''"
		" WHERE source = $1 AND topic = $2 AND part = $3 AND epoch = $4 RETURNING 1)"
		" INSERT INTO part_gap (source, topic, part, from_offset, to_offset, noticed_at, "
		"why)"
		" SELECT $1, $2, $3, $5, $6, $7, $8 FROM stop RETURNING id";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	char cause[sizeof(p->stopped)], line[512];
	int64_t from = p->next_offset;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	cause_text(cause, sizeof(cause), why);
	struct pg_param params[] = {pg_p_str(source), pg_p_str(p->topic), pg_p_int(p->part, a),
		pg_p_int(p->epoch, a), pg_p_int(from, a), pg_p_int(to > from ? to : from, a),
		pg_p_time(now_us, a), pg_p_str(cause)};
	(void)snprintf(line, sizeof(line), "partition.stop %.128s/%s/%d offset=%lld cause=\"%s\"\n",
		source, p->topic, p->part, (long long)from, cause);
	return change_and_tell(
		c, sql, params, ARRAY_LEN(params), now_us, actor, "partition.stop", line, e);
}

/* Where it stands and how far its gap goes. */
static enum rc read_gap(
	struct pg *c, const struct pg_param key[3], int64_t *stands, int64_t *ends, struct err *e)
{
	static const char sql[] =
		"SELECT p.stopped <> '', p.next_offset, coalesce(g.to_offset, p.next_offset)"
		" FROM part p LEFT JOIN part_gap g ON g.source = p.source AND g.topic = p.topic"
		" AND g.part = p.part AND g.resumed_at IS NULL"
		" WHERE p.source = $1 AND p.topic = $2 AND p.part = $3";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = run(c, sql, key, 3, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "there is no such partition");
	if (!pg_bool(r, 0, 0))
		return err_set(e, RC_CONFLICT, "the partition is not stopped");
	*stands = pg_int(r, 0, 1);
	*ends = pg_int(r, 0, 2);
	return RC_OK;
}

enum rc part_resume(struct pg *c, const char *source, const char *topic, int32_t part,
	int64_t *from, int64_t now_us, const char *actor, struct err *e)
{
	/* The epoch rises, so that nothing that was built before is taken. */
	static const char sql[] =
		"WITH go AS (UPDATE part SET stopped = '', epoch = epoch + 1, owner = '', attempts "
		"= 0,"
		" next_offset = $5 WHERE source = $1 AND topic = $2 AND part = $3"
		" AND stopped <> '' AND next_offset = $4 RETURNING 1),"
		" told AS (UPDATE part_gap SET to_offset = $5, resumed_at = $6, resumed_by = $7"
		" FROM go WHERE source = $1 AND topic = $2 AND part = $3 AND resumed_at IS NULL)"
		" SELECT FROM go";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	int64_t stands = 0, ends = 0;
	char line[512];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param key[] = {pg_p_str(source), pg_p_str(topic), pg_p_int(part, a)};
	enum rc rc = read_gap(c, key, &stands, &ends, e);
	if (rc != RC_OK)
		return rc;
	if (*from < 0 && ends <= stands)
		return err_set(e, RC_INVALID,
			"it stopped at offset %lld and nobody knows where it can go on: say so",
			(long long)stands);
	int64_t on = *from < 0 ? ends : *from;
	struct pg_param params[] = {key[0], key[1], key[2], pg_p_int(stands, a), pg_p_int(on, a),
		pg_p_time(now_us, a), pg_p_str(actor)};
	(void)snprintf(line, sizeof(line),
		"partition.resume %.128s/%.128s/%d offset=%lld from=%lld\n", source, topic, part,
		(long long)stands, (long long)on);
	rc = change_and_tell(
		c, sql, params, ARRAY_LEN(params), now_us, actor, "partition.resume", line, e);
	if (rc == RC_OK)
		*from = on;
	return rc;
}

enum rc part_list_json(struct pg *c, const char *source, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT p.source, p.topic, p.part, p.owner, p.next_offset, p.records,"
		" nullif(p.stopped, ''), g.from_offset, g.to_offset, g.noticed_at, g.resumed_at,"
		" g.resumed_by FROM part p LEFT JOIN LATERAL (SELECT * FROM part_gap g"
		" WHERE g.source = p.source AND g.topic = p.topic AND g.part = p.part"
		" ORDER BY id DESC LIMIT 1) g ON true WHERE coalesce(p.source = $1, true)"
		" ORDER BY p.source, p.topic, p.part";
	static const struct col cols[] = {{"source", COL_TEXT}, {"topic", COL_TEXT},
		{"partition", COL_INT}, {"owner", COL_TEXT}, {"next_offset", COL_INT},
		{"records", COL_INT}, {"stopped", COL_TEXT}, {"gap_from", COL_INT},
		{"gap_to", COL_INT}, {"noticed_at", COL_TIME}, {"resumed_at", COL_TIME},
		{"resumed_by", COL_TEXT}};
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(source)};
	enum rc rc = run(c, sql, p, 1, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		row_json(out, r, i, cols, ARRAY_LEN(cols));
		buf_byte(out, '\n');
	}
	return rc == RC_OK ? buf_fits(out, e) : rc;
}
