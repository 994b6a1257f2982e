/* The keeper's release: one transaction under the fence, from the dirty keys to the COMMIT. What it reads, decides and writes is in
 * release_keys.c, release_judge.c and release_write.c. Leaves out who leads: the caller holds the epoch. */
#include "blocklist/release.h"

#define ARENA_CAP (512UL * 1024 * 1024) /* reserved, not used: pages come as they are touched */
#define TRIES 5

static const char ensure_sql[] =
	"INSERT INTO list_head (list, release, count, digest, at) VALUES (gen_random_uuid(), 0, 0,"
	" decode(repeat('00', 32), 'hex'), $1) ON CONFLICT DO NOTHING";
/* Asked forty times a second: each part is one look at one end of one index. "The first one, is it over" and not "is there one that is
 * over": asked that way, a plan made for any time thinks a third of the table is, and reads it from its beginning. */
static const char anything_sql[] =
	"SELECT coalesce((SELECT id FROM dirty ORDER BY id LIMIT 1) IS NOT NULL"
	" OR (SELECT until FROM entry WHERE until IS NOT NULL ORDER BY until LIMIT 1) <= $1"
	" OR (SELECT until FROM wish WHERE state = 'admitted' ORDER BY until LIMIT 1) <= $1"
	" OR (NOT $2::boolean AND (SELECT score FROM wish WHERE state = 'wanted'"
	" ORDER BY score DESC, first_at LIMIT 1) IS NOT NULL)"
	" OR (SELECT until FROM protected WHERE until IS NOT NULL ORDER BY until LIMIT 1) <= $1,"
	" false),"
	" (SELECT id FROM audit_pending ORDER BY id LIMIT 1) IS NOT NULL";
/* From the oldest on, so many at a time: called every minute, it looks at little and never deletes for long. */
static const char prune_sql[] =
	"WITH old AS (SELECT max(n) AS n FROM (SELECT n, at FROM release ORDER BY n LIMIT 10000) x"
	" WHERE at < $1 AND n <= (SELECT release FROM list_head) - 1000),"
	" gone AS (DELETE FROM change WHERE release <= (SELECT n FROM old)),"
	" proved AS (DELETE FROM proof WHERE release <= (SELECT n FROM old)),"
	" pulled AS (DELETE FROM pull WHERE (token, address) IN"
	" (SELECT token, address FROM pull WHERE at < $1 LIMIT 10000))"
	" DELETE FROM release WHERE n <= (SELECT n FROM old)";
static const char fence_sql[] = "SELECT epoch FROM keeper WHERE one AND epoch = $1 FOR UPDATE";

static enum rc run_at(struct pg *c, const char *sql, int64_t at_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param at = pg_p_time(at_us, a);

	return pg_run(c, sql, &at, 1, NULL, e);
}

enum rc list_ensure(struct pg *c, int64_t now_us, struct err *e)
{
	return run_at(c, ensure_sql, now_us, e);
}

enum rc release_prune(struct pg *c, int64_t before_us, struct err *e)
{
	return run_at(c, prune_sql, before_us, e);
}

/* Whether keys wait, and whether audit rows do. */
static enum rc anything(
	struct pg *c, int64_t now_us, bool kill_switch, bool *keys, bool *rows, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *res = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "release: out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a), pg_p_bool(kill_switch)};
	enum rc rc = pg_run(c, anything_sql, p, ARRAY_LEN(p), &res, e);

	if (rc != RC_OK)
		return rc;
	*keys = pg_bool(res, 0, 0);
	*rows = pg_bool(res, 0, 1);
	return RC_OK;
}

static enum rc fence(struct release *r, struct pg *c, int64_t epoch, bool *fenced, struct err *e)
{
	OWN(pg_free) struct pg_result *res = NULL;
	struct pg_param p = pg_p_int(epoch, r->arena);
	enum rc rc = pg_run(c, fence_sql, &p, 1, &res, e);

	if (rc != RC_OK || pg_rows(res) == 1)
		return rc;
	*fenced = true;
	return err_set(e, RC_CONFLICT, "release: epoch %lld is over, another keeper leads",
		(long long)epoch);
}

static enum rc in_transaction(
	struct release *r, struct pg *c, int64_t epoch, bool keys, bool *fenced, struct err *e)
{
	uint8_t head[SHA256_LEN];
	int64_t seq = 0;
	size_t chained = 0;
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = fence(r, c, epoch, fenced, e);
	if (rc == RC_OK && keys)
		rc = protected_end(c, r->now_us, r->arena, e);
	if (rc == RC_OK && keys)
		rc = release_read(r, c, e);
	if (rc == RC_OK && keys)
		rc = release_judge(r, e);
	if (rc == RC_OK && keys)
		rc = release_write(r, c, e);
	if (rc == RC_OK)
		rc = audit_chain(c, &seq, head, &chained, e);
	return rc == RC_OK ? pg_commit(c, e) : rc;
}

static enum rc attempt(struct pg *c, int64_t epoch, int64_t now_us, const struct caps *caps,
	bool kill_switch, bool *fenced, struct release_out *out, struct err *e)
{
	OWN(arena_free) struct arena *a = NULL;
	struct release r = {.now_us = now_us, .caps = caps, .kill_switch = kill_switch};
	bool keys = false, rows = false;
	enum rc rc = anything(c, now_us, kill_switch, &keys, &rows, e);

	if (rc == RC_OK && (keys || rows)) {
		r.arena = a = arena_new(ARENA_CAP);
		rc = a != NULL ? in_transaction(&r, c, epoch, keys, fenced, e)
			       : err_set(e, RC_RETRY, "release: out of memory");
	}
	if (rc != RC_OK)
		return rc;
	*out = (struct release_out){.made = r.added + r.removed > 0,
		.added = r.added,
		.removed = r.removed,
		.held = r.held,
		.overflow = r.overflow};
	if (out->made)
		out->mark = r.mark;
	return RC_OK;
}

enum rc release_make(struct pg *c, int64_t epoch, int64_t now_us, const struct caps *caps,
	bool kill_switch, struct release_out *out, struct err *e)
{
	enum rc rc = RC_OK;

	for (int i = 0; i < TRIES; i++) {
		bool fenced = false;

		rc = attempt(c, epoch, now_us, caps, kill_switch, &fenced, out, e);
		if (rc == RC_OK)
			return RC_OK;
		pg_rollback(c);
		/* A deadlock or the like: nothing happened, and now is as good as later. */
		if (rc != RC_CONFLICT || fenced)
			return rc;
	}
	return RC_RETRY;
}
