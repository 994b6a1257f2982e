/* What people decide of a case: looked up in the table of its life, carried out in the caller's transaction, with a step in its history, a line in the
 * audit and, where it says something of the reports, a finding. Leaves out appeals (appeal.c), merging (merge.c) and who asks. */
#include <stdio.h>

#include "cases/decide.h"

static void keep(char *to, size_t room, struct slice s)
{
	(void)snprintf(to, room, "%.*s", (int)s.len, s.ptr != NULL ? s.ptr : "");
}

static const char hold_sql[] =
	"SELECT k.state, coalesce(k.outcome, ''), k.sender, k.version, k.service, k.class, s.scope,"
	" s.attribution, coalesce(k.merged_into, ''), EXISTS (SELECT FROM protected x WHERE"
	" x.scope = s.scope AND s.value BETWEEN x.low AND x.high AND length(x.low) = "
	"length(s.value)"
	" AND (x.service IS NULL OR x.service = k.service) AND (x.until IS NULL OR x.until > $2)),"
	" EXISTS (SELECT FROM wish w WHERE w.sender = k.sender AND w.service = k.service"
	" AND w.origin = 'person:' || k.id), EXISTS (SELECT FROM wish w WHERE w.sender = k.sender"
	" AND w.service = k.service AND w.case_id = k.id AND w.origin LIKE 'order:%')"
	" FROM case_file k JOIN sender s ON s.id = k.sender WHERE k.id = $1 FOR NO KEY UPDATE OF k";

enum rc case_hold(struct pg *c, const struct decision *d, int64_t now_us, struct arena *a,
	struct held_case *out, struct err *e)
{
	static const char lock_sql[] =
		"SELECT s.id FROM sender s WHERE s.id = (SELECT k.sender FROM case_file k"
		" WHERE k.id = $1) AND s.id <> 0 FOR NO KEY UPDATE";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_text(slice_str(d->case_id), a), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, lock_sql, p, 1, NULL, e);

	if (rc == RC_OK)
		rc = pg_run(c, hold_sql, p, 2, &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "there is no case %s", d->case_id);
	struct held_case k = {.sender = pg_int(r, 0, 2),
		.version = pg_int(r, 0, 3),
		.service = (enum service)pg_int(r, 0, 4),
		.cls = (enum report_class)pg_int(r, 0, 5),
		.is_protected = pg_bool(r, 0, 9),
		.by_person = pg_bool(r, 0, 10),
		.ordered = pg_bool(r, 0, 11)};
	keep(k.state, sizeof(k.state), pg_text(r, 0, 0));
	keep(k.outcome, sizeof(k.outcome), pg_text(r, 0, 1));
	keep(k.scope, sizeof(k.scope), pg_text(r, 0, 6));
	keep(k.attribution, sizeof(k.attribution), pg_text(r, 0, 7));
	keep(k.merged_into, sizeof(k.merged_into), pg_text(r, 0, 8));
	k.at = (enum life_state)life_parse(slice_str(k.state));
	if (d->version >= 0 && d->version != k.version)
		return err_set(e, RC_CONFLICT, "case %s is at version %lld, not %lld", d->case_id,
			(long long)k.version, (long long)d->version);
	*out = k;
	return RC_OK;
}

static bool role_may(const char *roles, const char *role)
{
	struct slice rest = slice_str(roles), one;

	while (slice_cut(&rest, '|', &one))
		if (slice_eq(one, slice_str(role)))
			return true;
	return role == NULL;
}

enum rc case_may(const struct decision *d, struct slice event, const struct held_case *k,
	const struct life_step **out, struct err *e)
{
	const struct life_step *s = life_find(k->at, event);

	if (s == NULL || strcmp(s->who, "machine") == 0 || strcmp(s->who, "keeper") == 0)
		return err_set(e, RC_INVALID, "%.*s is not possible while the case is %s",
			(int)(event.len < 32 ? event.len : 32), event.ptr, k->state);
	if (!role_may(s->who, d->role))
		return err_set(e, RC_DENIED, "the role %s may not decide %s", d->role, s->event);
	*out = s;
	return RC_OK;
}

