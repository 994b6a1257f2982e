/* Campaigns and evidence for people: the list, one campaign with its members, what people decide about it. No reporter and no text is in any answer; numbers,
 * accounts and handles that texts name are masked. */
#include "cases/glean.h"

#define SCRATCH_BYTES (1 << 16)
#define COLS(table) table, ARRAY_LEN(table)
#define AT(us) "to_timestamp(" us " / 1e6)"

#define CAMPAIGN_COLUMNS                                                                           \
	"campaign_name(c.name), c.texts, c.reports, c.reporters, c.senders, c.level, "             \
	"c.oversized, " AT("c.first_at") ", " AT(                                                  \
		"c.last_at") ", (SELECT CASE WHEN count(t.upheld_at)"                              \
			     " > 0 THEN 'upheld' WHEN count(t.dismissed_at) > 0 THEN 'dismissed' " \
			     "ELSE 'open' END FROM"                                                \
			     " campaign_text t WHERE t.campaign = c.id), (SELECT count(*) FROM "   \
			     "campaign_text t WHERE"                                               \
			     " t.campaign = c.id AND t.upheld_at IS NULL AND t.dismissed_at IS "   \
			     "NULL)"
static const struct col campaign_cols[] = {{"campaign", COL_TEXT}, {"texts", COL_INT},
	{"reports", COL_INT}, {"reporters", COL_INT}, {"senders", COL_INT}, {"level", COL_INT},
	{"oversized", COL_BOOL}, {"first_at", COL_TIME}, {"last_at", COL_TIME}, {"state", COL_TEXT},
	{"undecided_texts", COL_INT}};

static const char texts_sql[] = "SELECT campaign_name(t.fingerprint), t.reports, " AT(
	"t.first_at") ", " AT("t.last_at") ","
					   " CASE WHEN t.upheld_at IS NOT NULL THEN 'upheld' WHEN "
					   "t.dismissed_at IS NOT NULL THEN "
					   "'dismissed' ELSE 'open' END FROM campaign_text t WHERE "
					   "t.campaign = $1"
					   " ORDER BY t.reports DESC, t.key LIMIT 100";
static const struct col text_cols[] = {{"fingerprint", COL_TEXT}, {"reports", COL_INT},
	{"first_at", COL_TIME}, {"last_at", COL_TIME}, {"state", COL_TEXT}};

static const char senders_sql[] =
	"SELECT n.scope, n.value, s.service, sum(s.reports), count(DISTINCT "
	"s.reporter), " AT("min(s.first_at)") ", " AT(
		"max(s.last_at)") " FROM campaign_text t JOIN campaign_say s"
				  " ON s.text = t.key JOIN sender n ON n.id = s.sender "
				  "WHERE t.campaign = $1"
				  " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 500";
static const struct col sender_cols[] = {{"scope", COL_TEXT}, {"value", COL_TEXT},
	{"service", COL_SERVICE}, {"reports", COL_INT}, {"reporters", COL_INT},
	{"first_at", COL_TIME}, {"last_at", COL_TIME}};

static const char spread_sql[] =
	"SELECT to_char(" AT("s.first_at") " AT TIME ZONE INTERVAL '7 hours', 'YYYY-MM-DD'),"
					   " count(*), count(DISTINCT s.sender), count(DISTINCT "
					   "s.reporter) FROM campaign_text t"
					   " JOIN campaign_say s ON s.text = t.key WHERE "
					   "t.campaign = $1 GROUP BY 1 ORDER BY 1 DESC "
					   "LIMIT 60";
static const struct col spread_cols[] = {
	{"day", COL_TEXT}, {"new_pairs", COL_INT}, {"senders", COL_INT}, {"reporters", COL_INT}};

#define KIND_NAMES "(ARRAY['domain', 'url', 'phone', 'account', 'handle'])[v.kind + 1]"
#define EVIDENCE_COLUMNS                                                                           \
	KIND_NAMES ", v.shown, v.reports, v.reporters, v.senders, " AT("v.first_at") ", " AT(      \
		"v.last_at") ", array_to_json(ARRAY(SELECT f.name FROM (VALUES (1, 'shortener'), " \
			     "(2,"                                                                 \
			     " 'lookalike'), (4, 'abused_tld'), (8, 'hidden'), (16, "              \
			     "'ip_address')) f(bit, name)"                                         \
			     " WHERE v.flags & f.bit <> 0 ORDER BY f.bit))::text"
