/* How an order ends - amended, revoked, its time over - and what the HLR and BSS are asked on the way in and out. Requests are keyed by the
 * subscriber, so that of two the later one wins. */
#include <stdio.h>

#include "cases/orders.h"

/* Those of the order that were not told yet go out, a thousand in a row of the outbox. */
static const char tell_sql[] =
	"WITH untold AS (UPDATE provisioning p SET told = true WHERE p.origin = 'order:' || $1 AND "
	"NOT p.told"
	" RETURNING p.*), line AS (SELECT (row_number() OVER (ORDER BY u.sender, u.seq) - 1) / "
	"1000 "
	"AS g,"
	" s.value || E'\\t' || json_build_object('request_id', u.request_id, 'seq', u.seq, "
	"'msisdn',"
	" '+' || s.value, 'action', u.action, 'service',"
	" CASE u.service WHEN 0 THEN 'sms' ELSE 'voice' END, 'due', d.deadline, 'until', d.until,"
	" 'basis', d.legal_basis, 'case', u.case_id) || E'\\n' AS text, u.sender, u.seq FROM "
	"untold u"
	" JOIN sender s ON s.id = u.sender JOIN order_doc d ON d.document_no = $1)"
	" INSERT INTO outbox (topic, messages, body)"
	" SELECT 'provisioning', count(*), string_agg(text, '' ORDER BY sender, seq) FROM line "
	"GROUP "
	"BY g"
	" ORDER BY g";

static const struct order_step ask_steps[] = {
	{"INSERT INTO provisioning (request_id, seq, case_id, sender, service, action, origin, "
	 "asked_at)"
	 " SELECT 'p' || substr(case_id(), 2), " NEXT_SEQ(
		 "t") ", t.case_id, t.sender, t.service,"
		      " d.action, 'order:' || t.document_no, $2 FROM order_target t"
		      " JOIN order_doc d USING (document_no) JOIN sender s ON s.id = t.sender"
		      " WHERE t.document_no = $1 AND t.state = 'wished' AND s.attribution = 'own' "
		      "AND s.scope = "
		      "'number'"
		      " AND d.action IN ('bar_out', 'bar_both', 'recall') AND NOT EXISTS (SELECT "
		      "FROM "
		      "provisioning p"
		      " WHERE p.origin = 'order:' || $1 AND p.sender = t.sender AND p.service = "
		      "t.service)",
		2},
	{tell_sql, 1},
};

static const struct order_step back_steps[] = {
	{"INSERT INTO provisioning (request_id, seq, case_id, sender, service, action, origin, "
	 "asked_at)"
	 " SELECT 'p' || substr(case_id(), 2), " NEXT_SEQ(
		 "p") ", p.case_id, p.sender, p.service, "
		      "'lift',"
		      " p.origin, $2 FROM provisioning p WHERE p.origin = 'order:' || $1 AND "
		      "p.action <> 'lift'"
		      " AND NOT " BARRED_BY_ANOTHER(
			      "p") " AND NOT EXISTS (SELECT FROM provisioning l"
				   " WHERE l.origin = p.origin AND l.sender = p.sender AND "
				   "l.service = p.service"
				   " AND l.action = 'lift')",
		2},
	{tell_sql, 1},
};

/* Its cases close unless something else wishes for them, or people reported: then they go on as theirs. */
static const struct order_step end_steps[] = {
	{"INSERT INTO dirty (sender, service) SELECT sender, service FROM order_target"
	 " WHERE document_no = $1 AND state IN ('wished', 'held')",
		1},
	{"DELETE FROM wish w USING order_target t WHERE t.document_no = $1 AND w.sender = t.sender"
	 " AND w.service = t.service AND w.origin = 'order:' || $1",
		1},
	{"UPDATE action x SET state = 'lifted', reason = 'order_ended' FROM order_target t"
	 " WHERE t.document_no = $1 AND x.case_id = t.case_id AND x.origin = 'order:' || $1"
	 " AND x.state IN ('wanted', 'admitted', 'held')",
		1},
	{"UPDATE case_file k SET state = CASE k.reports WHEN 0 THEN 'closed' ELSE 'open' END,"
	 " outcome = CASE k.reports WHEN 0 THEN 'lifted' END,"
	 " closed_at = CASE k.reports WHEN 0 THEN $2::timestamptz END, version = version + 1"
	 " FROM order_target t WHERE t.document_no = $1 AND k.id = t.case_id AND k.state <> "
	 "'closed'"
	 " AND NOT EXISTS (SELECT FROM wish w WHERE w.sender = k.sender AND w.service = k.service"
	 " AND w.case_id = k.id)",
		2},
	{"UPDATE order_target SET state = 'ended', ended_at = $2 WHERE document_no = $1"
	 " AND state IN ('wished', 'held')",
		2},
};

enum rc order_steps(struct pg *c, const struct order_step *steps, size_t n, const char *document_no,
	int64_t now_us, struct arena *a, struct err *e)
{
	struct pg_param p[] = {pg_p_str(document_no), pg_p_time(now_us, a)};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = pg_run(c, steps[i].sql, p, steps[i].params, NULL, e);
	return rc;
}

enum rc order_ask(
	struct pg *c, const char *document_no, int64_t now_us, struct arena *a, struct err *e)
{
	return order_steps(c, ask_steps, ARRAY_LEN(ask_steps), document_no, now_us, a, e);
}

