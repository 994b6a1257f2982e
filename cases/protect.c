/* Protected senders by the hand of two people, and the queue of reports about them. What protection does is the list's: blocklist/protected.c. */
#include <stdio.h>

#include "cases/approval.h"
#include "cases/rows.h"

/* Runs inside BEGIN; the first person's word is kept, the second one's carries out. */
static enum rc finish(struct pg *c, enum rc rc, struct err *e)
{
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

static enum rc note_asked(struct pg *c, const char *what, const char *of, const char *actor,
	int64_t now_us, struct err *e)
{
	char line[200];

	(void)snprintf(line, sizeof(line), "%s asked %.100s\n", what, of);
	return audit_append(c, now_us, actor, what, slice_str(line), e);
}

enum rc protect_add(struct pg *c, const char *name, struct slice csv, const char *actor,
	int64_t now_us, struct complaints *complaints, bool *waits, size_t *n, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 16);
	struct digest d;
	bool agreed = false;
	char hex[65];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	sha256(csv, d.sum);
	digest_hex(&d, hex);
	enum rc rc = pg_script(c, "BEGIN", e);
	/* Tried first, so that a bad file is said to the first person. */
	if (rc == RC_OK)
		rc = pg_script(c, "SAVEPOINT tried", e);
	if (rc == RC_OK)
		rc = protected_put(c, name, csv, actor, now_us, complaints, n, e);
	if (rc == RC_OK)
		rc = approval_ask(
			c, "protected.add", hex, (int64_t)*n, actor, now_us, a, &agreed, e);
	if (rc == RC_OK && !agreed)
		rc = pg_script(c, "ROLLBACK TO SAVEPOINT tried", e);
	if (rc == RC_OK && !agreed)
		rc = approval_ask(
			c, "protected.add", hex, (int64_t)*n, actor, now_us, a, &agreed, e);
	if (rc == RC_OK && !agreed)
		rc = note_asked(c, "protected.add", hex, actor, now_us, e);
	*waits = !agreed;
	return finish(c, rc, e);
}

enum rc protect_remove(
	struct pg *c, int64_t id, const char *actor, int64_t now_us, bool *waits, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 16);
	bool agreed = false;
	char key[32];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	(void)snprintf(key, sizeof(key), "%lld", (long long)id);
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = pg_script(c, "SAVEPOINT tried", e);
	if (rc == RC_OK)
		rc = protected_drop(c, id, actor, now_us, a, e);
	if (rc == RC_OK)
		rc = approval_ask(c, "protected.remove", key, 1, actor, now_us, a, &agreed, e);
	if (rc == RC_OK && !agreed)
		rc = pg_script(c, "ROLLBACK TO SAVEPOINT tried", e);
	if (rc == RC_OK && !agreed)
		rc = approval_ask(c, "protected.remove", key, 1, actor, now_us, a, &agreed, e);
	if (rc == RC_OK && !agreed)
		rc = note_asked(c, "protected.remove", key, actor, now_us, e);
	*waits = !agreed;
	return finish(c, rc, e);
}

static enum rc lines(struct pg *c, const char *sql, const struct pg_param *p, int n_params,
	const struct col *cols, size_t n, struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, n_params, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		row_json(out, r, i, cols, n);
		buf_byte(out, '\n');
	}
	return rc == RC_OK ? buf_fits(out, e) : rc;
}

enum rc protect_list_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT id, scope, low, high, service, owner, reason, until, origin FROM protected"
		" WHERE until IS NULL OR until > $1 ORDER BY scope, low, high, id";
	static const struct col cols[] = {{"id", COL_INT}, {"scope", COL_TEXT}, {"low", COL_TEXT},
		{"high", COL_TEXT}, {"service", COL_SERVICE}, {"owner", COL_TEXT},
		{"reason", COL_TEXT}, {"until", COL_TIME}, {"origin", COL_TEXT}};
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param now = pg_p_time(now_us, a);
	return lines(c, sql, &now, 1, cols, ARRAY_LEN(cols), out, e);
}

enum rc protect_reports_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT k.id, s.scope, s.value, k.service, k.class, k.state, k.rung, k.reports,"
		" k.first_at, k.due_at FROM case_file k JOIN sender s ON s.id = k.sender"
		" WHERE k.state <> 'closed' AND s.id <> 0 AND " PROTECTED_EXISTS("k.service",
			"$1") " ORDER BY k.class DESC, k.reports DESC, k.id LIMIT 10000";
	static const struct col cols[] = {{"case", COL_TEXT}, {"scope", COL_TEXT},
		{"value", COL_TEXT}, {"service", COL_SERVICE}, {"class", COL_CLASS},
		{"state", COL_TEXT}, {"rung", COL_RUNG}, {"reports", COL_INT},
		{"first_at", COL_TIME}, {"due_at", COL_TIME}};
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param now = pg_p_time(now_us, a);
	return lines(c, sql, &now, 1, cols, ARRAY_LEN(cols), out, e);
}