const struct col evidence_cols[EVIDENCE_COLS] = {{"kind", COL_TEXT}, {"value", COL_TEXT},
	{"reports", COL_INT}, {"reporters", COL_INT}, {"senders", COL_INT}, {"first_at", COL_TIME},
	{"last_at", COL_TIME}, {"flags", COL_JSON}};
const char evidence_of_sender_sql[] =
	"SELECT " EVIDENCE_COLUMNS
	" FROM (SELECT DISTINCT evidence FROM evidence_seen WHERE sender "
	"= $1 LIMIT 1000) s JOIN evidence v ON v.id = s.evidence ORDER BY v.last_at DESC, v.id "
	"LIMIT 50";
const char evidence_of_report_sql[] =
	"SELECT " EVIDENCE_COLUMNS " FROM evidence_report r JOIN evidence v ON v.id = r.evidence"
	" WHERE r.id_hash = $1 ORDER BY v.kind, v.id";
static const char evidence_of_campaign_sql[] =
	"SELECT " EVIDENCE_COLUMNS
	" FROM (SELECT DISTINCT e.evidence FROM (SELECT DISTINCT s.sender,"
	" s.reporter FROM campaign_text t JOIN campaign_say s ON s.text = t.key WHERE t.campaign = "
	"$1"
	" LIMIT 1000) w JOIN evidence_seen e ON e.sender = w.sender AND e.reporter = w.reporter "
	"LIMIT "
	"1000) s JOIN evidence v ON v.id = s.evidence ORDER BY v.reports DESC, v.id LIMIT 50";

enum rc campaigns_json(struct pg *c, int64_t before_at, int64_t before_id, int64_t limit,
	struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT " CAMPAIGN_COLUMNS ", c.last_at, c.id FROM campaign c WHERE c.reports >= 2"
		" AND (c.last_at, c.id) < ($1, $2) ORDER BY c.last_at DESC, c.id DESC LIMIT $3";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_int(before_at, a), pg_p_int(before_id, a), pg_p_int(limit, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	int n = pg_rows(r), last = (int)ARRAY_LEN(campaign_cols);
	buf_fmt(out, "{\"campaigns\":");
	rows_json(out, r, COLS(campaign_cols));
	if (n == limit)
		buf_fmt(out, ",\"cursor\":\"%lld.%lld\"}", (long long)pg_int(r, n - 1, last),
			(long long)pg_int(r, n - 1, last + 1));
	else
		buf_fmt(out, ",\"cursor\":null}");
	return buf_fits(out, e);
}

/* The campaign of any text with this fingerprint. */
static enum rc find(struct pg *c, uint64_t fingerprint, struct arena *a, int64_t *id, struct err *e)
{
	static const char sql[] = "SELECT campaign FROM campaign_text WHERE fingerprint = $1 AND "
				  "campaign IS NOT NULL LIMIT 1";
	struct pg_param p[] = {pg_p_int((int64_t)fingerprint, a)};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, 1, &r, e);

	if (rc == RC_OK && pg_rows(r) == 0)
		return err_set(e, RC_NONE, "no campaign has a text with this fingerprint");
	if (rc == RC_OK)
		*id = pg_int(r, 0, 0);
	return rc;
}

static enum rc read_one(struct pg *c, uint64_t fingerprint, struct buf *out, struct err *e)
{
	static const struct {
		const char *name, *sql;
		const struct col *cols;
		size_t n;
	} parts[] = {{"texts_shown", texts_sql, COLS(text_cols)},
		{"senders_shown", senders_sql, COLS(sender_cols)},
		{"spread", spread_sql, COLS(spread_cols)},
		{"evidence", evidence_of_campaign_sql, evidence_cols, EVIDENCE_COLS}};
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	int64_t id = 0;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = find(c, fingerprint, a, &id, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {pg_p_int(id, a)};
	buf_byte(out, '{');
	rc = query_one_json(c, "SELECT " CAMPAIGN_COLUMNS " FROM campaign c WHERE c.id = $1", p, 1,
		"campaign", COLS(campaign_cols), out, e);
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(parts); i++) {
		buf_byte(out, ',');
		rc = query_json(
			c, parts[i].sql, p, 1, parts[i].name, parts[i].cols, parts[i].n, out, e);
	}
	buf_byte(out, '}');
	return rc;
}