enum rc order_take_back(
	struct pg *c, const char *document_no, int64_t now_us, struct arena *a, struct err *e)
{
	return order_steps(c, back_steps, ARRAY_LEN(back_steps), document_no, now_us, a, e);
}

enum rc order_lock(struct pg *c, const char *document_no, struct err *e)
{
	static const char sql[] =
		"SELECT count(*) FROM (SELECT s.id FROM sender s WHERE s.id IN (SELECT t.sender"
		" FROM order_target t WHERE t.document_no = $1) ORDER BY s.scope COLLATE \"C\", "
		"s.value"
		" FOR NO KEY UPDATE OF s) locked";
	struct pg_param p[] = {pg_p_str(document_no)};

	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc order_end(struct pg *c, const char *document_no, const char *by, int64_t now_us,
	struct arena *a, int64_t *ended, struct err *e)
{
	static const char sql[] =
		"UPDATE order_doc SET ended_at = $2, ended_by = $3 WHERE document_no = $1"
		" AND ended_at IS NULL AND applied_at IS NOT NULL RETURNING (SELECT count(*)"
		" FROM order_target WHERE document_no = $1 AND state IN ('wished', 'held'))";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(document_no), pg_p_time(now_us, a), pg_p_str(by)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc == RC_OK && pg_rows(r) != 1)
		return err_set(e, RC_NONE, "order %s is not in force", document_no);
	if (rc == RC_OK)
		*ended = pg_int(r, 0, 0);
	if (rc == RC_OK)
		rc = order_steps(c, end_steps, ARRAY_LEN(end_steps), document_no, now_us, a, e);
	return rc;
}

/* ---- what the keeper does about orders ---- */

/* Everybody who acknowledged within a day holds the newest release of the service that matters: then every target that it lists is proved. */
static const char prove_sql[] =
	"UPDATE order_target t SET proved_at = $1 FROM sender s, list_head h, entry n"
	" WHERE t.state = 'wished' AND t.proved_at IS NULL AND s.id = t.sender AND n.scope = "
	"s.scope"
	" AND n.value = s.value AND n.service = t.service AND n.action = 'bar'"
	" AND EXISTS (SELECT FROM consumer c WHERE c.acked_at > $1::timestamptz - interval '1 day'"
	" AND (c.service IS NULL OR c.service = t.service))"
	" AND NOT EXISTS (SELECT FROM consumer c WHERE c.acked_at > $1::timestamptz - interval '1 "
	"day'"
	" AND (c.service IS NULL OR c.service = t.service)"
	" AND (c.good_list IS DISTINCT FROM h.list OR c.good_release < n.release))";

static enum rc end_one(
	struct pg *c, const char *document_no, int64_t now_us, struct arena *a, struct err *e)
{
	const char *line = arena_fmt(a, "order.end %s until\n", document_no);
	int64_t ended = 0;

	if (line == NULL)
		return err_set(e, RC_LIMIT, "the document_no is too long");
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = order_lock(c, document_no, e);
	if (rc == RC_OK)
		rc = order_end(c, document_no, "until", now_us, a, &ended, e);
	if (rc == RC_OK)
		rc = order_take_back(c, document_no, now_us, a, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, "keeper", "order.end", slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

/* How far those who acknowledge are: what was not proved then is not proved now. */
static const char far_sql[] =
	"SELECT concat_ws('/', h.list, min(c.at) FILTER (WHERE c.service IS DISTINCT FROM 1),"
	" min(c.at) FILTER (WHERE c.service IS DISTINCT FROM 0)) FROM list_head h LEFT JOIN"
	" (SELECT c.service, CASE WHEN c.good_list = l.list THEN c.good_release ELSE -1 END AS at"
	" FROM consumer c, list_head l WHERE c.acked_at > $1::timestamptz - interval '1 day') c ON "
	"true"
	" GROUP BY h.list";

static enum rc prove(struct pg *c, const struct pg_param *now, char far[ORDERS_FAR], struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, far_sql, now, 1, &r, e);

	if (rc != RC_OK || pg_rows(r) == 0 || slice_eq(pg_text(r, 0, 0), slice_str(far)))
		return rc;
	rc = pg_run(c, prove_sql, now, 1, NULL, e);
	if (rc == RC_OK)
		(void)snprintf(
			far, ORDERS_FAR, "%.*s", (int)pg_text(r, 0, 0).len, pg_text(r, 0, 0).ptr);
	return rc;
}

enum rc orders_tend(struct pg *c, int64_t now_us, char far[ORDERS_FAR], struct err *e)
{
	static const char over_sql[] =
		"SELECT document_no FROM order_doc WHERE until <= $1 AND applied_at IS NOT NULL"
		" AND ended_at IS NULL ORDER BY until LIMIT 10";
	OWN(arena_free) struct arena *a = arena_new(1 << 16);
	OWN(pg_free) struct pg_result *over = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param now = pg_p_time(now_us, a);
	enum rc rc = prove(c, &now, far, e);
	if (rc == RC_OK)
		rc = pg_run(c, over_sql, &now, 1, &over, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(over); i++) {
		const char *no =
			arena_fmt(a, "%.*s", (int)pg_text(over, i, 0).len, pg_text(over, i, 0).ptr);
		rc = no != NULL ? end_one(c, no, now_us, a, e)
				: err_set(e, RC_RETRY, "out of memory");
	}
	return rc;
}
