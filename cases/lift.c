/* Undoing blocks: of one sender, or of everything that a rule, a pack, a policy, some releases or a span of time has brought. One transaction, so
 * one release; what was decided stays in the ledger as lifted, and the reports hear of it. Orders are lifted only by the authority. */
#include <stdio.h>

#include "cases/approval.h"
#include "cases/rows.h"

/* $1 scope, $2 value, $3 case, $4 rule, $5 pack, $6 policy, $7 since, $8 until, $9 from, $10 to, $11 service, $12 model; NULL does not narrow. A held
 * proposal of one leg has no action: it is found by what does not ask for one. What is named takes everything of its sender and service
 * with it, orders excepted: a lift sets a floor under both classes. */
#define NAMED                                                                                      \
	" FROM wish w JOIN sender s ON s.id = w.sender LEFT JOIN LATERAL (SELECT x.recorded_at, "  \
	"x.rules, x.policy FROM action x"                                                          \
	" WHERE x.case_id = w.case_id AND x.sender = w.sender AND x.service = w.service"           \
	" AND x.decided_at = w.decided_at AND x.state <> 'superseded' ORDER BY x.id DESC LIMIT 1)" \
	" d ON true WHERE w.origin NOT LIKE 'order:%'"                                             \
	" AND ($1::text IS NULL OR (s.scope = $1::text AND s.value = $2::text))"                   \
	" AND ($3::text IS NULL OR w.case_id = $3::text)"                                          \
	" AND ($4::text IS NULL OR EXISTS (SELECT FROM report r WHERE r.sender = w.sender"         \
	" AND r.case_id = w.case_id AND EXISTS (SELECT FROM jsonb_array_elements(r.terms::jsonb) " \
	"j"                                                                                        \
	" WHERE j->>'name' = $4::text AND NOT coalesce((j->>'shadow')::bool, false))))"            \
	" AND ($5::text IS NULL OR split_part(d.rules, '/', 1) = $5::text)"                        \
	" AND ($12::text IS NULL OR split_part(d.rules, '/', 2) = $12::text)"                      \
	" AND ($6::text IS NULL OR d.policy = $6::text)"                                           \
	" AND ($7::timestamptz IS NULL OR d.recorded_at >= $7::timestamptz)"                       \
	" AND ($8::timestamptz IS NULL OR d.recorded_at < $8::timestamptz)"                        \
	" AND ($9::bigint IS NULL OR EXISTS (SELECT FROM entry t WHERE t.scope = s.scope"          \
	" AND t.value = s.value AND t.service = w.service AND t.case_id = w.case_id"               \
	" AND t.release BETWEEN $9::bigint AND coalesce($10::bigint, $9::bigint)))"                \
	" AND ($11::smallint IS NULL OR w.service = $11::smallint)"
#define WHICH                                                                                      \
	" FROM wish w JOIN sender s ON s.id = w.sender LEFT JOIN LATERAL (SELECT x.recorded_at, "  \
	"x.rules, x.policy FROM action x"                                                          \
	" WHERE x.case_id = w.case_id AND x.sender = w.sender AND x.service = w.service"           \
	" AND x.decided_at = w.decided_at AND x.state <> 'superseded' ORDER BY x.id DESC LIMIT 1)" \
	" d ON true WHERE w.origin NOT LIKE 'order:%'"                                             \
	" AND (w.sender, w.service) IN (SELECT w.sender, w.service" NAMED ")"
#define WHICH_PARAMS 12

static enum rc which_params(
	const struct lift_which *w, struct pg_param p[WHICH_PARAMS], struct arena *a, struct err *e)
{
	bool spans = w->since != TIME_NONE || w->until != TIME_NONE || w->from_release > 0;

	if (w->sender == NULL && w->case_id == NULL && w->rule == NULL && w->rules == NULL &&
		w->policy == NULL && w->model == NULL && !spans)
		return err_set(
			e, RC_INVALID, "say what to lift: without that it would be everything");
	p[0] = pg_p_str(w->sender != NULL ? scope_name(w->sender->scope) : NULL);
	p[1] = pg_p_str(w->sender != NULL ? w->sender->value : NULL);
	p[2] = pg_p_str(w->case_id);
	p[3] = pg_p_str(w->rule);
	p[4] = pg_p_str(w->rules);
	p[5] = pg_p_str(w->policy);
	p[6] = pg_p_time(w->since, a);
	p[7] = pg_p_time(w->until, a);
	p[8] = w->from_release > 0 ? pg_p_int(w->from_release, a) : pg_p_none();
	p[9] = w->to_release > 0 ? pg_p_int(w->to_release, a) : pg_p_none();
	p[10] = w->service >= 0 ? pg_p_int(w->service, a) : pg_p_none();
	p[11] = pg_p_str(w->model);
	return RC_OK;
}

