/* One report with everything that was answered about it, and the figures of the whole ledger. Leaves out the reporter and the text. */
#include "cases/rows.h"

#define SCRATCH_BYTES (1 << 16)
#define COLS(table) table, ARRAY_LEN(table)

static const char report_sql[] =
	"SELECT r.report_id, r.disposition, r.reason, r.kind, r.service, r.class, r.channel, "
	"s.scope,"
	" CASE WHEN s.id <> 0 THEN s.value END, nullif(r.hint, ''), r.weight, r.merged, r.case_id,"
	" r.received_at, r.occurred_at, r.stored_at, r.verified, r.matched, r.origin, r.duration_s,"
	" nullif(r.label, 0), r.text_score, r.terms, r.rules, nullif(r.category, ''),"
	" length(r.content) > 4096"
	" FROM report_key k JOIN report r ON r.id_hash = k.id_hash AND r.stored_month = "
	"k.stored_month"
	" JOIN sender s ON s.id = r.sender WHERE k.id_hash = $1";
static const struct col report_cols[] = {{"report_id", COL_TEXT}, {"disposition", COL_DISPOSITION},
	{"reason", COL_WHY}, {"kind", COL_KIND}, {"service", COL_SERVICE}, {"class", COL_CLASS},
	{"channel", COL_CHANNEL}, {"scope", COL_TEXT}, {"sender", COL_TEXT}, {"hint", COL_TEXT},
	{"vote_weight", COL_REAL}, {"merged", COL_BOOL}, {"case", COL_TEXT},
	{"received_at", COL_TIME}, {"occurred_at", COL_TIME}, {"stored_at", COL_TIME},
	{"reporter_verified", COL_BOOL}, {"matched", COL_MATCHED}, {"origin", COL_ORIGIN},
	{"duration_s", COL_INT}, {"label", COL_LABEL}, {"text_score", COL_REAL},
	{"terms", COL_JSON}, {"rules", COL_TEXT}, {"category", COL_TEXT},
	{"content_cut", COL_BOOL}}; /* only its first BOUND_CONTENT bytes were judged */
_Static_assert(BOUND_CONTENT == 4096, "as the query has it");

/* Of a record that was never understood, or lost its id to another, only the place and the cause are known. */
static const char quarantined_sql[] = "SELECT report_id, 4, reason, NULL, NULL, NULL, NULL, NULL, "
				      "NULL, NULL, NULL, NULL, topic, part,"
				      " \"offset\", at, detail, state FROM quarantine WHERE "
				      "report_id = $1 ORDER BY at DESC LIMIT 1";
static const struct col quarantined_cols[] = {{"report_id", COL_TEXT},
	{"disposition", COL_DISPOSITION}, {"reason", COL_WHY}, {"kind", COL_KIND},
	{"service", COL_SERVICE}, {"class", COL_CLASS}, {"channel", COL_CHANNEL},
	{"scope", COL_TEXT}, {"sender", COL_TEXT}, {"vote_weight", COL_REAL}, {"merged", COL_BOOL},
	{"case", COL_TEXT}, {"topic", COL_TEXT}, {"partition", COL_INT}, {"offset", COL_INT},
	{"stored_at", COL_TIME}, {"detail", COL_TEXT}, {"quarantine", COL_TEXT}};

/* Every outcome that was sent: the report's own, those of quarantined records of the id, and later ones; of duplicates the newest, with how
 * many there were. */
static const char outcomes_sql[] =
	"SELECT k.claimed, CASE r.disposition WHEN 0 THEN CASE WHEN r.merged THEN 'merged' ELSE "
	"'accepted' END"
	" WHEN 1 THEN 'rejected' ELSE 'forwarded' END, r.stored_at,"
	" CASE r.disposition WHEN 3 THEN 'registry' ELSE r.reason END, 1 FROM report_key k JOIN "
	"report r"
	" ON r.id_hash = k.id_hash AND r.stored_month = k.stored_month WHERE k.id_hash = $1"
	" UNION ALL SELECT seq, 'quarantined', at, reason, 1 FROM quarantine WHERE report_id = $2 "
	"AND "
	"seq > 0"
	" UNION ALL SELECT seq, status, at, reason, times FROM outcome WHERE id_hash = $1 ORDER BY "
	"1";
static const struct col outcome_cols[] = {{"seq", COL_INT}, {"status", COL_TEXT}, {"at", COL_TIME},
	{"reason", COL_TEXT}, {"times", COL_INT}};

/* Appends the object without its end. */
static enum rc open_object(struct pg *c, const char *sql, const struct pg_param *key,
	const struct col *cols, size_t n, struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, key, 1, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return RC_NONE;
	row_json(out, r, 0, cols, n);
	if (!out->failed)
		out->len--;
	return RC_OK;
}

static enum rc report_object(
	struct pg *c, const struct pg_param p[2], struct buf *out, struct err *e)
{
	enum rc rc = open_object(c, report_sql, &p[0], COLS(report_cols), out, e);

