/* What the ladder decided, kept as one row per episode, and the wishes that follow from the newest one. The keeper may be admitting or
 * holding the same wishes at this moment: what a wish becomes is therefore decided inside the statement, on the row as it is then, and
 * a wish that says the same is not touched. Leaves out caps and the list itself: those are the keeper's. */
#include <stdlib.h>

#include "cases/ledger.h"

/* The known ones of one touched sender and class, which lie together. */
struct before {
	const struct known *at;
	size_t n;
};

/* The decisions of one touched sender, service and class. */
struct ruling {
	const struct touched *t;
	enum report_class cls;
	const struct kase *kase; /* NULL: nothing to say but that it is over */
	struct before before;
	bool news; /* an episode is new or has changed */
};

static struct before before_of(const struct work *w, size_t touched, enum report_class c)
{
	size_t low = 0, high = w->n_known, end;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct known *k = &w->known[mid];

		if (k->touched < touched || (k->touched == touched && k->cls < c))
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low;
		end < w->n_known && w->known[end].touched == touched && w->known[end].cls == c;)
		end++;
	return (struct before){w->known + low, end - low};
}

static const struct known *episode_at(struct before b, int64_t decided_at)
{
	for (size_t i = 0; i < b.n; i++)
		if (!b.at[i].wish && b.at[i].decided_at == decided_at)
			return &b.at[i];
	return NULL;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b != NULL ? b : "") == 0;
}

/* Stored already, and what the ladder says of it now changes nothing. The statement decides again, on the row as it is then; this only
 * spares it what is known to be in vain. */
static bool says_nothing_new(const struct known *k, const struct decided *x)
{
	if (same(k->state, "lifted"))
		return true;
	if (k->until != x->until || k->rung != x->rung || k->reporters != x->reporters ||
		k->matched != x->matched || !same(k->action, x->action))
		return false;
	if (same(k->state, "ended") && same(x->state, "expired"))
		return true;
	if (same(k->state, "admitted") && !same(x->state, "expired") &&
		!same(x->reason, "protected"))
		return true;
	return same(k->state, x->state) && same(k->reason, x->reason);
}

static bool something_new(const struct touched *t, enum report_class c, struct before b)
{
	for (size_t i = 0; i < t->cls[c].n_episodes; i++) {
		const struct known *k = episode_at(b, t->cls[c].episodes[i].decided_at);

		if (k == NULL || !says_nothing_new(k, &t->cls[c].episodes[i]))
			return true;
	}
	return false;
}

static enum rc gather(const struct work *w, const struct touched *t, size_t n, struct arena *a,
	struct docket *out, struct err *e)
{
	struct ruling *at = arena_array(a, 2 * n, sizeof(*at));
	size_t kept = 0;