/* ---- held wishes ---- */

#define HELD                                                                                       \
	" w.state = 'held' AND w.reason IN ('cap_hour', 'cap_day', 'review_mode', 'needs_person')" \
	" AND ($1::text IS NULL OR w.case_id = $1::text)"                                          \
	" AND ($2::text IS NULL OR w.reason = $2::text) AND (w.until IS NULL OR w.until > $3)"

enum rc held_list_json(struct pg *c, const char *reason, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT s.scope, s.value, w.service, w.origin, w.detail, w.reason, w.score,"
		" w.until, w.decided_at, w.case_id FROM wish w JOIN sender s ON s.id = w.sender"
		" WHERE w.state = 'held' AND ($1::text IS NULL OR w.reason = $1::text)"
		" ORDER BY w.score DESC, w.first_at LIMIT 100000";
	static const struct col cols[] = {{"scope", COL_TEXT}, {"value", COL_TEXT},
		{"service", COL_SERVICE}, {"origin", COL_TEXT}, {"action", COL_TEXT},
		{"reason", COL_TEXT}, {"score", COL_REAL}, {"until", COL_TIME},
		{"decided_at", COL_TIME}, {"case", COL_TEXT}};
	struct pg_param p[] = {pg_p_str(reason)};

	return lines(c, sql, p, 1, cols, ARRAY_LEN(cols), out, e);
}

static enum rc let_through(struct pg *c, struct pg_param p[3], const char *why, const char *actor,
	int64_t now_us, struct arena *a, int64_t *n, struct err *e)
{
	static const char sql[] =
		"WITH w AS (UPDATE wish w SET state = 'admitted', reason = '' WHERE" HELD
		" RETURNING w.sender, w.service, w.case_id, w.decided_at), x AS (UPDATE action a "
		"SET"
		" state = 'admitted', reason = '' FROM w WHERE a.sender = w.sender AND a.service ="
		" w.service AND a.case_id = w.case_id AND a.decided_at = w.decided_at AND a.state ="
		" 'held'), d AS (INSERT INTO dirty (sender, service) SELECT DISTINCT sender, "
		"service"
		" FROM w) SELECT count(*) FROM w";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, 3, &r, e);

	if (rc != RC_OK)
		return rc;
	*n = pg_int(r, 0, 0);
	BUF_OWN struct buf line;
	buf_init(&line, 4096);
	buf_fmt(&line, "held.release %lld case=%s reason=%s why=", (long long)*n,
		p[0].ptr != NULL ? p[0].ptr : "-", p[1].ptr != NULL ? p[1].ptr : "-");
	buf_json(&line, slice_str(why));
	buf_byte(&line, '\n');
	(void)a;
	return line.failed ? err_set(e, RC_INVALID, "the reason is too long")
			   : audit_append(c, now_us, actor, "held.release", buf_slice(&line), e);
}

enum rc held_release(struct pg *c, const struct held_which *w, const char *why, int64_t alone_max,
	const char *actor, int64_t now_us, int64_t *n, bool *waits, struct err *e)
{
	static const char lock_sql[] =
		"SELECT s.id FROM sender s WHERE s.id IN (SELECT w.sender FROM wish w WHERE" HELD
		") ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s";
	OWN(arena_free) struct arena *a = arena_new(1 << 16);
	OWN(pg_free) struct pg_result *r = NULL;
	bool agreed = true;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (w->case_id == NULL && w->reason == NULL)
		return err_set(e, RC_INVALID, "say which: a case or a reason");
	struct pg_param p[] = {pg_p_str(w->case_id), pg_p_str(w->reason), pg_p_time(now_us, a)};
	const char *of = arena_fmt(a, "%s %s", w->case_id != NULL ? w->case_id : "-",
		w->reason != NULL ? w->reason : "-");
	enum rc rc = of != NULL ? pg_script(c, "BEGIN", e)
				: err_set(e, RC_INVALID, "the name of the case is too long");
	if (rc == RC_OK)
		rc = pg_run(c, lock_sql, p, 3, &r, e);
	*n = rc == RC_OK ? pg_rows(r) : 0;
	if (rc == RC_OK && *n == 0)
		rc = err_set(e, RC_NONE, "nothing of that is held");
	if (rc == RC_OK && *n > alone_max)
		rc = approval_ask(c, "held.release", of, *n, actor, now_us, a, &agreed, e);
	if (rc == RC_OK && agreed)
		rc = let_through(c, p, why, actor, now_us, a, n, e);
	*waits = !agreed;
	return finish(c, rc, e);
}