	if (rc == RC_NONE)
		rc = open_object(c, quarantined_sql, &p[1], COLS(quarantined_cols), out, e);
	if (rc == RC_NONE)
		return err_set(e, RC_NONE, "there is no report with this id");
	if (rc != RC_OK)
		return rc;
	buf_byte(out, ',');
	rc = query_json(c, outcomes_sql, p, 2, "outcomes", COLS(outcome_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(c, evidence_of_report_sql, p, 1, "evidence", evidence_cols,
			EVIDENCE_COLS, out, e);
	buf_byte(out, '}');
	return rc;
}

enum rc report_json(
	struct pg *c, const struct keys *k, struct slice report_id, struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	uint8_t hash[MAC_LEN];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (report_id.len == 0 || report_id.len > BOUND_REPORT_ID || !slice_utf8_valid(report_id))
		return err_set(e, RC_NONE, "there is no report with this id");
	keys_mac(k, "report_id", report_id, hash);
	struct pg_param p[] = {
		pg_p_bytes(slice_of((const char *)hash, MAC_LEN)), pg_p_text(report_id, a)};
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc == RC_OK)
		rc = report_object(c, p, out, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc == RC_OK ? buf_fits(out, e) : rc;
}

/* ---- figures ---- */

static const char totals_sql[] =
	"SELECT coalesce(sum(records), 0), coalesce(sum(accepted), 0), coalesce(sum(rejected), 0),"
	" coalesce(sum(duplicates), 0), coalesce(sum(routed), 0), coalesce(sum(quarantined), 0),"
	" coalesce(sum(missing), 0) FROM conservation";
static const struct col total_cols[] = {{"records", COL_INT}, {"accepted", COL_INT},
	{"rejected", COL_INT}, {"duplicates", COL_INT}, {"routed", COL_INT},
	{"quarantined", COL_INT}, {"missing", COL_INT}};

static const char parts_sql[] = "SELECT source, topic, part, owner, epoch, next_offset, records, "
				"accepted, rejected, duplicates,"
				" routed, quarantined, attempts, nullif(stopped, '') FROM part "
				"ORDER BY source, topic, part";
static const struct col part_cols[] = {{"source", COL_TEXT}, {"topic", COL_TEXT},
	{"partition", COL_INT}, {"owner", COL_TEXT}, {"epoch", COL_INT}, {"next_offset", COL_INT},
	{"records", COL_INT}, {"accepted", COL_INT}, {"rejected", COL_INT}, {"duplicates", COL_INT},
	{"routed", COL_INT}, {"quarantined", COL_INT}, {"attempts", COL_INT},
	{"stopped", COL_TEXT}};

static const char case_counts_sql[] =
	"SELECT service, class, state, count(*), count(*) FILTER (WHERE due_at < $1::timestamptz"
	" AND state IN ('open', 'verifying', 'held')), min(due_at)"
	" FILTER (WHERE state IN ('open', 'verifying', 'held'))"
	" FROM case_file WHERE state <> 'closed' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
static const struct col case_count_cols[] = {{"service", COL_SERVICE}, {"class", COL_CLASS},
	{"state", COL_TEXT}, {"cases", COL_INT}, {"overdue", COL_INT}, {"next_due_at", COL_TIME}};

static const char wish_counts_sql[] =
	"SELECT state, nullif(reason, ''), count(*) FROM wish GROUP BY 1, 2 ORDER BY 1, 2";
static const struct col wish_count_cols[] = {
	{"state", COL_TEXT}, {"reason", COL_WHY}, {"wishes", COL_INT}};

static const char list_sql[] =
	"SELECT list, release, count, encode(digest, 'hex'), at FROM list_head";
static const struct col list_cols[] = {{"list", COL_TEXT}, {"release", COL_INT}, {"count", COL_INT},
	{"digest", COL_TEXT}, {"at", COL_TIME}};

static const char control_sql[] =
	"SELECT k.generation, k.mode, k.kill_switch, p.version, r.version, m.version, "
	"k.activated_at, "
	"k.activated_by"
	" FROM control k JOIN artifact p ON p.hash = k.policy JOIN artifact r ON r.hash = k.rules"
	" LEFT JOIN artifact m ON m.hash = k.model";
static const struct col control_cols[] = {{"generation", COL_INT}, {"mode", COL_TEXT},
	{"kill_switch", COL_BOOL}, {"policy", COL_TEXT}, {"rules", COL_TEXT}, {"model", COL_TEXT},
	{"activated_at", COL_TIME}, {"activated_by", COL_TEXT}};

static const char backlog_sql[] =
	"SELECT (SELECT count(*) FROM dirty), (SELECT coalesce(sum(messages), 0) FROM outbox),"
	" (SELECT count(*) FROM audit_pending), (SELECT count(*) FROM quarantine WHERE state = "
	"'open'),"
	" (SELECT count(*) FROM part_gap)";
static const struct col backlog_cols[] = {{"dirty_keys", COL_INT}, {"outbox_messages", COL_INT},
	{"audit_rows", COL_INT}, {"quarantine_open", COL_INT}, {"offset_gaps", COL_INT}};

static enum rc stats(struct pg *c, int64_t now_us, struct arena *a, struct buf *out, struct err *e)
{
	struct pg_param now = pg_p_time(now_us, a);
	enum rc rc;

	buf_fmt(out, "{\"at\":");
	json_time(out, now_us);
	buf_byte(out, ',');
	rc = query_one_json(c, totals_sql, NULL, 0, "totals", COLS(total_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(c, parts_sql, NULL, 0, "partitions", COLS(part_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(
			c, case_counts_sql, &now, 1, "cases", COLS(case_count_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_json(
			c, wish_counts_sql, NULL, 0, "wishes", COLS(wish_count_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_one_json(c, list_sql, NULL, 0, "list", COLS(list_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_one_json(c, control_sql, NULL, 0, "control", COLS(control_cols), out, e);
	buf_byte(out, ',');
	if (rc == RC_OK)
		rc = query_one_json(c, backlog_sql, NULL, 0, "backlog", COLS(backlog_cols), out, e);
	buf_byte(out, '}');
	return rc;
}

enum rc stats_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc == RC_OK)
		rc = stats(c, now_us, a, out, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc == RC_OK ? buf_fits(out, e) : rc;
}
