/* What people do with an order after it came: the second person's word where one is not enough, letting a held sender through, ending an order on
 * the authority's word, and the receipts that answer it. Leaves out what carrying out means (orders.c). */
#include <stdio.h>

#include "cases/approval.h"
#include "cases/orders.h"
#include "cases/rows.h"

static enum rc finish(struct pg *c, enum rc rc, struct err *e)
{
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc order_approve(struct pg *c, const char *document_no, const char *actor, int64_t now_us,
	struct arena *a, struct order_done *out, struct err *e)
{
	static const char sql[] = "UPDATE order_doc SET accepted_by = $2 WHERE document_no = $1"
				  " AND applied_at IS NULL RETURNING imported_by = $2";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(document_no), pg_p_str(actor)};
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NONE, "no order %s waits for a second person", document_no);
	if (rc == RC_OK && pg_bool(r, 0, 0))
		rc = err_set(e, RC_DENIED, "%s brought order %s in: another person must accept it",
			actor, document_no);
	if (rc == RC_OK)
		rc = order_apply(c, document_no, actor, now_us, a, out, e);
	return finish(c, rc, e);
}

/* ---- a held target is let through by two people ---- */

static enum rc lock_line(
	struct pg *c, const struct pg_param *p, const char *document_no, int line, struct err *e)
{
	static const char sql[] =
		"SELECT s.id FROM sender s WHERE s.id IN (SELECT t.sender FROM order_target t"
		" WHERE t.document_no = $1 AND t.line = $2 AND t.state = 'held')"
		" FOR NO KEY UPDATE OF s";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, 2, &r, e);

	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(
			e, RC_NONE, "nothing is held at line %d of order %s", line, document_no);
	return rc;
}

static enum rc let_through(struct pg *c, const struct pg_param *p, struct err *e)
{
	static const char *const steps[] = {
		"UPDATE wish w SET state = 'wanted', reason = '' FROM order_target t"
		" WHERE t.document_no = $1 AND t.line = $2 AND t.state = 'held' AND w.sender = "
		"t.sender"
		" AND w.service = t.service AND w.origin = 'order:' || $1",
		"UPDATE action x SET state = 'wanted', reason = '' FROM order_target t"
		" WHERE t.document_no = $1 AND t.line = $2 AND t.state = 'held' AND x.case_id = "
		"t.case_id"
		" AND x.origin = 'order:' || $1 AND x.state = 'held'",
		"INSERT INTO dirty (sender, service) SELECT sender, service FROM order_target t"
		" WHERE t.document_no = $1 AND t.line = $2 AND t.state = 'held'",
		"UPDATE order_target t SET state = 'wished'"
		" WHERE t.document_no = $1 AND t.line = $2 AND t.state = 'held'",
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(steps); i++)
		rc = pg_run(c, steps[i], p, 2, NULL, e);
	return rc;
}

enum rc order_release(struct pg *c, const char *document_no, int line, const char *actor,
	int64_t now_us, struct arena *a, bool *waits, struct err *e)
{
	const char *which = arena_fmt(a, "%s %d", document_no, line);
	struct pg_param p[] = {pg_p_str(document_no), pg_p_int(line, a)};
	bool first = false;

	if (which == NULL)
		return err_set(e, RC_LIMIT, "the document_no is too long");
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = lock_line(c, p, document_no, line, e);
	if (rc == RC_OK)
		rc = approval_ask(c, "order.release", which, 1, actor, now_us, a, &first, e);
	if (rc == RC_OK && first)
		rc = let_through(c, p, e);
	if (rc == RC_OK && first)
		rc = order_ask(c, document_no, now_us, a, e);
	const char *text = arena_fmt(a, "order.release %s%s\n", which, first ? "" : " asked");
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "order.release", slice_str(text), e);
	rc = finish(c, rc, e);
	if (rc == RC_OK)
		*waits = !first;
	return rc;
}

/* ---- the authority takes an order back ---- */

enum rc order_revoke(struct pg *c, const char *document_no, const char *by, const char *actor,
	int64_t now_us, struct arena *a, int64_t *ended, struct err *e)
{
	const char *line = arena_fmt(a, "order.revoke %s by=%s\n", document_no, by);

	if (line == NULL)
		return err_set(e, RC_LIMIT, "the document_no is too long");
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = order_lock(c, document_no, e);
	if (rc == RC_OK)
		rc = order_end(c, document_no, by, now_us, a, ended, e);
	if (rc == RC_OK)
		rc = order_take_back(c, document_no, now_us, a, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "order.revoke", slice_str(line), e);
	return finish(c, rc, e);
}