enum rc case_go(struct pg *c, const struct decision *d, const struct life_step *s,
	const struct held_case *k, const char *more, int64_t now_us, struct arena *a,
	struct decided_case *out, struct err *e)
{
	static const char sql[] = "SELECT case_step($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)";
	OWN(pg_free) struct pg_result *r = NULL;
	const char *next = s->to == LIFE_SAME || s->to == LIFE_FORMER ? k->state : life_name(s->to);
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_str(d->actor),
		pg_p_str(s->event), pg_p_str(next),
		pg_p_str(*s->outcome != '\0' ? s->outcome : NULL),
		pg_p_text(d->reason.ptr != NULL ? d->reason : SLICE(""), a),
		pg_p_str(s->stops ? d->bulk ? "bulk" : "single" : NULL),
		pg_p_str(more != NULL ? more : "{}")};
	const char *line = arena_fmt(a, "case.%s %s %s -> %s%s\n", s->event, d->case_id, k->state,
		next, d->bulk ? " bulk" : "");
	enum rc rc = line != NULL ? pg_run(c, sql, p, ARRAY_LEN(p), &r, e)
				  : err_set(e, RC_LIMIT, "the decision is too long");

	if (rc == RC_OK)
		rc = audit_append(c, now_us, d->actor, "case", slice_str(line), e);
	if (rc != RC_OK)
		return rc;
	keep(out->state, sizeof(out->state), slice_str(next));
	out->version = pg_int(r, 0, 0);
	out->why_two[0] = '\0';
	return RC_OK;
}

enum rc case_found(struct pg *c, const struct decision *d, const struct life_step *s,
	int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] = "INSERT INTO finding (case_id, at, was_right, cause, actor)"
				  " VALUES ($1, $2, $3, $4, $5)";
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a),
		pg_p_bool(strcmp(s->finding, "right") == 0), pg_p_str(s->event),
		pg_p_str(d->actor)};

	return *s->finding != '\0' ? pg_run(c, sql, p, ARRAY_LEN(p), NULL, e) : RC_OK;
}

static enum rc tell_reports(struct pg *c, const struct decision *d, const char *status,
	const char *why, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] = "INSERT INTO retraction (sender, case_id, status, reason, at)"
				  " SELECT sender, id, $2, $3, $4 FROM case_file WHERE id = $1";
	struct pg_param p[] = {
		pg_p_str(d->case_id), pg_p_str(status), pg_p_str(why), pg_p_time(now_us, a)};

	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc case_undo(struct pg *c, const struct decision *d, const struct life_step *s,
	const char *status, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] = "SELECT case_end($1, $2, $3, $4, $5, $6)";
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_str(d->actor),
		pg_p_str(s->event), pg_p_str(s->outcome), pg_p_text(d->reason, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);

	return rc == RC_OK ? tell_reports(c, d, status, s->outcome, now_us, a, e) : rc;
}

/* ---- a wish on a person's word ---- */

struct measure {
	const char *action; /* bar, throttle, label */
	struct slice detail;
	int64_t until;
};

static bool detail_known(struct slice s)
{
	return slice_eq(s, SLICE("bar_in")) || slice_eq(s, SLICE("bar_out")) ||
		slice_eq(s, SLICE("bar_both")) || slice_eq(s, SLICE("recall"));
}

/* uphold takes over what the machine wished for; without a wish it is a bar. */
static enum rc upheld(
	struct pg *c, const struct decision *d, struct measure *m, struct arena *a, struct err *e)
{
	static const char sql[] =
		"SELECT w.action, w.detail FROM wish w JOIN case_file k ON k.id = $1 WHERE"
		" w.sender = k.sender AND w.service = k.service AND w.case_id = k.id ORDER BY"
		" array_position(ARRAY['bar', 'throttle', 'label'], w.action), w.origin LIMIT 1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(d->case_id)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	struct slice action = pg_text(r, 0, 0), detail = pg_text(r, 0, 1);
	m->action = slice_eq(action, SLICE("throttle")) ? "throttle"
		: slice_eq(action, SLICE("label"))      ? "label"
							: "bar";
	if (m->detail.len == 0 && detail_known(detail))
		m->detail = arena_copy(a, detail);
	return RC_OK;
}

enum rc case_time(
	struct pg *c, const char *sql, int64_t what, int64_t now_us, int64_t *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1024);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_int(what, a), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_null(r, 0, 0))
		rc = err_set(e, RC_INVALID, "the calendar has no working day in ten years");
	if (rc == RC_OK)
		*out = pg_time_us(r, 0, 0);
	return rc;
}

static enum rc measure_of(struct pg *c, const struct decision *d, const struct life_step *s,
	const struct held_case *k, int64_t now_us, struct measure *m, struct arena *a,
	struct err *e)
{
	enum rc rc = RC_OK;

