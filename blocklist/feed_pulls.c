/* What a client that keeps no position of its own needs: where it stood last, and which senders changed since then. What they are now is looked up in the
 * list in memory. Leaves out the client's own format. */
#include <inttypes.h>

#include "blocklist/list.h"

static const char at_sql[] =
	"SELECT list, release, 0, ''::bytea, at FROM pull WHERE token = $1 AND address = $2";
static const char gap_sql[] =
	"SELECT count(*) FROM release WHERE n = $1::bigint + 1 AND list = $2::uuid";
static const char touched_sql[] =
	"SELECT scope, value, bool_or(service = 0), bool_or(service = 1) FROM change"
	" WHERE release > $1 AND release <= $2 GROUP BY 1, 2";

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

enum rc feed_touched(struct pg *c, const struct list_mark *from, const struct list_mark *to,
	feed_touched_each *each, void *arg, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *gap = NULL;
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_int(from->release, a), pg_p_int(to->release, a)};
	struct pg_param q[] = {p[0], pg_p_str(to->list)};
	enum rc rc = pg_run(c, gap_sql, q, ARRAY_LEN(q), &gap, e);

	if (rc == RC_OK && pg_int(gap, 0, 0) == 0)
		return err_set(
			e, RC_CONFLICT, "release %" PRId64 " is no longer kept", from->release + 1);
	if (rc == RC_OK)
		rc = pg_run(c, touched_sql, p, ARRAY_LEN(p), &r, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		each(arg, scope_parse(pg_text(r, i, 0)), pg_text(r, i, 1),
			(bool[]){pg_bool(r, i, 2), pg_bool(r, i, 3)});
	return rc;
}
