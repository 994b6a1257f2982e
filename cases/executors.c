/* What others are asked to do, and what came back: the HLR or BSS, recipients who are polled, subscribers who are told that their data are wrong. The keeper
 * calls it every few seconds; each part is a function of the schema and a transaction of its own. Leaves out the requests of orders (order_end.c)
 * and what a poll means for a score. */
#include <stdio.h>

#include "cases/rows.h"

/* Runs one statement that answers lines for the audit, with them. */
static enum rc with_lines(struct pg *c, const char *sql, const struct pg_param *p, int n,
	const char *actor, const char *what, int64_t now_us, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, n, &r, e);
	if (rc == RC_OK && pg_rows(r) == 1 && pg_text(r, 0, 0).len > 0)
		rc = audit_append(c, now_us, actor, what, pg_text(r, 0, 0), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

static struct pg_param p_seconds(int64_t s, struct arena *a)
{
	const char *text = arena_fmt(a, "%lld seconds", (long long)s);

	return pg_p_str(text);
}

/* Consumers have moved since the last look: then what they hold may be executed now. */
static enum rc moved(struct pg *c, struct executors_seen *seen, bool *out, struct err *e)
{
	static const char sql[] =
		"SELECT concat_ws('/', h.list, h.release, (SELECT max(good_release) FROM consumer),"
		" (SELECT sum(good_release) FROM consumer)) FROM list_head h";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	*out = false;
	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	*out = !slice_eq(pg_text(r, 0, 0), slice_str(seen->consumers));
	(void)snprintf(seen->consumers, sizeof(seen->consumers), "%.*s", (int)pg_text(r, 0, 0).len,
		pg_text(r, 0, 0).ptr);
	return rc;
}

static enum rc note_executed(
	struct pg *c, const struct pg_param *now, struct executors_seen *seen, struct err *e)
{
	bool again = false;
	enum rc rc = moved(c, seen, &again, e);
	struct pg_param p[] = {*now, pg_p_bool(again)};

	if (rc == RC_OK)
		rc = pg_run(c, "SELECT note_executed($1, $2)", p, ARRAY_LEN(p), NULL, e);
	if (rc != RC_OK)
		seen->consumers[0] = '\0';
	return rc;
}

static enum rc polls(struct pg *c, const struct executors *x, const struct pg_param *now,
	int64_t now_us, struct arena *a, struct err *e)
{
	struct pg_param ask[] = {*now, pg_p_int(x->poll_sample, a), p_seconds(x->poll_apart_s, a)};
	struct pg_param decide[] = {*now, pg_p_int(x->poll_answers, a), pg_p_real(x->poll_share, a),
		p_seconds(x->poll_wait_s, a)};
	enum rc rc = RC_OK;

	if (x->asks && x->poll_sample > 0)
		rc = with_lines(c, "SELECT polls_ask($1, $2::int, $3::interval, 500)", ask,
			ARRAY_LEN(ask), "keeper", "poll", now_us, e);
	if (rc == RC_OK)
		rc = with_lines(c, "SELECT polls_decide($1, $2::int, $3, $4::interval)", decide,
			ARRAY_LEN(decide), "keeper", "poll", now_us, e);
	return rc;
}

static enum rc registrations(struct pg *c, const struct executors *x, const struct pg_param *now,
	int64_t now_us, struct arena *a, struct err *e)
{
	struct pg_param p[] = {*now, pg_p_int(x->notices, a), p_seconds(x->notice_every_s, a),
		p_seconds(x->one_way_s, a), p_seconds(x->both_s, a),
		pg_p_str(x->registration_basis), pg_p_bool(x->may_bar)};

	if (!x->asks)
		return RC_OK;
	return with_lines(c,
		"SELECT registration_tend($1, $2::int, $3::interval, $4::interval, $5::interval, "
		"$6::text, $7)",
		p, ARRAY_LEN(p), "keeper", "registration", now_us, e);
}

enum rc executors_tend(struct pg *c, const struct executors *x, int64_t now_us,
	struct executors_seen *seen, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 16);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param now = pg_p_time(now_us, a);
	enum rc rc = x->asks ? pg_run(c, "SELECT provision($1)", &now, 1, NULL, e) : RC_OK;

	if (rc == RC_OK)
		rc = note_executed(c, &now, seen, e);
	if (rc == RC_OK)
		rc = polls(c, x, &now, now_us, a, e);
	return rc == RC_OK ? registrations(c, x, &now, now_us, a, e) : rc;
}

/* ---- the registration ladder, by the hand of people ---- */