	*m = (struct measure){.action = "bar", .detail = d->detail};
	if (strcmp(s->event, "uphold") == 0)
		rc = upheld(c, d, m, a, e);
	else if (strcmp(s->event, "bar") != 0)
		m->action = s->event;
	if (rc != RC_OK)
		return rc;
	bool own = strcmp(k->attribution, "own") == 0;
	if (strcmp(m->action, "bar") != 0)
		m->detail = slice_str(m->action);
	else if (m->detail.len == 0)
		m->detail = own ? SLICE("bar_out") : SLICE("bar_in");
	if (!own && (slice_eq(m->detail, SLICE("bar_out")) || slice_eq(m->detail, SLICE("recall"))))
		return err_set(e, RC_INVALID, "%.*s is for our own subscribers; use bar_in",
			(int)m->detail.len, m->detail.ptr);
	m->until = d->has_until && !d->open_ended ? d->until : TIME_NONE;
	if (!d->open_ended && !d->has_until)
		rc = case_time(
			c, "SELECT confirmed_until($1::int, $2)", k->cls, now_us, &m->until, e);
	if (rc != RC_OK)
		return rc;
	if (m->until != TIME_NONE && m->until <= now_us)
		return err_set(e, RC_INVALID, "until is over already");
	return RC_OK;
}

/* Why one person is not enough; "" when one is. */
static const char *needs_two(const struct held_case *k, const struct measure *m)
{
	if (k->is_protected)
		return "the sender is protected";
	if (slice_eq(m->detail, SLICE("bar_both")) || slice_eq(m->detail, SLICE("recall")))
		return "a two-way bar or a recall";
	if (strcmp(k->scope, "name") == 0 && strcmp(m->action, "bar") == 0)
		return "a sender ID";
	return "";
}

static enum rc wish_for(struct pg *c, const struct decision *d, const struct measure *m,
	int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] = "SELECT case_enforce($1, $2, $3, $4, $5, $6, $7, $8)";
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_str(d->actor),
		pg_p_str(m->action), pg_p_text(m->detail, a), pg_p_time(m->until, a),
		pg_p_text(d->basis.len > 0 ? d->basis : SLICE("a person's decision"), a),
		pg_p_text(d->reason, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);

	return rc == RC_OK ? tell_reports(c, d, "actioned", m->action, now_us, a, e) : rc;
}

static enum rc enforce(struct pg *c, const struct decision *d, const struct life_step *s,
	const struct held_case *k, int64_t now_us, struct arena *a, struct decided_case *out,
	struct err *e)
{
	struct measure m = {.action = NULL};
	char until[TIME_TEXT] = "";

	if (k->sender == 0)
		return err_set(e, RC_INVALID, "the reports of this case name no sender");
	enum rc rc = measure_of(c, d, s, k, now_us, &m, a, e);
	if (rc != RC_OK)
		return rc;
	const char *two = needs_two(k, &m);
	if (*two != '\0' && !d->agreed) {
		keep(out->why_two, sizeof(out->why_two), slice_str(two));
		keep(out->state, sizeof(out->state), slice_str(k->state));
		out->version = k->version;
		return RC_OK;
	}
	if (m.until != TIME_NONE)
		time_format(m.until, until);
	const char *more = arena_fmt(a, "{\"detail\":\"%.*s\",\"until\":%s%s%s}", (int)m.detail.len,
		m.detail.ptr, *until != '\0' ? "\"" : "", *until != '\0' ? until : "null",
		*until != '\0' ? "\"" : "");
	if (more == NULL)
		return err_set(e, RC_LIMIT, "the decision is too long");
	rc = wish_for(c, d, &m, now_us, a, e);
	return rc == RC_OK ? case_go(c, d, s, k, more, now_us, a, out, e) : rc;
}

/* ---- the others ---- */

static enum rc refer(struct pg *c, const struct decision *d, const struct life_step *s,
	const struct held_case *k, int64_t now_us, struct arena *a, struct decided_case *out,
	struct err *e)
{
	static const char sql[] = "SELECT case_refer($1, $2, $3, $4)";
	OWN(pg_free) struct pg_result *r = NULL;
	BUF_OWN struct buf more;

