/* What is known of a sender: the summary for a list (sender_json) and the explanation back from the block to the reports (why_json). No
 * reporter and no message text is in either. All queries of one answer see the same state. */
#include "cases/rows.h"

#define SCRATCH_BYTES (1 << 16)
#define COLS(table) table, ARRAY_LEN(table)

static const char cases_sql[] =
	"SELECT id, kind, service, class, state, outcome, rung, peak_at, CASE "
	"WHEN sender = 0 THEN (SELECT"
	" count(*) FROM report r WHERE r.sender = 0 AND r.case_id = c.id) "
	"ELSE reports END, first_at,"
	" due_at, opened_at, closed_at FROM case_file c WHERE sender = $1"
	" AND (state = 'closed' OR (state <> 'closed' AND kind = 'reports')"
	" OR (state <> 'closed' AND kind <> 'reports')) /* three partial indexes */"
	" ORDER BY state = 'closed', opened_at DESC, id LIMIT 50";
static const struct col case_cols[] = {{"id", COL_TEXT}, {"kind", COL_TEXT},
	{"service", COL_SERVICE}, {"class", COL_CLASS}, {"state", COL_TEXT}, {"outcome", COL_TEXT},
	{"rung", COL_RUNG}, {"peak_at", COL_TIME}, {"reports", COL_INT}, {"first_at", COL_TIME},
	{"due_at", COL_TIME}, {"opened_at", COL_TIME}, {"closed_at", COL_TIME}};

static const char blocks_sql[] =
	"SELECT e.service, e.action, e.case_id, e.until, e.basis, e.origin, e.release, l.at, "
	"w.detail,"
	" w.decided_at FROM sender s JOIN entry e ON e.scope = s.scope AND e.value = s.value"
	" LEFT JOIN release l ON l.n = e.release"
	" LEFT JOIN wish w ON w.sender = e.sender AND w.service = e.service AND w.origin = e.origin"
	" WHERE s.id = $1 ORDER BY e.service";
static const struct col block_cols[] = {{"service", COL_SERVICE}, {"action", COL_TEXT},
	{"case", COL_TEXT}, {"until", COL_TIME}, {"basis", COL_TEXT}, {"origin", COL_TEXT},
	{"release", COL_INT}, {"released_at", COL_TIME}, {"detail", COL_TEXT},
	{"decided_at", COL_TIME}};

static const char held_sql[] =
	"SELECT service, origin, action, detail, reason, case_id, until, rung, score, first_at, "
	"decided_at"
	" FROM wish WHERE sender = $1 AND state = 'held' ORDER BY service, origin";
static const struct col held_cols[] = {{"service", COL_SERVICE}, {"origin", COL_TEXT},
	{"action", COL_TEXT}, {"detail", COL_TEXT}, {"reason", COL_WHY}, {"case", COL_TEXT},
	{"until", COL_TIME}, {"rung", COL_RUNG}, {"score", COL_REAL}, {"first_at", COL_TIME},
	{"decided_at", COL_TIME}};

/* Who provably holds the block, and since when at the latest: a proof of its release or a later one, of a copy that was right until now. */
static const char consumers_sql[] =
	"SELECT e.service, p.consumer, min(p.at), min(p.release), c.good_at FROM sender s"
	" JOIN entry e ON e.scope = s.scope AND e.value = s.value CROSS JOIN list_head h"
	" JOIN proof p ON p.list = h.list AND p.release >= e.release"
	" AND (p.service IS NULL OR p.service = e.service)"
	" JOIN consumer c ON c.name = p.consumer AND c.good AND c.list = h.list"
	" WHERE s.id = $1 GROUP BY 1, 2, 5 ORDER BY 1, 2 LIMIT 500";
static const struct col consumer_cols[] = {{"service", COL_SERVICE}, {"consumer", COL_TEXT},
	{"since", COL_TIME}, {"release", COL_INT}, {"proved_at", COL_TIME}};

/* listed: the strongest, which the block is of; others that are admitted come out from under it when it ends. */
static const char wishes_sql[] =
	"SELECT w.service, origin, state, EXISTS (SELECT FROM entry e WHERE e.scope = s.scope AND "
	"e.value = s.value AND e.service = w.service AND e.origin = w.origin),"
	" reason, action, detail, case_id, until, basis, rung, score, first_at, decided_at"
	" FROM wish w JOIN sender s ON s.id = w.sender WHERE w.sender = $1 ORDER BY w.service, "
	"origin";
