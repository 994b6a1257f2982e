/* One row per partition is its offset, its fence and its conservation. An owner takes it over by raising the epoch; the first
 * statement of every batch transaction names that epoch. Leaves out the batch itself. */
#include <stdio.h>

#include "cases/cases.h"

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

enum rc part_stop(struct pg *c, const char *source, const char *topic, int32_t part, int64_t from,
	int64_t to, int64_t now_us, const char *why, struct err *e)
{
	/* One statement, so that the gap and the stop are there together. */
	static const char sql[] =
		"WITH stop AS (UPDATE part SET stopped = $7, epoch = epoch + 1, owner = ''"
		" WHERE source = $1 AND topic = $2 AND part = $3)"
		" INSERT INTO part_gap (source, topic, part, from_offset, to_offset, noticed_at, "
		"why)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)"
		" ON CONFLICT (source, topic, part, from_offset) DO UPDATE"
		" SET to_offset = excluded.to_offset, noticed_at = excluded.noticed_at, why = "
		"excluded.why";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	char short_why[sizeof(((struct part *)0)->stopped)];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	copy_text(short_why, sizeof(short_why), slice_str(why));
	while (!slice_utf8_valid(
		slice_str(short_why))) /* the cut may have gone through a character */
		short_why[strlen(short_why) - 1] = '\0';
	if (short_why[0] == '\0')
		copy_text(short_why, sizeof(short_why), SLICE("stopped"));
	struct pg_param params[] = {pg_p_str(source), pg_p_str(topic), pg_p_int(part, a),
		pg_p_int(from, a), pg_p_int(to > from ? to : from, a), pg_p_time(now_us, a),
		pg_p_str(short_why)};
	return run(c, sql, params, ARRAY_LEN(params), NULL, e);
}
