/* Links, numbers, accounts and handles that texts name: since when, how often, by how many reporters and of how many senders. Folded from what workers
 * have gleaned; order does not matter. Who named what is remembered up to a bound, beyond it reports are only a number. */
#include "cases/glean.h"

#define REMEMBERED "10000" /* pairs of sender and reporter, of one piece of evidence */

static const char fold_sql[] =
	"INSERT INTO evidence AS x (kind, key, shown, flags, reports, first_at, last_at)"
	" SELECT u.kind, u.key, min(u.shown), bit_or(u.flags), count(*), min(u.at), max(u.at)"
	" FROM gleaned g, unnest(g.evidence) u WHERE g.id = ANY($1::bigint[]) GROUP BY 1, 2"
	" ORDER BY 1, 2 ON CONFLICT (kind, key) DO UPDATE SET flags = x.flags | excluded.flags,"
	" reports = x.reports + excluded.reports, first_at = least(x.first_at, excluded.first_at),"
	" last_at = greatest(x.last_at, excluded.last_at)";
static const char seen_sql[] =
	"INSERT INTO evidence_seen AS x (evidence, sender, service, reporter, reports, first_at,"
	" last_at) SELECT v.id, u.sender, u.service, u.reporter, count(*), min(u.at), max(u.at)"
	" FROM gleaned g, unnest(g.evidence) u JOIN evidence v ON v.kind = u.kind AND v.key = u.key"
	" WHERE g.id = ANY($1::bigint[]) AND (v.reports <= " REMEMBERED " OR (SELECT count(*) FROM"
	" (SELECT FROM evidence_seen n WHERE n.evidence = v.id LIMIT " REMEMBERED
	") n) < " REMEMBERED
	") GROUP BY 1, 2, 3, 4 ON CONFLICT (evidence, sender, service, reporter) DO UPDATE SET"
	" reports = x.reports + excluded.reports, first_at = least(x.first_at, excluded.first_at),"
	" last_at = greatest(x.last_at, excluded.last_at)";
static const char report_sql[] =
	"INSERT INTO evidence_report (id_hash, evidence) SELECT DISTINCT u.id_hash, v.id"
	" FROM gleaned g, unnest(g.evidence) u JOIN evidence v ON v.kind = u.kind AND v.key = u.key"
	" WHERE g.id = ANY($1::bigint[]) ON CONFLICT DO NOTHING";
static const char count_sql[] =
	"UPDATE evidence v SET reporters = n.reporters, senders = n.senders FROM (SELECT d.id,"
	" count(DISTINCT s.reporter) AS reporters, count(DISTINCT s.sender) AS senders FROM"
	" (SELECT DISTINCT v.id FROM gleaned g, unnest(g.evidence) u JOIN evidence v"
	" ON v.kind = u.kind AND v.key = u.key WHERE g.id = ANY($1::bigint[])) d"
	" JOIN evidence_seen s ON s.evidence = d.id GROUP BY d.id) n WHERE v.id = n.id";

enum rc evidence_fold(struct pg *c, struct pg_array *rows, struct err *e)
{
	static const char *const steps[] = {fold_sql, seen_sql, report_sql, count_sql};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(steps); i++) {
		struct pg_param p[] = {pg_p_array(rows)};

		rc = pg_run(c, steps[i], p, 1, NULL, e);
	}
	return rc;
}