enum rc lift_preview(struct pg *c, const struct lift_which *w, struct arena *a, struct buf *out,
	int64_t *n, struct err *e)
{
	static const char sql[] =
		"SELECT s.scope, s.value, w.service, w.origin, w.detail, w.state, w.reason, "
		"w.until, w.case_id,"
		" d.recorded_at, d.rules, d.policy" WHICH " ORDER BY s.scope, s.value, w.service, "
		"w.origin";
	static const struct col cols[] = {{"scope", COL_TEXT}, {"value", COL_TEXT},
		{"service", COL_SERVICE}, {"origin", COL_TEXT}, {"action", COL_TEXT},
		{"state", COL_TEXT}, {"reason", COL_TEXT}, {"until", COL_TIME}, {"case", COL_TEXT},
		{"recorded_at", COL_TIME}, {"rules", COL_TEXT}, {"policy", COL_TEXT}};
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[WHICH_PARAMS];
	enum rc rc = which_params(w, p, a, e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, WHICH_PARAMS, &r, e);
	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < pg_rows(r); i++) {
		row_json(out, r, i, cols, ARRAY_LEN(cols));
		buf_byte(out, '\n');
	}
	*n = pg_rows(r);
	return buf_fits(out, e);
}

/* ---- carried out: the set is found once, under the senders' locks, and kept for the statements of this transaction ---- */

static const char lock_sql[] =
	"SELECT count(*) FROM (SELECT s.id FROM sender s WHERE s.id IN (SELECT w.sender" WHICH
	") ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s) locked";
static const char take_sql[] = "CREATE TEMP TABLE lifting ON COMMIT DROP AS SELECT sender, "
			       "service, origin, case_id FROM wish"
			       " LIMIT 0";
static const char fill_sql[] =
	"INSERT INTO pg_temp.lifting SELECT w.sender, w.service, w.origin, w.case_id" WHICH;
static const char sum_sql[] =
	"SELECT count(*), count(DISTINCT sender), (SELECT coalesce(sum(k.reports), 0)::bigint"
	" FROM case_file k WHERE k.id IN (SELECT case_id FROM pg_temp.lifting)) FROM "
	"pg_temp.lifting";
static const char *const plain_steps[] = {
	"DELETE FROM wish w USING pg_temp.lifting l WHERE w.sender = l.sender"
	" AND w.service = l.service AND w.origin = l.origin",
	"INSERT INTO dirty (sender, service) SELECT DISTINCT sender, service FROM pg_temp.lifting",
};
static const char retract_sql[] = "INSERT INTO retraction (sender, case_id, at) SELECT DISTINCT "
				  "sender, case_id, $1::timestamptz FROM pg_temp.lifting";
static const char found_sql[] = "INSERT INTO finding (case_id, at, was_right, cause, actor) SELECT "
				"DISTINCT case_id, $1::timestamptz, false, 'lift', $2 FROM "
				"pg_temp.lifting";
static const char action_sql[] =
	"UPDATE action x SET state = 'lifted', reason = $1 FROM pg_temp.lifting l"
	" WHERE x.case_id = l.case_id AND x.sender = l.sender AND x.service = l.service"
	" AND x.origin NOT LIKE 'order:%' AND x.state IN ('wanted', 'admitted', 'held')";
static const char case_sql[] =
	"UPDATE case_file k SET state = 'closed', outcome = 'lifted', closed_at = $1,"
	" version = version + 1 WHERE k.id IN (SELECT case_id FROM pg_temp.lifting)"
	" AND k.state <> 'closed' AND NOT EXISTS (SELECT FROM wish w WHERE w.sender = k.sender"
	" AND w.service = k.service AND w.case_id = k.id)";