	buf_init(&more, 4096);
	if (d->toward.len == 0)
		return err_set(e, RC_INVALID, "to is needed: whom the case is referred to");
	if (k->sender == 0)
		return err_set(e, RC_INVALID, "the reports of this case name no sender");
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_text(d->toward, a),
		pg_p_text(d->reason, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	buf_fmt(&more, "{\"referral_id\":");
	buf_json(&more, pg_text(r, 0, 0));
	buf_fmt(&more, ",\"to\":");
	buf_json(&more, d->toward);
	buf_byte(&more, '}');
	rc = tell_reports(c, d, "forwarded", "referred", now_us, a, e);
	return rc == RC_OK ? case_go(c, d, s, k, buf_slice(&more).ptr, now_us, a, out, e) : rc;
}

static enum rc reopen(struct pg *c, const struct decision *d, const struct life_step *s,
	const struct held_case *k, int64_t now_us, struct arena *a, struct decided_case *out,
	struct err *e)
{
	static const char sql[] =
		"UPDATE case_file k SET reopened = reopened + 1, merged_into = NULL, settled_at = "
		"NULL,"
		" settled_by = '', settled_how = NULL, warned_at = NULL, breached_at = NULL,"
		" escalated_at = NULL, due_at = $2::timestamptz + (k.due_at - "
		"k.first_at)"
		" WHERE id = $1 AND NOT EXISTS (SELECT FROM case_file o WHERE o.sender = k.sender"
		" AND o.service = k.service AND o.class = k.class AND o.kind = k.kind"
		" AND o.state <> 'closed')";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_time(now_us, a)};

	if (strcmp(k->outcome, "merged") == 0)
		return err_set(e, RC_INVALID, "it was merged: split it from the other case");
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_affected(r) == 0)
		return err_set(e, RC_INVALID,
			"there is an open case of this sender, service and class already");
	return rc == RC_OK ? case_go(c, d, s, k, NULL, now_us, a, out, e) : rc;
}

enum rc case_decide(struct pg *c, const struct decision *d, int64_t now_us, struct arena *a,
	struct decided_case *out, struct err *e)
{
	struct decided_case done = {.version = 0};
	const struct life_step *s = NULL;
	struct held_case k;
	enum rc rc = case_hold(c, d, now_us, a, &k, e);

	if (rc == RC_OK)
		rc = case_may(d, d->event, &k, &s, e);
	if (rc != RC_OK)
		return rc;
	bool ends = strcmp(s->event, "lift") == 0 || strcmp(s->event, "no_action") == 0;
	if (ends && k.ordered)
		return err_set(e, RC_DENIED,
			"an order of the authority stands behind this case:"
			" only the authority lifts it");
	if (ends) {
		rc = case_undo(c, d, s, *s->event == 'l' ? "reversed" : "no_action", now_us, a, e);
		if (rc == RC_OK)
			rc = case_go(c, d, s, &k, NULL, now_us, a, &done, e);
	} else if (strcmp(s->event, "refer") == 0) {
		rc = refer(c, d, s, &k, now_us, a, &done, e);
	} else if (strcmp(s->event, "reopen") == 0) {
		rc = reopen(c, d, s, &k, now_us, a, &done, e);
	} else if (strcmp(s->event, "uphold") == 0 || s->to == LIFE_ENFORCED) {
		rc = enforce(c, d, s, &k, now_us, a, &done, e);
	} else {
		rc = err_set(e, RC_INVALID, "%s is not decided here", s->event);
	}
	if (rc == RC_OK && done.why_two[0] == '\0')
		rc = case_found(c, d, s, now_us, a, e);
	if (rc == RC_OK)
		*out = done;
	return rc;
}

/* ---- small things ---- */

enum rc case_assign(struct pg *c, const struct decision *d, struct slice assignee, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e)
{
	const struct life_step *s = NULL;
	struct held_case k;
	BUF_OWN struct buf more;
	enum rc rc = case_hold(c, d, now_us, a, &k, e);

	buf_init(&more, 4096);
	if (rc == RC_OK)
		rc = case_may(d, SLICE("assign"), &k, &s, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_text(assignee, a)};
	buf_fmt(&more, "{\"assignee\":");
	buf_json(&more, assignee);
	buf_byte(&more, '}');
	rc = pg_run(c, "UPDATE case_file SET assignee = $2 WHERE id = $1", p, 2, NULL, e);
	return rc == RC_OK ? case_go(c, d, s, &k, buf_slice(&more).ptr, now_us, a, out, e) : rc;
}

enum rc case_note(struct pg *c, const struct decision *d, struct slice text, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e)
{
	static const char sql[] =
		"INSERT INTO case_note (case_id, at, author, text) VALUES ($1, $2, $3, $4)";
	const struct life_step *s = NULL;
	struct held_case k;
	enum rc rc = case_hold(c, d, now_us, a, &k, e);

	if (rc == RC_OK)
		rc = case_may(d, SLICE("note"), &k, &s, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param p[] = {
		pg_p_str(d->case_id), pg_p_time(now_us, a), pg_p_str(d->actor), pg_p_text(text, a)};
	rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
	return rc == RC_OK ? case_go(c, d, s, &k, NULL, now_us, a, out, e) : rc;
}
