/* What people read before they decide: one case with its history, the queue with what an analyst searches by, a case's reports. One statement makes
 * each answer. Leaves out who may read it, and noting that they did. */
#include <stdio.h>

#include "cases/rows.h"

enum rc read_value(struct pg *c, const char *sql, const struct pg_param *p, int n, struct buf *out,
	struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, n, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0 || pg_null(r, 0, 0))
		return err_set(e, RC_NONE, "there is no such thing");
	buf_add(out, pg_text(r, 0, 0));
	return buf_fits(out, e);
}

enum rc read_page(struct pg *c, const char *sql, const struct pg_param *p, int n, int64_t limit,
	struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, n, &r, e);

	if (rc != RC_OK)
		return rc;
	int rows = pg_rows(r) > limit ? (int)limit : pg_rows(r);
	buf_fmt(out, "{\"items\":[");
	for (int i = 0; i < rows; i++) {
		if (i > 0)
			buf_byte(out, ',');
		buf_add(out, pg_text(r, i, 0));
	}
	buf_fmt(out, "],\"next\":");
	if (rows > 0 && pg_rows(r) > rows)
		buf_json(out, pg_text(r, rows - 1, 1));
	else
		buf_fmt(out, "null");
	buf_byte(out, '}');
	return buf_fits(out, e);
}

/* ---- one case ---- */

static const char case_sql[] =
	"SELECT (case_object(k, $2) || jsonb_build_object("
	"'blocks', coalesce((SELECT jsonb_agg(jsonb_build_object('origin', w.origin, 'action', "
	"w.action,"
	" 'detail', w.detail, 'state', w.state, 'reason', nullif(w.reason, ''), 'until', "
	"iso(w.until),"
	" 'basis', w.basis, 'decided_at', iso(w.decided_at)) ORDER BY w.origin) FROM wish w WHERE"
	" w.sender = k.sender AND w.service = k.service AND w.sender <> 0), '[]'::jsonb),"
	" 'actions', coalesce((SELECT jsonb_agg(x.o ORDER BY x.decided_at DESC, x.id DESC) FROM "
	"(SELECT"
	" a.decided_at, a.id, jsonb_build_object('origin', a.origin, 'action', a.action, 'rung', "
	"a.rung,"
	" 'state', a.state, 'reason', nullif(a.reason, ''), 'basis', a.basis, 'until', "
	"iso(a.until),"
	" 'decided_at', iso(a.decided_at), 'reporters', a.reporters, 'matched', a.matched, 'score',"
	" a.score, 'terms', a.terms::jsonb, 'rules', a.rules, 'policy', a.policy,"
	" 'executed_at', iso(a.executed_at), 'executed_by', a.executed_by) AS o FROM action "
	"a"
	" WHERE a.case_id = k.id ORDER BY a.decided_at DESC, a.id DESC LIMIT 50) x), '[]'::jsonb),"
	" 'appeals', coalesce((SELECT jsonb_agg(jsonb_build_object('opened_at', iso(p.opened_at),"
	" 'opened_by', p.opened_by, 'grounds', p.grounds, 'due_at', iso(p.due_at), 'decision',"
	" p.decision, 'decided_at', iso(p.decided_at), 'decided_by', p.decided_by, 'reason',"
	" nullif(p.reason, '')) ORDER BY p.id) FROM appeal p WHERE p.case_id = k.id), '[]'::jsonb),"
	" 'adverts', coalesce((SELECT jsonb_agg(jsonb_build_object('fact', f.fact, 'yes', f.yes,"
	" 'no', f.no, 'unknown', f.unknown, 'violates', f.violates, 'limit', nullif(f.limit_of,"
	" ''))) FROM advert_facts(k.id) f), '[]'::jsonb),"
	" 'merged', coalesce((SELECT jsonb_agg(m.id ORDER BY m.id) FROM case_file m"
	" WHERE m.merged_into = k.id), '[]'::jsonb),"
	" 'score', (SELECT jsonb_build_object('score', t.score, 'as_of', iso(t.as_of), 'terms',"
	" t.terms::jsonb, 'votes', t.votes, 'floor', iso(t.floor)) FROM standing t WHERE"
	" t.sender = k.sender AND t.service = k.service)))::text, k.version"
	" FROM case_file k WHERE k.id = $1";

enum rc case_read(struct pg *c, const char *id, int64_t now_us, struct buf *out, int64_t *version,
	struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 14);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_text(slice_str(id), a), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, case_sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "there is no case %s", id);
	buf_add(out, pg_text(r, 0, 0));
	*version = pg_int(r, 0, 1);
	return buf_fits(out, e);
}

/* ---- the queue ---- */