static const struct col wish_cols[] = {{"service", COL_SERVICE}, {"origin", COL_TEXT},
	{"state", COL_TEXT}, {"listed", COL_BOOL}, {"reason", COL_WHY}, {"action", COL_TEXT},
	{"detail", COL_TEXT}, {"case", COL_TEXT}, {"until", COL_TIME}, {"basis", COL_TEXT},
	{"rung", COL_RUNG}, {"score", COL_REAL}, {"first_at", COL_TIME}, {"decided_at", COL_TIME}};

static const char actions_sql[] =
	"SELECT case_id, service, class, origin, rung, action, decided_at, until, state, reason, "
	"basis,"
	" reporters, matched, score, terms, rules, policy, recorded_at FROM action WHERE sender = "
	"$1"
	" AND service IN (0, 1) ORDER BY decided_at DESC, id DESC LIMIT 20";
static const struct col action_cols[] = {{"case", COL_TEXT}, {"service", COL_SERVICE},
	{"class", COL_CLASS}, {"origin", COL_TEXT}, {"rung", COL_RUNG}, {"action", COL_TEXT},
	{"decided_at", COL_TIME}, {"until", COL_TIME}, {"state", COL_TEXT}, {"reason", COL_WHY},
	{"basis", COL_TEXT}, {"reporters", COL_INT}, {"matched", COL_INT}, {"score", COL_REAL},
	{"terms", COL_JSON}, {"rules", COL_TEXT}, {"policy", COL_TEXT}, {"recorded_at", COL_TIME}};

static const char scores_sql[] = "SELECT service, score, as_of, terms, votes, floor, rules, policy "
				 "FROM standing WHERE sender = $1"
				 " ORDER BY service";
static const struct col score_cols[] = {{"service", COL_SERVICE}, {"score", COL_REAL},
	{"as_of", COL_TIME}, {"terms", COL_JSON}, {"votes", COL_INT}, {"floor", COL_TIME},
	{"rules", COL_TEXT}, {"policy", COL_TEXT}};

static const char votes_sql[] =
	"SELECT service, CASE WHEN scam THEN 1 ELSE 0 END, count(*) FILTER (WHERE weight > 0),"
	" count(*) FILTER (WHERE weight = 0), count(DISTINCT reporter) FILTER (WHERE weight > 0),"
	" count(DISTINCT reporter) FILTER (WHERE verified_at IS NOT NULL),"
	" count(DISTINCT reporter) FILTER (WHERE yes_at IS NOT NULL),"
	" count(DISTINCT reporter) FILTER (WHERE spoof_at IS NOT NULL), min(day), max(day)"
	" FROM vote WHERE sender = $1 GROUP BY 1, 2 ORDER BY 1, 2";
static const struct col vote_cols[] = {{"service", COL_SERVICE}, {"class", COL_CLASS},
	{"votes", COL_INT}, {"weightless", COL_INT}, {"reporters", COL_INT}, {"verified", COL_INT},
	{"matched", COL_INT}, {"spoofed", COL_INT}, {"first_day", COL_TEXT},
	{"last_day", COL_TEXT}};

static const char reports_sql[] =
	"SELECT report_id, service, kind, channel, class, received_at, occurred_at, disposition, "
	"reason,"
	" weight, merged, matched, origin, verified, label, text_score, terms, rules, category, "
	"case_id"
	" FROM report WHERE sender = $1 ORDER BY received_at DESC, id_hash LIMIT 20";
static const struct col report_cols[] = {{"report_id", COL_TEXT}, {"service", COL_SERVICE},
	{"kind", COL_KIND}, {"channel", COL_CHANNEL}, {"class", COL_CLASS},
	{"received_at", COL_TIME}, {"occurred_at", COL_TIME}, {"disposition", COL_DISPOSITION},
	{"reason", COL_WHY}, {"weight", COL_REAL}, {"merged", COL_BOOL}, {"matched", COL_MATCHED},
	{"origin", COL_ORIGIN}, {"reporter_verified", COL_BOOL}, {"label", COL_LABEL},
	{"text_score", COL_REAL}, {"terms", COL_JSON}, {"rules", COL_TEXT}, {"category", COL_TEXT},
	{"case", COL_TEXT}};

