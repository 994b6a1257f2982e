/* Appeals: opened by care staff for a subscriber, decided by a supervisor, granted by the keeper's clock when nobody decides in time, and what a
 * second person must agree to. Leaves out other decisions (decide.c). */
#include <stdio.h>
#include <stdlib.h>

#include "cases/decide.h"

enum rc appeal_begin(struct pg *c, const struct decision *d, struct slice grounds, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e)
{
	static const char sql[] = "INSERT INTO appeal (case_id, opened_at, opened_by, grounds,"
				  " automatic, due_at) VALUES ($1, $2, $3, $4, $5, $6)";
	const struct life_step *s = NULL;
	struct held_case k;
	char due[TIME_TEXT];
	enum rc rc = case_hold(c, d, now_us, a, &k, e);

	if (rc == RC_OK)
		rc = case_may(d, SLICE("appeal"), &k, &s, e);
	if (rc != RC_OK)
		return rc;
	if (k.ordered)
		return err_set(e, RC_DENIED,
			"an order of the authority stands behind this case:"
			" the appeal goes to the authority");
	int64_t due_us = TIME_NONE;
	rc = case_time(c, "SELECT appeal_due($1 <> 0, $2)", !k.by_person, now_us, &due_us, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_str(d->actor),
		pg_p_text(grounds, a), pg_p_bool(!k.by_person), pg_p_time(due_us, a)};
	time_format(due_us, due);
	const char *more = arena_fmt(a, "{\"due_at\":\"%s\"}", due);
	rc = more != NULL ? pg_run(c, sql, p, ARRAY_LEN(p), NULL, e)
			  : err_set(e, RC_RETRY, "out of memory");
	return rc == RC_OK ? case_go(c, d, s, &k, more, now_us, a, out, e) : rc;
}

enum rc appeal_end(struct pg *c, const struct decision *d, bool granted, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e)
{
	static const char sql[] =
		"UPDATE appeal SET decided_at = $2, decided_by = $3, decision = $4,"
		" reason = $5 WHERE case_id = $1 AND decided_at IS NULL";
	const struct life_step *s = NULL;
	struct held_case k;
	enum rc rc = case_hold(c, d, now_us, a, &k, e);

	if (rc == RC_OK)
		rc = case_may(
			d, granted ? SLICE("appeal_grant") : SLICE("appeal_reject"), &k, &s, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_str(d->actor),
		pg_p_str(granted ? "granted" : "rejected"), pg_p_text(d->reason, a)};
	rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
	if (rc == RC_OK && granted)
		rc = case_undo(c, d, s, "reversed", now_us, a, e);
	if (rc == RC_OK)
		rc = case_found(c, d, s, now_us, a, e);
	return rc == RC_OK ? case_go(c, d, s, &k, NULL, now_us, a, out, e) : rc;
}

enum rc cases_tend(struct pg *c, int64_t quiet_s, int64_t now_us, struct err *e)
{
	static const char sql[] = "SELECT cases_tend($1, make_interval(secs => $2::float8), 200)";
	OWN(arena_free) struct arena *a = arena_new(1 << 14);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {
		pg_p_time(now_us, a), quiet_s > 0 ? pg_p_int(quiet_s, a) : pg_p_none()};
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && !pg_null(r, 0, 0))
		rc = audit_append(c, now_us, "keeper", "cases", pg_text(r, 0, 0), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

/* ---- four eyes ---- */

enum rc proposal_keep(struct pg *c, const char *const *cases, size_t n, int64_t version,
	struct slice body, const char *why, const char *actor, int64_t now_us, struct arena *a,
	int64_t *out, struct err *e)
{
	static const char sql[] =
		"INSERT INTO proposal (cases, version, decision, why, asked_by, asked_at)"
		" VALUES ($1::text[], $2, $3::jsonb, $4, $5, $6) RETURNING id";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_array ids;

	pg_array_init(&ids, PG_TEXT);
	for (size_t i = 0; i < n; i++)
		pg_array_text(&ids, slice_str(cases[i]));
	struct pg_param p[] = {pg_p_array(&ids), version >= 0 ? pg_p_int(version, a) : pg_p_none(),
		pg_p_text(body, a), pg_p_str(why), pg_p_str(actor), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	pg_array_done(&ids);
	if (rc != RC_OK)
		return rc;
	*out = pg_int(r, 0, 0);
	const char *line = arena_fmt(
		a, "proposal.ask %lld %s cases=%zu: %s\n", (long long)*out, cases[0], n, why);
	return line != NULL ? audit_append(c, now_us, actor, "proposal", slice_str(line), e)
			    : err_set(e, RC_RETRY, "out of memory");
}

static enum rc proposal_read(struct pg *c, int64_t id, const char *actor, int64_t now_us,
	struct arena *a, struct proposal *out, struct err *e)
{
	static const char sql[] =
		"SELECT array_to_string(cases, ' '), coalesce(version, -1), decision::text, "
		"asked_by,"
		" asked_at FROM proposal WHERE id = $1 AND decided_at IS NULL FOR UPDATE";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_int(id, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "no such proposal waits");
	if (slice_eq(pg_text(r, 0, 3), slice_str(actor)))
		return err_set(e, RC_DENIED, "who proposed it cannot agree to it");
	if (pg_time_us(r, 0, 4) < now_us - US_PER_DAY)
		return err_set(e, RC_INVALID, "it was proposed more than a day ago");
	struct slice ids = arena_copy(a, pg_text(r, 0, 0)), one;
	out->version = pg_int(r, 0, 1);
	out->body = arena_copy(a, pg_text(r, 0, 2));
	out->cases = arena_array(a, 1 + ids.len / 15, sizeof(*out->cases));
	if (ids.ptr == NULL || out->body.ptr == NULL || out->cases == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (out->n = 0; slice_cut(&ids, ' ', &one); out->n++)
		out->cases[out->n] = arena_copy(a, one).ptr;
	return RC_OK;
}

enum rc proposal_take(struct pg *c, int64_t id, const char *actor, bool agree, struct slice reason,
	int64_t now_us, struct arena *a, struct proposal *out, struct err *e)
{
	static const char sql[] =
		"UPDATE proposal SET decided_by = $2, decided_at = $3, agreed = $4"
		" WHERE id = $1";
	struct proposal found = {.n = 0};
	struct pg_param p[] = {
		pg_p_int(id, a), pg_p_str(actor), pg_p_time(now_us, a), pg_p_bool(agree)};
	enum rc rc = proposal_read(c, id, actor, now_us, a, &found, e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
	if (rc != RC_OK)
		return rc;
	const char *line = arena_fmt(a, "proposal.%s %lld %s: %.*s\n", agree ? "agree" : "refuse",
		(long long)id, found.cases[0], (int)reason.len, reason.ptr);
	rc = line != NULL ? audit_append(c, now_us, actor, "proposal", slice_str(line), e)
			  : err_set(e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		*out = found;
	return rc;
}
