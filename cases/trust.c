/* What a reporter's word weighs, from what became of the cases that he reported: the nightly job. A function of the decisions that stand when it runs, so a
 * second run changes nothing. It changes what later reports weigh; votes that were cast keep their weight. docs/judgement.md section 9. */
#include "cases/ledger.h"

#define VERSION "trust-1"

static const char weigh_sql[] =
	"WITH d AS (SELECT r.reporter, count(DISTINCT k.id) FILTER (WHERE k.outcome = 'upheld') AS "
	"upheld, count(DISTINCT k.id) FILTER (WHERE k.outcome = 'lifted') AS lifted FROM case_file "
	"k"
	" JOIN report r ON r.sender = k.sender AND r.case_id = k.id AND r.disposition = 0"
	" WHERE k.state = 'closed' AND k.outcome IN ('upheld', 'lifted') GROUP BY r.reporter),"
	" n AS (SELECT p.id, greatest(0.2, least(1.5, 1 + 0.05 * coalesce(d.upheld, 0) - 0.2 * "
	"coalesce(d.lifted, 0)))::real AS trust FROM subject p LEFT JOIN d ON d.reporter = p.id),"
	" c AS (UPDATE subject p SET trust = n.trust FROM n WHERE p.id = n.id AND p.trust <> "
	"n.trust"
	" RETURNING 1) INSERT INTO trust_run (at, version, actor, changed) SELECT $1, '" VERSION
	"', $2, count(*) FROM c RETURNING changed";

static enum rc run(struct pg *c, bool nightly, const char *actor, int64_t now_us, int64_t *changed,
	struct err *e)
{
	/* from three in the morning on, once a day */
	static const char due_sql[] =
		"SELECT extract(hour FROM $1::timestamptz AT TIME ZONE INTERVAL '7 hours') >= 3 "
		"AND NOT"
		" EXISTS (SELECT FROM trust_run t WHERE t.at >= date_trunc('day', $1::timestamptz "
		"AT "
		"TIME ZONE INTERVAL '7 hours') AT TIME ZONE INTERVAL '7 hours' AND t.actor = $2)";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *due = NULL, *done = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a), pg_p_str(actor)};
	enum rc rc = pg_run(c, "SELECT pg_advisory_xact_lock(461263627633)", NULL, 0, NULL, e);
	if (rc == RC_OK && nightly)
		rc = pg_run(c, due_sql, p, 2, &due, e);
	if (rc == RC_OK && nightly && !pg_bool(due, 0, 0))
		return err_set(e, RC_NONE, "it is not due");
	if (rc == RC_OK)
		rc = pg_run(c, weigh_sql, p, 2, &done, e);
	if (rc != RC_OK)
		return rc;
	*changed = pg_int(done, 0, 0);
	const char *line =
		arena_fmt(a, "trust " VERSION " reporters changed=%lld\n", (long long)*changed);
	return audit_append(c, now_us, actor, "trust.run", slice_str(line != NULL ? line : ""), e);
}

enum rc trust_run(struct pg *c, bool nightly, const char *actor, int64_t now_us, int64_t *changed,
	struct err *e)
{
	enum rc rc = pg_script(c, "BEGIN", e);

	*changed = 0;
	if (rc == RC_OK)
		rc = run(c, nightly, actor, now_us, changed, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}