enum rc campaign_json(struct pg *c, uint64_t fingerprint, struct buf *out, struct err *e)
{
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);

	if (rc == RC_OK)
		rc = read_one(c, fingerprint, out, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc == RC_OK ? buf_fits(out, e) : rc;
}

/* ---- what people decide ---- */

/* It is said of the texts that are members now: what joins later is nobody's word yet. Senders whom they were carried for are judged again. */
static enum rc decide(struct pg *c, uint64_t fingerprint, const char *state, const char *why,
	const char *actor, int64_t now_us, int64_t *texts, struct err *e)
{
	static const char sql[] =
		"WITH t AS (UPDATE campaign_text SET upheld_at = CASE WHEN $2 = 'upheld' THEN"
		" coalesce(upheld_at, $3::timestamptz) END, dismissed_at = CASE WHEN $2 = "
		"'dismissed'"
		" THEN coalesce(dismissed_at, $3::timestamptz) END, decided_by = $4 WHERE campaign "
		"= $1"
		" RETURNING key), r AS (INSERT INTO rejudge (sender, service) SELECT DISTINCT "
		"s.sender,"
		" s.service FROM t JOIN campaign_say s ON s.text = t.key) SELECT count(*) FROM t";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;
	int64_t id = 0;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = pg_run(c, "SELECT pg_advisory_xact_lock(461263627632)", NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = find(c, fingerprint, a, &id, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {
		pg_p_int(id, a), pg_p_str(state), pg_p_time(now_us, a), pg_p_str(actor)};
	rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	*texts = pg_int(r, 0, 0);
	const char *line = arena_fmt(a, "campaign %016llx %s texts=%lld why=\"%s\"\n",
		(unsigned long long)fingerprint, state, (long long)*texts, why);
	return audit_append(
		c, now_us, actor, "campaign.decide", slice_str(line != NULL ? line : ""), e);
}

enum rc campaign_decide(struct pg *c, uint64_t fingerprint, const char *state, const char *why,
	const char *actor, int64_t now_us, int64_t *texts, struct err *e)
{
	if (strcmp(state, "upheld") != 0 && strcmp(state, "dismissed") != 0 &&
		strcmp(state, "open") != 0)
		return err_set(e, RC_INVALID, "state must be upheld, dismissed or open");
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = decide(c, fingerprint, state, why, actor, now_us, texts, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

/* ---- rules ---- */

/* A case that people or the authority closed as upheld speaks for what fired on its reports, a lifted one or one without action against it. */
enum rc rules_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT x.name, x.shadow, count(*), count(*) FILTER (WHERE x.outcome = 'upheld'),"
		" count(*) FILTER (WHERE x.outcome IN ('lifted', 'no_action')), count(*) FILTER "
		"(WHERE"
		" x.outcome = 'upheld')::float8 / nullif(count(*) FILTER (WHERE x.outcome IN "
		"('upheld',"
		" 'lifted', 'no_action')), 0), max(x.received_at) FROM (SELECT t->>'name' AS name,"
		" coalesce((t->>'shadow')::boolean, false) AS shadow, r.received_at, k.outcome FROM"
		" (SELECT r.* FROM report r WHERE r.stored_month >= date_trunc('month', "
		"$1::timestamptz -"
		" interval '30 days')::date AND r.stored_at > $1::timestamptz - interval '30 days' "
		"AND"
		" r.disposition = 0 LIMIT 200000) r CROSS JOIN LATERAL "
		"json_array_elements(r.terms::json) t"
		" LEFT JOIN case_file k ON k.id = r.case_id AND k.state = 'closed') x"
		" GROUP BY 1, 2 ORDER BY 2 DESC, 3 DESC, 1 LIMIT 2000";
	static const struct col cols[] = {{"symbol", COL_TEXT}, {"shadow", COL_BOOL},
		{"hits", COL_INT}, {"upheld", COL_INT}, {"overturned", COL_INT},
		{"precision", COL_REAL}, {"last_hit_at", COL_TIME}};
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a)};
	buf_byte(out, '{');
	enum rc rc = query_json(c, sql, p, 1, "rules", COLS(cols), out, e);
	buf_byte(out, '}');
	return rc == RC_OK ? buf_fits(out, e) : rc;
}