enum rc registration_open(struct pg *c, const struct sender *s, enum attribution attribution,
	const char *why, const char *actor, int64_t now_us, char case_id[24], struct err *e)
{
	static const char sql[] =
		"WITH s AS (INSERT INTO sender (scope, value, attribution, created_at) VALUES "
		"('number', $1::text, 'own', $4) ON CONFLICT (scope, value) DO UPDATE SET value ="
		" excluded.value RETURNING id), k AS (INSERT INTO case_file (id, sender, service,"
		" class, kind, first_at, due_at, opened_at) SELECT case_id(), id, 1, 0,"
		" 'registration', $4, $4::timestamptz + interval '30 days', $4 FROM s ON CONFLICT"
		" (sender, service, kind) WHERE state <> 'closed' AND kind <> 'reports' DO NOTHING"
		" RETURNING id, sender), r AS (INSERT INTO registration (case_id, sender, why,"
		" opened_at, opened_by) SELECT id, sender, $2::text, $4, $3::text FROM k)"
		" SELECT id, 'registration.open ' || id || E'\\n' FROM k";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (s->scope != SCOPE_NUMBER || attribution != ATTR_OWN)
		return err_set(e, RC_INVALID, "%s is no number of an own subscriber", s->value);
	struct pg_param p[] = {
		pg_p_str(s->value), pg_p_str(why), pg_p_str(actor), pg_p_time(now_us, a)};
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(
			e, RC_CONFLICT, "the registration ladder of %s is open already", s->value);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "registration", pg_text(r, 0, 1), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	(void)snprintf(case_id, 24, "%.*s", (int)pg_text(r, 0, 0).len, pg_text(r, 0, 0).ptr);
	return RC_OK;
}

/* One statement about one open ladder that answers its audit lines; no row: there is none. */
static enum rc change(struct pg *c, const char *sql, const char *case_id, const char *why,
	const char *actor, int64_t now_us, struct err *e)
{
	static const char lock_sql[] =
		"SELECT s.id FROM sender s JOIN registration r ON r.sender = s.id"
		" WHERE r.case_id = $1 FOR NO KEY UPDATE OF s";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {
		pg_p_str(case_id), pg_p_time(now_us, a), pg_p_str(actor), pg_p_str(why)};
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = pg_run(c, lock_sql, p, 1, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NONE, "case %s waits for no such word", case_id);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "registration", pg_text(r, 0, 0), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc registration_end(struct pg *c, const char *case_id, const char *why, const char *actor,
	int64_t now_us, struct err *e)
{
	static const char sql[] =
		"WITH g AS (UPDATE registration SET ended_at = $2, ended_by = $3 WHERE case_id ="
		" $1::text AND ended_at IS NULL RETURNING case_id, sender), w AS (DELETE FROM wish"
		" USING g WHERE wish.sender = g.sender AND wish.case_id = g.case_id),"
		" x AS (UPDATE action a SET state = 'lifted', reason = 'registered' FROM g WHERE"
		" a.case_id = g.case_id AND a.state IN"
		" ('wanted', 'held', 'admitted')), k AS (UPDATE case_file f SET state = 'closed',"
		" outcome = 'lifted', closed_at = $2, version = version + 1 FROM g WHERE f.id ="
		" g.case_id AND f.state <> 'closed'), d AS (INSERT INTO dirty (sender, service)"
		" SELECT g.sender, v FROM g, generate_series(0, 1) v) SELECT"
		" format(E'registration.end %s %s\\n', g.case_id, to_json($4::text)) FROM g";

	return change(c, sql, case_id, why, actor, now_us, e);
}

enum rc registration_bar_both(
	struct pg *c, const char *case_id, const char *actor, int64_t now_us, struct err *e)
{
	static const char sql[] =
		"WITH g AS (UPDATE registration SET both_at = $2 WHERE case_id = $1::text AND"
		" ended_at IS NULL AND both_at IS NULL AND both_due_at IS NOT NULL RETURNING"
		" case_id, sender), w AS (UPDATE wish SET detail = 'bar_both', rung = 4,"
		" origin = $3::text, state = 'wanted', reason = '', decided_at = $2 FROM g WHERE"
		" wish.sender = g.sender AND wish.origin = 'auto:registration' RETURNING"
		" wish.sender, wish.service, wish.basis),"
		" x AS (INSERT INTO action (case_id, sender, service, class, origin, rung, action,"
		" decided_at, state, basis, recorded_at) SELECT g.case_id, w.sender, w.service, 0,"
		" $3::text, 4, 'bar_both', $2, 'wanted', w.basis, $2 FROM g, w),"
		" d AS (INSERT INTO dirty (sender, service) SELECT sender, service FROM w) SELECT"
		" format(E'registration.bar_both %s\\n', g.case_id) FROM g WHERE $4::text IS NULL";

	return change(c, sql, case_id, NULL, actor, now_us, e);
}

enum rc registration_list_json(struct pg *c, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT r.case_id, s.value, r.why, r.opened_at, r.opened_by, r.delivered,"
		" r.first_at, r.one_way_at, r.both_due_at, r.both_at FROM registration r"
		" JOIN sender s ON s.id = r.sender WHERE r.ended_at IS NULL ORDER BY r.opened_at";
	static const struct col cols[] = {{"case", COL_TEXT}, {"value", COL_TEXT},
		{"why", COL_TEXT}, {"opened_at", COL_TIME}, {"opened_by", COL_TEXT},
		{"delivered", COL_INT}, {"first_at", COL_TIME}, {"one_way_at", COL_TIME},
		{"both_due_at", COL_TIME}, {"both_at", COL_TIME}};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		row_json(out, r, i, cols, ARRAY_LEN(cols));
		buf_byte(out, '\n');
	}
	return rc == RC_OK ? buf_fits(out, e) : rc;
}