static const char protected_sql[] = "SELECT x.owner, x.reason, x.until, x.service, x.origin, "
				    "x.low, x.high FROM sender s JOIN protected x"
				    " ON x.scope = s.scope AND s.value BETWEEN x.low AND x.high "
				    "AND length(x.low) = length(s.value)"
				    " WHERE s.id = $1 AND (x.until IS NULL OR x.until > "
				    "$2::timestamptz) ORDER BY x.low, x.id LIMIT 10";
static const struct col protected_cols[] = {{"owner", COL_TEXT}, {"reason", COL_TEXT},
	{"until", COL_TIME}, {"service", COL_SERVICE}, {"origin", COL_TEXT}, {"low", COL_TEXT},
	{"high", COL_TEXT}};

static const char campaigns_sql[] = "SELECT campaign_name(c.name), y.service, c.texts, c.reports, "
				    "c.reporters, c.senders, c.level,"
				    " c.oversized FROM (SELECT DISTINCT t.campaign, s.service FROM "
				    "(SELECT DISTINCT text, service "
				    "FROM campaign_say WHERE sender = $1 LIMIT 1000) s JOIN "
				    "campaign_text t ON t.key = s.text) y"
				    " JOIN campaign c ON c.id = y.campaign ORDER BY c.level DESC, "
				    "c.reports DESC, c.id LIMIT 20";
static const struct col campaign_cols[] = {{"campaign", COL_TEXT}, {"service", COL_SERVICE},
	{"texts", COL_INT}, {"reports", COL_INT}, {"reporters", COL_INT}, {"senders", COL_INT},
	{"level", COL_INT}, {"oversized", COL_BOOL}};

static const char signals_sql[] =
	"SELECT service, campaign, behaviour, poll, to_timestamp(campaign_at / 1e6),"
	" to_timestamp(behaviour_at / 1e6), to_timestamp(poll_at / 1e6) FROM signal WHERE sender = "
	"$1"
	" ORDER BY service";
static const struct col signal_cols[] = {{"service", COL_SERVICE}, {"campaign", COL_INT},
	{"behaviour", COL_REAL}, {"poll", COL_REAL}, {"campaign_leg_at", COL_TIME},
	{"behaviour_leg_at", COL_TIME}, {"poll_leg_at", COL_TIME}};

/* ---- the parts that are not rows ---- */

static void identity_json(struct buf *out, const struct sender *s, const struct sender_row *row)
{
	buf_fmt(out, "\"scope\":\"%s\",\"value\":", scope_name(s->scope));
	buf_json(out, slice_str(s->value));
	buf_fmt(out, ",\"attribution\":\"%s\",\"carrier\":", row->attribution);
	buf_json(out, slice_str(row->carrier));
	buf_fmt(out, ",\"attributed_by\":\"%s\",\"number_class\":",
		row->by_table ? "portability table" : "number plan");
	buf_json(out, slice_str(row->cls));
}

/* The higher of both services' scores stands for the sender. */
static enum rc score_json(struct pg *c, const struct pg_param *id, struct buf *out, struct err *e)
{
	static const char sql[] = "SELECT score, as_of FROM standing WHERE sender = $1"
				  " ORDER BY score DESC, as_of DESC LIMIT 1";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, id, 1, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0) {
		buf_fmt(out, "\"score\":0,\"as_of\":null");
		return RC_OK;
	}
	buf_fmt(out, "\"score\":%.6g,\"as_of\":", pg_real(r, 0, 0));
	json_time(out, pg_time_us(r, 0, 1));
	return RC_OK;
}

