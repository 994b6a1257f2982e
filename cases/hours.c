/* The last two days by the hour: reports by class, additions to the list and removals. Leaves out who and what. */
#include "cases/cases.h"

static const char sql[] =
	"WITH h AS (SELECT generate_series(date_trunc('hour', $1::timestamptz) - interval '47 "
	"hours',"
	" date_trunc('hour', $1::timestamptz), interval '1 hour') AS at),"
	" r AS (SELECT date_trunc('hour', received_at) AS at, count(*) FILTER (WHERE class = 1) AS "
	"scam,"
	" count(*) FILTER (WHERE class = 0) AS nuisance FROM report WHERE disposition = 0 AND "
	"received_at >="
	" date_trunc('hour', $1::timestamptz) - interval '47 hours' AND received_at <= $1 GROUP BY "
	"1),"
	" l AS (SELECT date_trunc('hour', at) AS at, sum(added) AS added, sum(removed) AS removed "
	"FROM release"
	" WHERE at >= date_trunc('hour', $1::timestamptz) - interval '47 hours' AND at <= $1 GROUP "
	"BY 1)"
	" SELECT json_build_object('hours', json_agg(json_build_object('at', to_char(h.at AT TIME "
	"ZONE"
	" INTERVAL '0', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), 'scam', coalesce(r.scam, 0), "
	"'nuisance', coalesce(r.nuisance, 0),"
	" 'added', coalesce(l.added, 0), 'removed', coalesce(l.removed, 0)) ORDER BY h.at))::text"
	" FROM h LEFT JOIN r USING (at) LEFT JOIN l USING (at)";

enum rc hours_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK)
		buf_add(out, pg_text(r, 0, 0));
	return rc == RC_OK && out->failed ? err_set(e, RC_RETRY, "out of memory") : rc;
}