static const char floor_sql[] =
	"INSERT INTO standing AS t (sender, service, score, as_of, terms, votes, floor, rules, "
	"policy)"
	" SELECT DISTINCT sender, service, 0::real, NULL::timestamptz, '[]', 0, $1::timestamptz, "
	"'', ''"
	" FROM pg_temp.lifting ON CONFLICT (sender, service) DO UPDATE SET score = 0, as_of = NULL,"
	" terms = '[]', votes = 0, floor = greatest(t.floor, excluded.floor)";

static enum rc gather(struct pg *c, const struct pg_param *p, struct lift_done *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, lock_sql, p, WHICH_PARAMS, NULL, e);

	if (rc == RC_OK)
		rc = pg_script(c, take_sql, e);
	if (rc == RC_OK)
		rc = pg_run(c, fill_sql, p, WHICH_PARAMS, NULL, e);
	if (rc == RC_OK)
		rc = pg_script(c, "ANALYZE pg_temp.lifting", e);
	if (rc == RC_OK)
		rc = pg_run(c, sum_sql, NULL, 0, &r, e);
	if (rc != RC_OK)
		return rc;
	out->wishes = pg_int(r, 0, 0);
	out->senders = pg_int(r, 0, 1);
	out->reports = pg_int(r, 0, 2);
	return out->wishes > 0 ? RC_OK : err_set(e, RC_NONE, "there is nothing to lift");
}

/* Two people mean the same when they narrow by the same words. */
static void selection(const struct pg_param p[WHICH_PARAMS], char hex[65])
{
	BUF_OWN struct buf b;
	struct digest d;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < WHICH_PARAMS; i++)
		buf_fmt(&b, "%s\n", p[i].ptr != NULL ? p[i].ptr : "-");
	sha256(buf_slice(&b), d.sum);
	digest_hex(&d, hex);
}

static enum rc end_all(struct pg *c, const char *why, const char *actor, int64_t now_us,
	struct arena *a, struct err *e)
{
	struct pg_param now = pg_p_time(now_us, a), reason = pg_p_str(why);
	struct pg_param found[] = {now, pg_p_str(actor)};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(plain_steps); i++)
		rc = pg_run(c, plain_steps[i], NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, retract_sql, &now, 1, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, found_sql, found, 2, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, action_sql, &reason, 1, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, case_sql, &now, 1, NULL, e);
	return rc == RC_OK ? pg_run(c, floor_sql, &now, 1, NULL, e) : rc;
}

static enum rc tell(struct pg *c, const struct lift_done *d, const char *hash, const char *why,
	const char *actor, int64_t now_us, struct arena *a, struct err *e)
{
	const char *line = arena_fmt(a, "lift selection=%s wishes=%lld senders=%lld%s why=%s\n",
		hash, (long long)d->wishes, (long long)d->senders, d->waits ? " asked" : "", why);

	if (line == NULL)
		return err_set(e, RC_LIMIT, "the reason is too long");
	return audit_append(c, now_us, actor, "lift", slice_str(line), e);
}

static enum rc lift_once(struct pg *c, const struct lift_which *w, const char *why,
	int64_t alone_max, const char *actor, int64_t now_us, struct arena *a,
	struct lift_done *out, struct err *e)
{
	struct pg_param p[WHICH_PARAMS];
	struct lift_done done = {.waits = false};
	bool agreed = true;
	char hash[65];
	enum rc rc = which_params(w, p, a, e);

	if (rc != RC_OK)
		return rc;
	selection(p, hash);
	rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = gather(c, p, &done, e);
	if (rc == RC_OK && done.wishes > alone_max)
		rc = approval_ask(c, "lift", hash, done.wishes, actor, now_us, a, &agreed, e);
	done.waits = !agreed;
	if (rc == RC_OK && agreed)
		rc = end_all(c, why, actor, now_us, a, e);
	if (rc == RC_OK)
		rc = tell(c, &done, hash, why, actor, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc == RC_OK)
		*out = done;
	else
		pg_rollback(c);
	return rc;
}

enum rc lift_carry_out(struct pg *c, const struct lift_which *w, const char *why, int64_t alone_max,
	const char *actor, int64_t now_us, struct arena *a, struct lift_done *out, struct err *e)
{
	enum rc rc;
	int tries = 0;

	do
		rc = lift_once(c, w, why, alone_max, actor, now_us, a, out, e);
	while (pg_collided(rc, e) && ++tries < 5);
	return rc;
}