	if (n > 0 && at == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	for (size_t i = 0; i < n; i++)
		for (enum report_class c = CLASS_NUISANCE; c <= CLASS_SCAM; c++) {
			struct before b = before_of(w, i, c);
			bool says = t[i].cls[c].n_episodes > 0 || t[i].cls[c].one_leg;

			if (!says && b.n == 0)
				continue;
			const struct kase *k = case_of(w, i, c);
			if (says && k == NULL)
				return err_set(e, RC_FATAL, "ledger: a decision without a case");
			at[kept++] = (struct ruling){
				&t[i], c, says ? k : NULL, b, something_new(&t[i], c, b)};
		}
	*out = (struct docket){.at = at, .n = kept};
	return RC_OK;
}

/* ---- episodes ---- */

/* What a stored episode becomes when the ladder says it again. What was lifted, or acted on, is not undone by saying it again; what was
 * wished for and is over has ended. */
#define NEXT_STATE                                                                               \
	"CASE WHEN a.state IN ('ended', 'admitted', 'wanted') AND excluded.state = 'expired' "   \
	"THEN 'ended'"                                                                           \
	" WHEN a.state = 'admitted' AND excluded.reason <> 'protected' THEN 'admitted'"          \
	" WHEN a.state = 'held' AND a.reason LIKE 'cap\\_%' AND excluded.state = 'wanted' THEN " \
	"'held'"                                                                                 \
	" ELSE excluded.state END"
#define NEXT_REASON                                                                             \
	"CASE WHEN a.state = 'held' AND a.reason LIKE 'cap\\_%' AND excluded.state = 'wanted' " \
	"THEN a.reason"                                                                         \
	" WHEN a.state = 'admitted' AND excluded.reason <> 'protected' THEN ''"                 \
	" ELSE excluded.reason END"

static enum rc send_episodes(struct ledger *l, const struct ledger_settings *s,
	const struct docket *d, int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	static const char sql[] =
		"INSERT INTO action AS a (origin, case_id, sender, service, class, rung, action, "
		"decided_at,"
		" until, state, reason, basis, reporters, matched, score, terms, rules, policy, "
		"recorded_at)"
		" SELECT 'auto', u.*, $16, $17, $18 FROM unnest($1::text[], $2::bigint[], "
		"$3::smallint[],"
		" $4::smallint[], $5::smallint[], $6::text[], $7::timestamptz[], $8::timestamptz[],"
		" $9::text[], $10::text[], $11::text[], $12::int[], $13::int[], $14::real[], "
		"$15::text[]) u"
		" ON CONFLICT (sender, service, class, decided_at)"
		" WHERE origin = 'auto' AND state <> 'superseded' DO UPDATE SET"
		" rung = excluded.rung, action = excluded.action, until = excluded.until,"
		" basis = excluded.basis, reporters = excluded.reporters, matched = "
		"excluded.matched,"
		" state = " NEXT_STATE ", reason = " NEXT_REASON
		" WHERE a.state <> 'lifted' AND (a.rung, a.action, a.until, a.reporters, "
		"a.matched, a.state,"
		" a.reason) IS DISTINCT FROM (excluded.rung, excluded.action, excluded.until,"
		" excluded.reporters, excluded.matched, " NEXT_STATE ", " NEXT_REASON ")"
		" RETURNING a.case_id, a.sender, a.service, a.class, a.action, a.state, a.reason,"
		" a.decided_at, a.until";

	arrays_begin(l);
	struct pg_array *kase = array_of(l, PG_TEXT), *sender = array_of(l, PG_INT8),
			*service = array_of(l, PG_INT2), *cls = array_of(l, PG_INT2),
			*rung = array_of(l, PG_INT2), *action = array_of(l, PG_TEXT),
			*decided = array_of(l, PG_TIMESTAMPTZ),
			*until = array_of(l, PG_TIMESTAMPTZ), *state = array_of(l, PG_TEXT),
			*reason = array_of(l, PG_TEXT), *basis = array_of(l, PG_TEXT),
			*reporters = array_of(l, PG_INT4), *matched = array_of(l, PG_INT4),
			*score = array_of(l, PG_FLOAT4), *terms = array_of(l, PG_TEXT);
	for (size_t i = 0; i < d->n; i++)
		for (size_t j = 0; d->at[i].news && j < d->at[i].t->cls[d->at[i].cls].n_episodes;
			j++) {
			const struct touched *t = d->at[i].t;
			const struct decided *x = &t->cls[d->at[i].cls].episodes[j];

			pg_array_text(kase, slice_str(d->at[i].kase->id));
			pg_array_int(sender, t->sender_id);
			pg_array_int(service, t->service);
			pg_array_int(cls, d->at[i].cls);
			pg_array_int(rung, x->rung);
			pg_array_text(action, slice_str(x->action));
			pg_array_time(decided, x->decided_at);
			pg_array_time(until, x->until);
			pg_array_text(state, slice_str(x->state));
			pg_array_text(reason, slice_str(x->reason != NULL ? x->reason : ""));
			pg_array_text(basis, slice_str(x->basis != NULL ? x->basis : ""));
			pg_array_int(reporters, x->reporters);
			pg_array_int(matched, x->matched);
			pg_array_real(score, t->score);
			pg_array_text(terms, t->terms.len > 0 ? t->terms : SLICE("[]"));
		}
	if (kase->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(kase), pg_p_array(sender), pg_p_array(service),
		pg_p_array(cls), pg_p_array(rung), pg_p_array(action), pg_p_array(decided),
		pg_p_array(until), pg_p_array(state), pg_p_array(reason), pg_p_array(basis),
		pg_p_array(reporters), pg_p_array(matched), pg_p_array(score), pg_p_array(terms),
		pg_p_str(s->rules_version), pg_p_str(s->policy_version), pg_p_time(now_us, a)};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

static void note_time(struct buf *b, const char *name, int64_t us)
{
	char text[TIME_TEXT];

	if (us == TIME_NONE)
		return;
	time_format(us, text);
	buf_fmt(b, " %s=%s", name, text);
}

/* "WHAT number/8491*****78 sms scam", to go on with. */
static void note_sender(struct buf *b, const char *what, const struct ruling *v)
{
	char masked[MASKED_TEXT];

	buf_fmt(b, "%s %s/%s %s %s", what, scope_name(v->t->sender.scope),
		masked_sender(&v->t->sender, masked), service_name(v->t->service),
		class_name(v->cls));
}

static void note_superseded(struct ledger *l, const struct ruling *v, const struct known *k)
{
	note_sender(&l->audit, "superseded", v);
	buf_fmt(&l->audit, " %s %s", k->action, k->state);
	note_time(&l->audit, "decided_at", k->decided_at);
	note_time(&l->audit, "until", k->until);
	buf_byte(&l->audit, '\n');
}

/* Where the ladder's knowledge begins: what was decided before it can neither be confirmed nor withdrawn. */
static int64_t horizon(const struct touched *t, enum report_class c)
{
	if (t->cut)
		return INT64_MAX;
	if (t->cls[c].earlier > 0 && t->cls[c].episodes[0].decided_at - 1 > t->floor)
		return t->cls[c].episodes[0].decided_at - 1;
	return t->floor;
}

static bool has_episode(const struct touched *t, enum report_class c, int64_t decided_at)
{
	for (size_t i = 0; i < t->cls[c].n_episodes; i++)
		if (t->cls[c].episodes[i].decided_at == decided_at)
			return true;
	return false;
}

/* Episodes that the ladder no longer has: a report that came late has moved or joined them. */
static enum rc send_superseded(struct ledger *l, const struct docket *d, int *sent, struct err *e)
{
	static const char sql[] = "UPDATE action SET state = 'superseded', reason = 'recomputed'"
				  " WHERE id = ANY($1::bigint[]) AND state <> 'lifted'";

	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_INT8);
	for (size_t i = 0; i < d->n; i++) {
		const struct ruling *v = &d->at[i];
		int64_t from = horizon(v->t, v->cls);

		for (size_t j = 0; j < v->before.n; j++) {
			const struct known *k = &v->before.at[j];

			if (k->wish || k->decided_at <= from ||
				has_episode(v->t, v->cls, k->decided_at))
				continue;
			pg_array_int(id, k->id);
			note_superseded(l, v, k);
		}
	}
	if (id->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(id)};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

static enum rc recv_episodes(struct ledger *l, const struct touched *t, size_t n, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		const struct touched *at =
			touched_at(t, n, pg_int(r, i, 1), (enum service)pg_int(r, i, 2));
		struct slice kase = pg_text(r, i, 0), action = pg_text(r, i, 4),
			     state = pg_text(r, i, 5), reason = pg_text(r, i, 6);
		char masked[MASKED_TEXT];

		if (at == NULL)
			return err_set(e, RC_FATAL, "ledger: an action nobody took");
		buf_fmt(&l->audit, "action %.*s %s/%s %s %s %.*s %.*s%s%.*s", (int)kase.len,
			kase.ptr, scope_name(at->sender.scope), masked_sender(&at->sender, masked),
			service_name(at->service), class_name((enum report_class)pg_int(r, i, 3)),
			(int)action.len, action.ptr, (int)state.len, state.ptr,
			reason.len > 0 ? " " : "", (int)reason.len, reason.ptr);
		note_time(&l->audit, "decided_at", pg_time_us(r, i, 7));
		note_time(&l->audit, "until", pg_time_us(r, i, 8));
		buf_byte(&l->audit, '\n');
	}
	return rc;
}

/* ---- wishes ---- */

/* What should be on the list, or wait for people, because of one class. */
struct hope {
	bool want;
	const char *action, *detail, *basis, *state, *reason;
	int64_t until,
		decided_at; /* until of no wish: an admitted one that ends then may stay (shadow) */
	enum rung rung;
};

static struct hope hope_of(const struct work *w, const struct touched *t, enum report_class c)
{
	size_t n = t->cls[c].n_episodes;
	const struct decided *x = n > 0 ? &t->cls[c].episodes[n - 1] : NULL;
	bool live = x != NULL && (strcmp(x->state, "wanted") == 0 || strcmp(x->state, "held") == 0);