#define REPORT_OF " SELECT FROM report r WHERE r.sender = k.sender AND r.case_id = k.id AND "
#define PLAIN "fold_plain(r.content)"
static const char list_sql[] =
	"SELECT case_object(k, $1)::text, (extract(epoch FROM k.due_at) * 1000000)::bigint || '.' "
	"|| k.id"
	" FROM case_file k WHERE ($2::text[] IS NULL OR k.state = ANY($2::text[]))"
	" AND ($3::smallint IS NULL OR k.service = $3::smallint)"
	" AND ($4::smallint IS NULL OR k.class = $4::smallint)"
	" AND ($5::text IS NULL OR k.kind = $5::text) AND ($6::text IS NULL OR k.outcome = "
	"$6::text)"
	" AND ($7::text IS NULL OR k.assignee = $7::text)"
	" AND ($8::text IS NULL OR $8::text = CASE WHEN k.settled_at <= k.due_at THEN 'met'"
	" WHEN k.settled_at IS NOT NULL THEN 'late' WHEN k.state = 'closed' THEN 'ended'"
	" WHEN $1::timestamptz >= k.due_at THEN 'overdue' ELSE 'running' END)"
	" AND ($9::text IS NULL OR EXISTS (SELECT FROM sender s WHERE s.id = k.sender"
	" AND s.attribution = $9::text))"
	" AND ($18::bigint[] IS NULL OR k.sender = ANY($18::bigint[]))"
	" AND ($10::text IS NULL OR k.sender IN (SELECT s.id FROM sender s WHERE s.id <> 0"
	" AND position($10::text IN s.value) > 0))"
	" AND ($19::text[] IS NULL OR k.id = ANY($19::text[]))"
	" AND ($11::text IS NULL OR EXISTS (" REPORT_OF "position($11::text IN " PLAIN ") > 0))"
	" AND ($12::text IS NULL OR k.id IN (SELECT t.case_id FROM order_target t"
	" WHERE t.document_no = $12::text))"
	" AND ($13::timestamptz IS NULL OR k.first_at >= $13::timestamptz)"
	" AND ($14::timestamptz IS NULL OR k.first_at < $14::timestamptz)"
	" AND ($15::timestamptz IS NULL OR (k.due_at, k.id) > ($15::timestamptz, $16::text))"
	" ORDER BY k.due_at, k.id LIMIT $17";

static struct pg_param some(struct slice s, struct arena *a)
{
	return s.len > 0 ? pg_p_text(s, a) : pg_p_none();
}

/* What a search is narrowed to before the queue is looked at. Of `sender` and `text`, what the trigrams have found is empty here, and else walked. */
struct narrowed {
	struct slice sender, text, senders, cases;
};

/* More than this many, and the queue has enough of them soon. */
#define FOUND_MOST "2000"
#define LIKE(of) "'%' || regexp_replace(" of ", '([\\\\%_])', '\\\\\\1', 'g') || '%'"

/* $1: a piece of a value. */
static const char senders_sql[] =
	"SELECT $1::text, senders_like(" LIKE("$1::text") ", " FOUND_MOST ")::text";
/* $1: a piece of a text, of any writing. */
static const char texts_sql[] = "SELECT f.t, cases_with_text(" LIKE(
	"f.t") ", " FOUND_MOST ")::text FROM (SELECT fold_plain($1::bytea) AS t OFFSET 0) f";

static enum rc look_up(struct pg *c, const char *sql, struct pg_param what, struct slice *piece,
	struct slice *found, struct arena *a, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, &what, 1, &r, e);

	if (rc != RC_OK)
		return rc;
	bool walk = pg_null(r, 0, 1);
	*(walk ? piece : found) = arena_copy(a, pg_text(r, 0, walk ? 0 : 1));
	return (walk ? piece : found)->ptr != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");
}

static enum rc narrow(struct pg *c, const struct case_query *q, struct narrowed *out,
	struct arena *a, struct err *e)
{
	struct slice text = q->text.len > 0 ? q->text : q->domain;
	enum rc rc = RC_OK;

	*out = (struct narrowed){.sender = {.len = 0}};
	if (q->sender.len > 0)
		rc = look_up(
			c, senders_sql, pg_p_text(q->sender, a), &out->sender, &out->senders, a, e);
	if (rc == RC_OK && text.len > 0)
		rc = look_up(c, texts_sql, pg_p_bytes(text), &out->text, &out->cases, a, e);
	return rc;
}

enum rc case_list(struct pg *c, const struct case_query *q, int64_t now_us, struct arena *a,
	struct buf *out, struct err *e)
{
	struct slice rest = q->states, one;
	struct narrowed by;
	struct pg_array states;
	enum rc rc = narrow(c, q, &by, a, e);

