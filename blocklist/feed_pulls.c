/* What a client that keeps no position of its own needs: where it stood last, and which senders changed since then. What they are now is looked up in the
 * list in memory. Leaves out the client's own format. */
#include <inttypes.h>

#include "blocklist/list.h"

static const char at_sql[] =
	"SELECT list, release, 0, ''::bytea, at FROM pull WHERE token = $1 AND address = $2";
static const char gap_sql[] = "SELECT count(*), coalesce(sum(added + removed), 0) FROM release"
			      " WHERE n > $1 AND n <= $2 AND list = $3::uuid";
static const char touched_sql[] =
	"SELECT scope, value, bool_or(service = 0), bool_or(service = 1), count(*) FROM change"
	" WHERE release > $1 AND release <= $2 GROUP BY 1, 2";
static const char removed_sql[] =
	"SELECT scope, value, bool_or(service = 0), bool_or(service = 1) FROM change"
	" WHERE op = 'remove' GROUP BY 1, 2";

enum rc feed_pull_at(struct pg *c, const char *token, const char *address, struct list_mark *out,
	int64_t *at_us, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(token), pg_p_str(address)};
	enum rc rc = pg_run(c, at_sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return RC_NONE;
	mark_of_row(r, 0, 0, out);
	*at_us = pg_time_us(r, 0, 4);
	return RC_OK;
}

static enum rc touched_read(struct pg *c, const struct list_mark *from, const struct list_mark *to,
	struct pg_result **out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *gap = NULL;
	OWN(pg_free) struct pg_result *r = NULL;
	int64_t seen = 0;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {
		pg_p_int(from->release, a), pg_p_int(to->release, a), pg_p_str(to->list)};
	enum rc rc = pg_run(c, gap_sql, p, 3, &gap, e);

	if (rc == RC_OK && pg_int(gap, 0, 0) != to->release - from->release)
		return err_set(
			e, RC_CONFLICT, "release %" PRId64 " is no longer kept", from->release + 1);
	if (rc == RC_OK && pg_int(gap, 0, 1) > BOUND_PULL_CHANGES)
		return err_set(e, RC_CONFLICT, "%" PRId64 " changes since release %" PRId64,
			pg_int(gap, 0, 1), from->release);
	if (rc == RC_OK)
		rc = pg_run(c, touched_sql, p, 2, &r, e);
	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < pg_rows(r); i++)
		seen += pg_int(r, i, 4);
	if (seen != pg_int(gap, 0, 1))
		return err_set(e, RC_CONFLICT, "changes are missing");
	*out = TAKE(r);
	return RC_OK;
}

enum rc feed_touched(struct pg *c, const struct list_mark *from, const struct list_mark *to,
	struct pg_result **out, struct err *e)
{
	/* one state of the ledger: what is pruned meanwhile is not missing from half of it */
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);

	if (rc == RC_OK)
		rc = touched_read(c, from, to, out, e);
	pg_rollback(c);
	return rc;
}

enum rc feed_removed(struct pg *c, struct pg_result **out, struct err *e)
{
	return pg_run(c, removed_sql, NULL, 0, out, e);
}

void feed_touched_walk(const struct pg_result *r, feed_touched_each *each, void *arg)
{
	for (int i = 0; i < pg_rows(r); i++)
		each(arg, scope_parse(pg_text(r, i, 0)), pg_text(r, i, 1),
			(bool[]){pg_bool(r, i, 2), pg_bool(r, i, 3)});
}
