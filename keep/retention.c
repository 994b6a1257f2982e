/* What is kept no longer than it is needed: a table of rules, each with its term in the configuration. What people wrote goes by the outcome of
 * its case; votes, report keys, decisions and the audit hold no person and stay; facts and quarantined records are the keeper's to forget. Reports are done a month at a time, each a transaction. */
#include <inttypes.h>
#include <stdio.h>

#include "audit/audit.h"
#include "keep/keep.h"

/* $1: before when; of reports $2: the month. */
struct rule {
	const char *name, *term;
	bool by_month;
	const char *count, *apply;
};

#define CLEARED "SET content = '', extra = '', sender_raw = ''"
#define FULL "(r.content <> '' OR r.extra <> '' OR r.sender_raw <> '')"
#define OF_CASE(outcomes)                                                                   \
	"FROM case_file k WHERE r.stored_month = $2 AND " FULL " AND k.id = r.case_id AND " \
	"k.state = 'closed' AND k.closed_at < $1 AND k.outcome IN (" outcomes ")"
#define COUNT_CASE(outcomes)                                                                  \
	"SELECT count(*) FROM report r, case_file k WHERE r.stored_month = $2 AND " FULL      \
	" AND k.id = r.case_id AND k.state = 'closed' AND k.closed_at < $1 AND k.outcome IN " \
	"(" outcomes ")"
#define REFUSED "r.stored_month = $2 AND r.disposition <> 0 AND r.stored_at < $1 AND " FULL
#define OPEN                                                                       \
	"r.stored_month = $2 AND r.disposition = 0 AND r.stored_at < $1 AND " FULL \
	" AND NOT EXISTS (SELECT FROM case_file k WHERE k.id = r.case_id AND k.state = 'closed')"
#define QUIET                                                                                 \
	"s.created_at < $1 AND NOT EXISTS (SELECT FROM report r WHERE r.reporter = s.id AND " \
	"r.stored_at >= $1)"

/* Who was erased and came back: reports that a restore took from Kafka once more. */
#define BACK "s.id = r.reporter AND x.mac = s.mac AND r.received_at < x.at AND x.at <= $1 AND " FULL
#define BACK_WHO                                                                                \
	"x.mac = s.mac AND x.at <= $1 AND NOT EXISTS (SELECT FROM report r WHERE r.reporter = " \
	"s.id AND r.received_at >= x.at)"

static const struct rule rules[] = {
	{"content of persons who were erased", NULL, false,
		"SELECT count(*) FROM report r, subject s, erasure x WHERE " BACK,
		"UPDATE report r " CLEARED " FROM subject s, erasure x WHERE " BACK},
	{"persons who were erased", NULL, false,
		"SELECT count(*) FROM subject s, erasure x WHERE " BACK_WHO,
		"DELETE FROM subject s USING erasure x WHERE " BACK_WHO},
	{"content of upheld and referred cases", "retention.upheld", true,
		COUNT_CASE("'upheld', 'referred'"),
		"UPDATE report r " CLEARED " " OF_CASE("'upheld', 'referred'")},
	{"content of other closed cases", "retention.no_action", true,
		COUNT_CASE("'no_action', 'lifted', 'merged', 'expired'"),
		"UPDATE report r " CLEARED
		" " OF_CASE("'no_action', 'lifted', 'merged', 'expired'")},
	{"content of rejected and routed reports", "retention.refused", true,
		"SELECT count(*) FROM report r WHERE " REFUSED,
		"UPDATE report r " CLEARED " WHERE " REFUSED},
	{"content of reports on no closed case", "retention.open", true,
		"SELECT count(*) FROM report r WHERE " OPEN,
		"UPDATE report r " CLEARED " WHERE " OPEN},
	{"reporters who are silent", "retention.reporter", false,
		"SELECT count(*) FROM subject s WHERE " QUIET,
		"DELETE FROM subject s WHERE " QUIET},
};

static enum rc one(struct pg *c, const char *sql, bool count, int64_t before_us, struct slice month,
	int64_t *n, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	struct pg_param p[] = {pg_p_time(before_us, a), pg_p_text(month, a)};
	enum rc rc = pg_run(c, sql, p, month.len > 0 ? 2 : 1, &r, e);
	if (rc == RC_OK)
		*n += count ? pg_int(r, 0, 0) : pg_affected(r);
	return rc;
}

static enum rc run_rule(struct pg *c, const struct rule *u, struct pg_result *months,
	int64_t before_us, bool dry_run, int64_t *n, struct err *e)
{
	const char *sql = dry_run ? u->count : u->apply;
	enum rc rc = RC_OK;

	if (!u->by_month)
		return one(c, sql, dry_run, before_us, SLICE(""), n, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(months); i++)
		rc = one(c, sql, dry_run, before_us, pg_text(months, i, 0), n, e);
	return rc;
}

static enum rc tell(
	struct pg *c, const char *actor, int64_t now_us, struct buf *lines, struct err *e)
{
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "retention", buf_slice(lines), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc retention_run(struct pg *c, const struct conf *conf, const char *actor, int64_t now_us,
	bool dry_run, struct buf *out, struct err *e)
{
	static const char months_sql[] =
		"SELECT to_date(right(k.relname, 6), 'YYYYMM')::text FROM pg_inherits i JOIN "
		"pg_class k"
		" ON k.oid = i.inhrelid WHERE i.inhparent = 'report'::regclass"
		" AND k.relname ~ '^report_[0-9]{6}$' ORDER BY 1";
	OWN(pg_free) struct pg_result *months = NULL;
	enum rc rc = pg_run(c, months_sql, NULL, 0, &months, e);

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(rules); i++) {
		const struct rule *u = &rules[i];
		int64_t n = 0, term_s = u->term != NULL ? conf_int(conf, u->term) : 0;
		rc = run_rule(c, u, months, now_us - term_s * US_PER_S, dry_run, &n, e);
		if (rc == RC_OK)
			buf_fmt(out, "%s: %" PRId64 "\n", u->name, n);
	}
	return rc == RC_OK && !dry_run ? tell(c, actor, now_us, out, e) : rc;
}