/* ---- receipts ---- */

static const char *const receipt_columns[] = {
	"line", "raw", "scope", "value", "receipt", "reason", "at"};

/* "TITLE=NAME" or "NAME". */
static int column_of(struct slice spec, struct slice *title)
{
	struct slice name = spec;

	*title = spec;
	if (memchr(spec.ptr, '=', spec.len) != NULL) {
		(void)slice_cut(&name, '=', title);
		name = slice_trim(name);
	}
	*title = slice_trim(*title);
	for (size_t i = 0; i < ARRAY_LEN(receipt_columns); i++)
		if (slice_eq(slice_trim(name), slice_str(receipt_columns[i])))
			return (int)i;
	return -1;
}

/* A field that a spreadsheet would run as a formula is told apart by a quote mark; a plus before a digit stays. */
static void csv_field(struct buf *out, struct slice s)
{
	bool formula = s.len > 0 &&
		(strchr("=@-\t\r", s.ptr[0]) != NULL ||
			(s.ptr[0] == '+' && (s.len == 1 || s.ptr[1] < '0' || s.ptr[1] > '9')));
	bool quoted = formula;

	for (size_t i = 0; i < s.len; i++)
		quoted = quoted || strchr(",\"\r\n", s.ptr[i]) != NULL;
	if (!quoted) {
		buf_add(out, s);
		return;
	}
	buf_byte(out, '"');
	if (formula)
		buf_byte(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"')
			buf_byte(out, '"');
		buf_byte(out, s.ptr[i]);
	}
	buf_byte(out, '"');
}

enum rc order_receipt_csv(
	struct pg *c, const char *document_no, struct slice columns, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT line::text, raw, coalesce(scope, ''), coalesce(value, ''), receipt,"
		" CASE WHEN fault IS NOT NULL THEN fault WHEN same_as IS NOT NULL"
		" THEN 'same as line ' || same_as WHEN ended_at IS NOT NULL"
		" AND receipt NOT IN ('executed', 'not_ours') THEN 'the order ended before' ELSE "
		"'' END,"
		" coalesce(to_char(at AT TIME ZONE INTERVAL '7 hours',"
		" 'YYYY-MM-DD\"T\"HH24:MI:SS\"+07:00\"'), '') FROM order_receipts($1) ORDER BY "
		"line";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(document_no)};
	struct slice spec, title;
	int order[16], n = 0;

	while (slice_cut(&columns, ',', &spec)) {
		int at = column_of(spec, &title);

		if (at < 0 || n == (int)ARRAY_LEN(order))
			return err_set(e, RC_INVALID, "no column %.*s in a receipt", (int)spec.len,
				spec.ptr);
		if (n > 0)
			buf_byte(out, ',');
		csv_field(out, title);
		order[n++] = at;
	}
	buf_byte(out, '\n');
	enum rc rc = pg_run(c, sql, p, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NONE, "there is no order %s", document_no);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		for (int k = 0; k < n; k++) {
			csv_field(out, pg_text(r, i, order[k]));
			buf_byte(out, k + 1 < n ? ',' : '\n');
		}
	return rc == RC_OK ? buf_fits(out, e) : rc;
}

enum rc order_list_json(struct pg *c, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT d.document_no, d.issuer, d.action, d.received_at, d.deadline, d.until,"
		" CASE WHEN d.applied_at IS NULL THEN 'waits' WHEN d.ended_at IS NOT NULL THEN "
		"'ended'"
		" ELSE 'in_force' END, d.breach, d.ended_by, (SELECT count(*) FROM order_item i"
		" WHERE i.document_no = d.document_no) FROM order_doc d"
		" ORDER BY d.received_at, d.document_no";
	static const struct col cols[] = {{"document_no", COL_TEXT}, {"issuer", COL_TEXT},
		{"action", COL_TEXT}, {"received_at", COL_TIME}, {"deadline", COL_TIME},
		{"until", COL_TIME}, {"state", COL_TEXT}, {"breach", COL_BOOL},
		{"ended_by", COL_TEXT}, {"items", COL_INT}};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		row_json(out, r, i, cols, ARRAY_LEN(cols));
		buf_byte(out, '\n');
	}
	return rc == RC_OK ? buf_fits(out, e) : rc;
}