	if (rc != RC_OK)
		return rc;
	pg_array_init(&states, PG_TEXT);
	while (slice_cut(&rest, ',', &one))
		pg_array_text(&states, one);
	struct pg_param p[] = {pg_p_time(now_us, a),
		states.count > 0 ? pg_p_array(&states) : pg_p_none(),
		q->service.len > 0 ? pg_p_int(slice_eq(q->service, SLICE("voice")), a)
				   : pg_p_none(),
		q->cls.len > 0 ? pg_p_int(slice_eq(q->cls, SLICE("scam")), a) : pg_p_none(),
		some(q->kind, a), some(q->outcome, a), some(q->assignee, a), some(q->clock, a),
		some(q->attribution, a), some(by.sender, a), some(by.text, a), some(q->order, a),
		pg_p_time(q->from, a), pg_p_time(q->to, a), pg_p_time(q->after_us, a),
		some(q->after_id, a), pg_p_int(q->limit + 1, a), some(by.senders, a),
		some(by.cases, a)};
	rc = read_page(c, list_sql, p, ARRAY_LEN(p), q->limit, out, e);
	pg_array_done(&states);
	return rc;
}

/* ---- a case's reports ---- */

/* Runs of four and more digits, also with blanks, dots and dashes between them, keep their first two. */
void text_hide(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len;) {
		size_t digits = 0, end = i, at = i;

		for (; at < text.len; at++) {
			char c = text.ptr[at];
			if (c >= '0' && c <= '9') {
				digits++;
				end = at + 1;
			} else if ((c != ' ' && c != '.' && c != '-') || digits == 0 || at > end) {
				break;
			}
		}
		if (digits < 4) {
			size_t step = end > i ? end - i : 1;
			buf_add(out, slice_of(text.ptr + i, step));
			i += step;
			continue;
		}
		for (size_t seen = 0; i < end; i++) {
			bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
			buf_byte(out, digit && seen >= 2 ? '*' : text.ptr[i]);
			seen += digit;
		}
	}
}

static const char reports_sql[] =
	"SELECT jsonb_build_object('report_id', r.report_id, 'case', r.case_id, 'received_at',"
	" iso(r.received_at), 'occurred_at', iso(r.occurred_at), 'weight', r.weight, 'merged', "
	"r.merged,"
	" 'verified', r.verified, 'category', nullif(r.category, ''), 'text_score', r.text_score,"
	" 'terms', CASE r.terms WHEN '' THEN '[]' ELSE r.terms END::jsonb, 'rules', r.rules)::text,"
	" (extract(epoch FROM r.received_at) * 1000000)::bigint || '.' ||"
	" encode(r.id_hash, 'hex'), r.content, r.kind, r.channel,"
	" r.matched, r.label"
	" FROM case_file k JOIN report r ON r.sender = k.sender AND r.case_id = k.id"
	" WHERE (k.id = $1 OR k.merged_into = $1) AND r.disposition = 0"
	" AND ($2::timestamptz IS NULL OR (r.received_at, r.id_hash) < ($2::timestamptz,"
	" decode($4, 'hex'))) ORDER BY r.received_at DESC, r.id_hash DESC LIMIT $3";

static void report_item(struct pg_result *r, int i, bool unmasked, struct buf *out)
{
	struct slice object = pg_text(r, i, 0);
	BUF_OWN struct buf text;

	buf_init(&text, 64 * 1024);
	struct slice content = pg_bytes(r, i, 2);
	if (unmasked)
		buf_add(&text, content);
	else
		text_hide(content, &text);
	buf_add(out, slice_of(object.ptr, object.len - 1));
	buf_fmt(out,
		",\"kind\":\"%s\",\"channel\":\"%s\",\"matched\":\"%s\",\"masked\":%s,\"content\":",
		kind_name((enum kind)pg_int(r, i, 3)), channel_name((enum channel)pg_int(r, i, 4)),
		matched_name((enum matched)pg_int(r, i, 5)), unmasked ? "false" : "true");
	buf_json(out, buf_slice(&text));
	buf_byte(out, '}');
}

enum rc case_reports(struct pg *c, const char *id, bool unmasked, int64_t after_us,
	struct slice after_id, int64_t limit, struct arena *a, struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL, *k = NULL;
	struct pg_param p[] = {pg_p_text(slice_str(id), a), pg_p_time(after_us, a),
		pg_p_int(limit + 1, a), pg_p_text(after_id.ptr != NULL ? after_id : SLICE(""), a)};
	enum rc rc = pg_run(c, "SELECT FROM case_file WHERE id = $1", p, 1, &k, e);

	if (rc == RC_OK && pg_rows(k) == 0)
		return err_set(e, RC_NONE, "there is no case %s", id);
	if (rc == RC_OK)
		rc = pg_run(c, reports_sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	int rows = pg_rows(r) > limit ? (int)limit : pg_rows(r);
	buf_fmt(out, "{\"items\":[");
	for (int i = 0; i < rows; i++) {
		if (i > 0)
			buf_byte(out, ',');
		report_item(r, i, unmasked, out);
	}
	buf_fmt(out, "],\"next\":");
	if (rows > 0 && pg_rows(r) > rows)
		buf_json(out, pg_text(r, rows - 1, 1));
	else
		buf_fmt(out, "null");
	buf_byte(out, '}');
	return buf_fits(out, e);
}