static enum rc vote_counts_json(
	struct pg *c, const struct pg_param *id, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT service, scam, count(*) FROM vote WHERE sender = $1 AND weight > 0"
		" GROUP BY 1, 2";
	OWN(pg_free) struct pg_result *r = NULL;
	int64_t n[SERVICES][CLASSES] = {{0}};
	enum rc rc = pg_run(c, sql, id, 1, &r, e);

	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < pg_rows(r); i++)
		n[pg_int(r, i, 0) == SERVICE_VOICE][pg_bool(r, i, 1)] = pg_int(r, i, 2);
	buf_fmt(out,
		"\"votes\":{\"sms\":{\"nuisance\":%lld,\"scam\":%lld},\"voice\":{\"nuisance\":%lld,"
		"\"scam\":%lld}}",
		(long long)n[0][0], (long long)n[0][1], (long long)n[1][0], (long long)n[1][1]);
	return RC_OK;
}

/* One consistent state for all queries of an answer. */
static enum rc begin_reading(struct pg *c, struct err *e)
{
	return pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
}

static enum rc end_reading(struct pg *c, enum rc rc, const struct buf *out, struct err *e)
{
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	return buf_fits(out, e);
}

static enum rc summary(struct pg *c, const struct sender *s, int64_t now_us, struct arena *a,
	struct buf *out, struct err *e)
{
	struct sender_row row;
	enum rc rc = sender_find(c, s, &row, a, e);

	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {pg_p_int(row.id, a), pg_p_time(now_us, a)};
	buf_byte(out, '{');
	identity_json(out, s, &row);
	buf_byte(out, ',');
	rc = score_json(c, p, out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = vote_counts_json(c, p, out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(c, cases_sql, p, 1, "cases", COLS(case_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(c, blocks_sql, p, 1, "blocks", COLS(block_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(c, held_sql, p, 1, "held", COLS(held_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(c, protected_sql, p, 2, "protected", COLS(protected_cols), out, e);
	buf_byte(out, '}');
	return rc;
}

enum rc sender_json(
	struct pg *c, const struct sender *s, int64_t now_us, struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	enum rc rc = a != NULL ? begin_reading(c, e) : err_set(e, RC_RETRY, "out of memory");

	if (rc == RC_OK)
		rc = summary(c, s, now_us, a, out, e);
	return end_reading(c, rc, out, e);
}

/* ---- why ---- */

/* The sections in the order in which one asks: is it blocked, why, since when, on what grounds, from whom nobody learns. */
static const struct section {
	const char *name, *sql;
	int params;
	const struct col *cols;
	size_t n;
} sections[] = {
	{"blocks", blocks_sql, 1, COLS(block_cols)},
	{"consumers", consumers_sql, 1, COLS(consumer_cols)},
	{"held", held_sql, 1, COLS(held_cols)},
	{"protected", protected_sql, 2, COLS(protected_cols)},
	{"wishes", wishes_sql, 1, COLS(wish_cols)},
	{"actions", actions_sql, 1, COLS(action_cols)},
	{"cases", cases_sql, 1, COLS(case_cols)},
	{"scores", scores_sql, 1, COLS(score_cols)},
	{"votes", votes_sql, 1, COLS(vote_cols)},
	{"reports", reports_sql, 1, COLS(report_cols)},
	{"evidence", evidence_of_sender_sql, 1, evidence_cols, EVIDENCE_COLS},
	{"campaigns", campaigns_sql, 1, COLS(campaign_cols)},
	{"signals", signals_sql, 1, COLS(signal_cols)},
};

static enum rc explain(struct pg *c, const struct sender *s, int64_t now_us, struct arena *a,
	struct buf *out, struct err *e)
{
	struct sender_row row;
	enum rc rc = sender_find(c, s, &row, a, e);

	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {pg_p_int(row.id, a), pg_p_time(now_us, a)};
	buf_fmt(out, "{\"sender\":{");
	identity_json(out, s, &row);
	buf_fmt(out, "},\"at\":");
	json_time(out, now_us);
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(sections); i++) {
		const struct section *x = &sections[i];

		buf_byte(out, ',');
		rc = query_json(c, x->sql, p, x->params, x->name, x->cols, x->n, out, e);
	}
	buf_byte(out, '}');
	return rc;
}

enum rc why_json(
	struct pg *c, const struct sender *s, int64_t now_us, struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	enum rc rc = a != NULL ? begin_reading(c, e) : err_set(e, RC_RETRY, "out of memory");

	if (rc == RC_OK)
		rc = explain(c, s, now_us, a, out, e);
	return end_reading(c, rc, out, e);
}