	if (live)
		return (struct hope){
			.want = true,
			.action = x->rung == RUNG_THROTTLE ? "throttle" : "bar",
			.detail = x->action,
			.basis = x->basis != NULL ? x->basis : "",
			.state = x->state,
			.reason = x->reason != NULL ? x->reason : "",
			.until = x->until,
			.decided_at = x->decided_at,
			.rung = x->rung,
		};
	if (t->cls[c].one_leg && !w->shadow)
		return (struct hope){
			.want = true,
			.action = "bar",
			.detail = "bar",
			.basis = "many reports, no independent signal",
			.state = "held",
			.reason = "one_leg",
			.until = TIME_NONE,
			.decided_at = t->cls[c].one_leg_at,
			.rung = RUNG_BAR,
		};
	return (struct hope){
		.until = x != NULL && strcmp(x->state, "shadow") == 0 ? x->until : TIME_NONE,
		.decided_at = TIME_NONE,
	};
}

/* The same wish is there, or none is wanted and none is there. Spares the statement what is known to be in vain. */
static bool hopes_nothing_new(const struct hope *h, struct before b)
{
	const struct known *k = NULL;

	for (size_t i = 0; i < b.n; i++)
		if (b.at[i].wish)
			k = &b.at[i];
	if (k == NULL)
		return !h->want;
	return h->want && k->until == h->until && k->decided_at == h->decided_at &&
		k->rung == h->rung && same(k->action, h->detail) &&
		(same(k->state, "admitted")
				? !same(h->reason, "protected")
				: same(k->state, h->state) && same(k->reason, h->reason));
}

/* A count without its leg is no episode, so that no action tells of it. */
static void note_one_leg(struct ledger *l, const struct ruling *v, const struct hope *h)
{
	bool is_held = h->want && same(h->reason, "one_leg"), was_held = false;

	for (size_t i = 0; i < v->before.n; i++)
		was_held = was_held ||
			(v->before.at[i].wish && same(v->before.at[i].reason, "one_leg"));
	if (is_held == was_held)
		return;
	note_sender(&l->audit, is_held ? "held" : "withdrawn", v);
	buf_fmt(&l->audit, " one_leg%s%s\n", v->kase != NULL ? " " : "",
		v->kase != NULL ? v->kase->id : "");
}

/* With more verified votes than anybody looks at, those behind a running block may be out of sight: then nothing that weakens it is said. Else whoever
 * can report without end could set a sender free. */
static bool out_of_sight(const struct ruling *v, const struct hope *h)
{
	if (!v->t->cut || (h->want && same(h->state, "wanted")))
		return false;
	for (size_t i = 0; i < v->before.n; i++)
		if (v->before.at[i].wish && same(v->before.at[i].state, "admitted"))
			return !same(h->reason != NULL ? h->reason : "", "protected");
	return false;
}

/* An admitted wish that is still running: it stays when the new one would only be held (a mode or a rule changed meanwhile), unless its
 * sender is protected now, or later reports took away the leg it stood on: that must not depend on whether the keeper was quicker. */
#define STAYS                                                                          \
	"(w.state = 'admitted' AND coalesce(w.until > $15, true) AND d.state = 'held'" \
	" AND d.reason NOT IN ('protected', 'one_leg'))"
/* The same wish again: admitted already, held back by the keeper, or word for word. */
#define SAME                                                                        \
	"(w.until IS NOT DISTINCT FROM d.until AND w.action = d.action AND"         \
	" ((w.state = 'admitted' AND d.reason <> 'protected')"                      \
	" OR (w.state = 'held' AND w.reason LIKE 'cap\\_%' AND d.state = 'wanted')" \
	" OR (w.state = d.state AND w.reason = d.reason AND w.detail = d.detail"    \
	" AND w.case_id = d.case_id AND w.decided_at = d.decided_at AND w.rung = d.rung)))"

static enum rc send_wishes(struct ledger *l, const struct work *w, const struct docket *d,
	int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	/* A decision that moved while its former one has not run out: what was admitted stays so unless it grows stronger, and what
	 * a cap holds is still for a person. */
#define RUNS "excluded.state = 'wanted' AND coalesce(w.until > $15, true)"
#define CAPPED RUNS " AND w.state = 'held' AND w.reason IN ('cap_hour', 'cap_day')"
	/* In ON CONFLICT the new row is called excluded; STAYS and SAME call it d. */
	static const char sql[] =
		"WITH d AS MATERIALIZED (SELECT * FROM unnest($1::bool[], $2::bigint[], "
		"$3::smallint[],"
		" $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[],"
		" $10::smallint[], $11::real[], $12::timestamptz[], $13::timestamptz[], "
		"$14::text[],"
		" $16::text[]) u(want, sender, service, origin, action, detail, case_id, until, "
		"basis, rung,"
		" score, first_at, decided_at, state, reason)),"
		" gone AS (DELETE FROM wish w USING d WHERE NOT d.want AND w.sender = d.sender"
		" AND w.service = d.service AND w.origin = d.origin"
		" AND NOT (w.state = 'admitted' AND w.until IS NOT DISTINCT FROM d.until)"
		" RETURNING w.sender, w.service),"
		" put AS (INSERT INTO wish AS w (sender, service, origin, action, detail, case_id, "
		"until,"
		" basis, rung, score, first_at, decided_at, state, reason)"
		" SELECT sender, service, origin, action, detail, case_id, until, basis, rung, "
		"score,"
		" first_at, decided_at, state, reason FROM d WHERE want"
		" ON CONFLICT (sender, service, origin) DO UPDATE SET action = excluded.action,"
		" detail = excluded.detail, case_id = excluded.case_id, until = excluded.until,"
		" basis = excluded.basis, rung = excluded.rung, score = excluded.score,"
		" first_at = excluded.first_at, decided_at = excluded.decided_at,"
		" state = CASE WHEN " CAPPED " THEN 'held' WHEN " RUNS
		" AND w.state = 'admitted' AND (w.action IN ('bar', excluded.action)"
		" OR excluded.action = 'label') THEN 'admitted' ELSE excluded.state END,"
		" reason = CASE WHEN " CAPPED " THEN w.reason ELSE excluded.reason END"
		" WHERE NOT (SELECT " STAYS " OR " SAME " FROM (SELECT excluded.*) d)"
		" RETURNING w.sender, w.service)"
		" INSERT INTO dirty (sender, service) SELECT sender, service FROM gone"
		" UNION SELECT sender, service FROM put";

	arrays_begin(l);
	struct pg_array *want = array_of(l, PG_BOOL), *sender = array_of(l, PG_INT8),
			*service = array_of(l, PG_INT2), *origin = array_of(l, PG_TEXT),
			*action = array_of(l, PG_TEXT), *detail = array_of(l, PG_TEXT),
			*kase = array_of(l, PG_TEXT), *until = array_of(l, PG_TIMESTAMPTZ),
			*basis = array_of(l, PG_TEXT), *rung = array_of(l, PG_INT2),
			*score = array_of(l, PG_FLOAT4), *first = array_of(l, PG_TIMESTAMPTZ),
			*decided = array_of(l, PG_TIMESTAMPTZ), *state = array_of(l, PG_TEXT),
			*reason = array_of(l, PG_TEXT);
	for (size_t i = 0; i < d->n; i++) {
		const struct ruling *v = &d->at[i];
		struct hope h = hope_of(w, v->t, v->cls);

		if (hopes_nothing_new(&h, v->before) || out_of_sight(v, &h))
			continue;
		note_one_leg(l, v, &h);
		pg_array_int(want, h.want);
		pg_array_int(sender, v->t->sender_id);
		pg_array_int(service, v->t->service);
		pg_array_text(
			origin, v->cls == CLASS_SCAM ? SLICE("auto:scam") : SLICE("auto:nuisance"));
		pg_array_text(action, slice_str(h.action));
		pg_array_text(detail, slice_str(h.detail));
		pg_array_text(kase, v->kase != NULL ? slice_str(v->kase->id) : slice_of(NULL, 0));
		pg_array_time(until, h.until);
		pg_array_text(basis, slice_str(h.basis));
		pg_array_int(rung, h.rung);
		pg_array_real(score, v->t->score);
		pg_array_time(first, v->kase != NULL ? v->kase->first_at : TIME_NONE);
		pg_array_time(decided, h.decided_at);
		pg_array_text(state, slice_str(h.state));
		pg_array_text(reason, slice_str(h.reason));
	}
	if (want->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(want), pg_p_array(sender), pg_p_array(service),
		pg_p_array(origin), pg_p_array(action), pg_p_array(detail), pg_p_array(kase),
		pg_p_array(until), pg_p_array(basis), pg_p_array(rung), pg_p_array(score),
		pg_p_array(first), pg_p_array(decided), pg_p_array(state), pg_p_time(now_us, a),
		pg_p_array(reason)};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* Wishes before actions: the order of the keeper, who writes both. */
enum rc actions_send(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct touched *t, size_t n_touched, int64_t now_us, struct arena *a,
	struct docket *out, int *sent, struct err *e)
{
	int recorded = 0;
	enum rc rc = gather(w, t, n_touched, a, out, e);

	if (rc != RC_OK || out->n == 0)
		return rc;
	rc = send_wishes(l, w, out, now_us, a, sent, e);
	if (rc == RC_OK)
		rc = send_superseded(l, out, sent, e);
	if (rc == RC_OK)
		rc = send_episodes(l, s, out, now_us, a, &recorded, e);
	out->recorded = recorded > 0;
	*sent += recorded;
	return rc;
}

enum rc actions_recv(struct ledger *l, const struct docket *d, int sent, const struct touched *t,
	size_t n_touched, struct err *e)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < sent - (d->recorded ? 1 : 0); i++)
		rc = pg_recv(l->pg, NULL, e);
	if (rc == RC_OK && d->recorded)
		rc = recv_episodes(l, t, n_touched, e);
	return rc;
}
