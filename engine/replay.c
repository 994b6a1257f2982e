/* What another policy, pack or model would have decided over a span of the past, beside what was decided: every report of every sender that was reported in the span
 * is judged again, sender after sender, and the episodes that differ are told. Reads in one read-only transaction and writes nothing.
 * Leaves out caps, protection and mode, which decide what becomes of an episode: a protected sender is only named as one. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/judge.h"

#define FETCH_ROWS 4000

/* ---- reading ahead ---- */

struct cursor {
	struct pg *pg;
	const char *fetch;
	struct pg_result *rows;
	int at;
};

/* False: there are no more rows, or *rc says why not. */
static bool cursor_on(struct cursor *k, enum rc *rc, struct err *e)
{
	if (k->rows != NULL && ++k->at < pg_rows(k->rows))
		return true;
	pg_free(TAKE(k->rows));
	k->at = 0;
	*rc = pg_run(k->pg, k->fetch, NULL, 0, &k->rows, e);
	return *rc == RC_OK && pg_rows(k->rows) > 0;
}

static void cursor_done(struct cursor *k)
{
	pg_free(TAKE(k->rows));
}

enum {
	R_SENDER,
	R_SCOPE,
	R_VALUE,
	R_ATTR,
	R_SERVICE,
	R_KIND,
	R_CATEGORY,
	R_RECEIVED,
	R_OCCURRED,
	R_REPORTER,
	R_VERIFIED,
	R_MATCHED,
	R_ORIGIN,
	R_LABEL,
	R_SCORE,
	R_FLOOR,
	R_PROTECTED,
	R_LEGS,
	R_CONTENT
};
/* What is known of a sender is asked once, not for each of its reports. */
#define REPORTS(content)                                                                           \
	"DECLARE replayed NO SCROLL CURSOR FOR WITH k AS MATERIALIZED (SELECT s.id, s.scope,"      \
	" s.value, s.attribution, t0.floor AS f0, t1.floor AS f1, CASE s.scope WHEN 'number' THEN" \
	" (SELECT max(b.at) FROM subscription b WHERE b.number = s.value AND b.event IN"           \
	" ('reassigned', 'terminated')) END AS gone, " PROTECTED_EXISTS(                           \
		"0", "$3") " AS p0, " PROTECTED_EXISTS("1",                                        \
		"$3") " AS p1, g0.legs AS l0, g1.legs AS l1"                                       \
		      " FROM (SELECT DISTINCT x.sender FROM report x WHERE x.received_at >= $1"    \
		      " AND x.received_at < $2 AND x.sender <> 0) x JOIN sender s ON s.id ="       \
		      " x.sender LEFT JOIN standing t0 ON t0.sender = s.id AND t0.service = 0"     \
		      " LEFT JOIN standing t1 ON t1.sender = s.id AND t1.service = 1"              \
		      " LEFT JOIN signal g0 ON g0.sender = s.id AND g0.service = 0"                \
		      " LEFT JOIN signal g1 ON g1.sender = s.id AND g1.service = 1)"               \
		      " SELECT r.sender, k.scope, k.value, k.attribution, r.service, r.kind,"      \
		      " r.category, r.received_at, r.occurred_at, r.reporter, r.verified,"         \
		      " r.matched, r.origin, r.label, r.text_score, greatest(CASE r.service"       \
		      " WHEN 0 THEN k.f0 ELSE k.f1 END, k.gone), CASE r.service WHEN 0 THEN k.p0"  \
		      " ELSE k.p1 END, coalesce(CASE r.service WHEN 0 THEN k.l0 ELSE k.l1 END, "   \
		      "''),"                                                                       \
		      " " content " FROM k JOIN report r ON r.sender = k.id WHERE"                 \
		      " r.disposition = 0 AND r.received_at < $2 ORDER BY r.sender"
static const char reports_sql[] = REPORTS("NULL");
static const char contents_sql[] = REPORTS("r.content");
/* What was decided in the span, and how people closed the cases since. */
enum { D_SENDER, D_SERVICE, D_CLASS, D_AT, D_UNTIL, D_RUNG, D_ACTION, D_STATE, D_OUTCOME };
static const char decided_sql[] =
	"DECLARE decided NO SCROLL CURSOR FOR SELECT sender, service, class, decided_at, until,"
	" rung, action, state, '' AS outcome FROM action WHERE origin = 'auto' AND state <>"
	" 'superseded' AND decided_at >= $1 AND decided_at < $2 UNION ALL SELECT sender, service,"
	" class, NULL, NULL, 0, '', '', outcome FROM case_file WHERE state = 'closed' AND kind ="
	" 'reports' AND outcome IN ('upheld', 'lifted', 'no_action') AND sender IN (SELECT"
	" x.sender FROM report x WHERE x.received_at >= $1 AND x.received_at < $2)"
	" ORDER BY sender, decided_at";

/* ---- one sender ---- */

struct votes {
	struct vote *at;
	size_t n, room;
};

struct was {
	enum service service;
	enum report_class cls;
	int64_t at, until;
	enum rung rung;
	char action[12], state[12];
};
#define MAX_WAS 512

struct subject {
	int64_t id;
	struct sender sender;
	enum attribution attribution;
	struct votes votes[SERVICES];
	int64_t floor[SERVICES];
	struct signals signals[SERVICES];
	bool is_protected[SERVICES];
	struct was was[MAX_WAS];
	size_t n_was;
	bool upheld[SERVICES][CLASSES], overturned[SERVICES][CLASSES];
};

struct replay {
	struct pg *pg;
	const struct replay_settings *s;
	const struct policy *policy;
	struct scan *scan; /* NULL: texts are not judged again */
	struct cursor reports, decided;
	bool more_decided;
	struct subject now;
	struct arena *arena;
	struct buf line;
	struct replay_done *out;
};

static int by_vote(const void *a, const void *b)
{
	const struct vote *x = a, *y = b;

	if (x->reporter != y->reporter)
		return x->reporter < y->reporter ? -1 : 1;
	return (x->day > y->day) - (x->day < y->day);
}

/* Votes of one reporter and day become one. */
static void squeeze(struct votes *v)
{
	size_t kept = 0;

	if (v->n == 0)
		return;
	qsort(v->at, v->n, sizeof(*v->at), by_vote);
	for (size_t i = 1; i < v->n; i++)
		if (by_vote(&v->at[kept], &v->at[i]) == 0)
			vote_merge(&v->at[kept], &v->at[i]);
		else
			v->at[++kept] = v->at[i];
	v->n = kept + 1;
}

static bool add_vote(struct votes *v, const struct vote *one)
{
	if (v->n == v->room)
		squeeze(v);
	if (v->n * 4 >= v->room * 3) {
		size_t room = v->room == 0 ? 1024 : v->room * 2;
		struct vote *at = realloc(v->at, room * sizeof(*at));

		if (at == NULL)
			return false;
		v->at = at;
		v->room = room;
	}
	v->at[v->n++] = *one;
	return true;
}

/* Label and score as they would be now. A call's text decides nothing of a vote. */
static void judge_text(struct replay *r, enum kind kind, enum label *label, double *score)
{
	struct slice content = pg_bytes(r->reports.rows, r->reports.at, R_CONTENT);
	struct verdict v = {.label = LABEL_NONE};

	if (r->scan == NULL || kind == KIND_V)
		return;
	if (content.len > 0)
		classify(r->scan, content, &v);
	r->out->judged_again++;
	r->out->label_changed += v.label != *label;
	*label = v.label;
	*score = v.label == LABEL_SPAM || v.label == LABEL_SCAM ? v.score : 0;
}

static bool is_scam(const struct replay *r, enum kind kind, enum label label, double score)
{
	if (kind == KIND_LD ||
		policy_scam_category(
			r->policy, pg_text(r->reports.rows, r->reports.at, R_CATEGORY)))
		return true;
	return kind == KIND_S && label == LABEL_SCAM && score >= r->policy->text_scam_at;
}

static bool take_report(struct replay *r)
{
	const struct pg_result *q = r->reports.rows;
	int i = r->reports.at;
	enum kind kind = (enum kind)pg_int(q, i, R_KIND);
	enum service service = pg_int(q, i, R_SERVICE) == 1 ? SERVICE_VOICE : SERVICE_SMS;
	enum label label = (enum label)pg_int(q, i, R_LABEL);
	double score = pg_real(q, i, R_SCORE);
	int64_t at = pg_time_us(q, i, R_RECEIVED), occurred = pg_time_us(q, i, R_OCCURRED);
	enum matched matched = (enum matched)pg_int(q, i, R_MATCHED);
	bool spoofed = false, verified = pg_bool(q, i, R_VERIFIED);
	const char *why = contact_reason(
		matched, (enum origin)pg_int(q, i, R_ORIGIN), &r->now.sender, &spoofed);
	bool late = occurred != TIME_NONE && at - occurred > r->policy->late_after_s * US_PER_S;
	bool counts = strcmp(why, "counted") == 0 && !late;

	r->out->reports++;
	judge_text(r, kind, &label, &score);
	r->now.floor[service] = pg_time_us(q, i, R_FLOOR);
	r->now.is_protected[service] = pg_bool(q, i, R_PROTECTED);
	signals_legs(pg_text(q, i, R_LEGS), &r->now.signals[service]);
	bool scam = is_scam(r, kind, label, score);
	struct vote v = {
		.reporter = pg_int(q, i, R_REPORTER),
		.day = time_day_vn(at),
		.weight = counts ? 1 : 0,
		.scam = scam,
		.first_at = counts ? at : TIME_NONE,
		.last_at = counts ? at : TIME_NONE,
		.verified_at = counts && verified ? at : TIME_NONE,
		.scam_at = counts && verified && scam ? at : TIME_NONE,
		.yes_at = counts && verified && matched == MATCHED_YES ? at : TIME_NONE,
		.spoof_at = spoofed ? at : TIME_NONE,
	};
	return add_vote(&r->now.votes[service], &v);
}

static void take_decided(struct replay *r)
{
	const struct pg_result *q = r->decided.rows;
	int i = r->decided.at;
	enum service s = pg_int(q, i, D_SERVICE) == 1 ? SERVICE_VOICE : SERVICE_SMS;
	enum report_class c = pg_int(q, i, D_CLASS) == 1 ? CLASS_SCAM : CLASS_NUISANCE;
	struct slice outcome = pg_text(q, i, D_OUTCOME), action = pg_text(q, i, D_ACTION),
		     state = pg_text(q, i, D_STATE);

	if (outcome.len > 0) {
		bool good = slice_eq(outcome, SLICE("upheld"));
		*(good ? &r->now.upheld[s][c] : &r->now.overturned[s][c]) = true;
		return;
	}
	if (r->now.n_was == MAX_WAS)
		return;
	struct was *w = &r->now.was[r->now.n_was++];
	*w = (struct was){.service = s,
		.cls = c,
		.at = pg_time_us(q, i, D_AT),
		.until = pg_time_us(q, i, D_UNTIL),
		.rung = (enum rung)pg_int(q, i, D_RUNG)};
	(void)snprintf(w->action, sizeof(w->action), "%.*s", (int)action.len, action.ptr);
	(void)snprintf(w->state, sizeof(w->state), "%.*s", (int)state.len, state.ptr);
}

/* ---- what would have been ---- */

struct would {
	size_t n;
	struct was at[2 * BOUND_EPISODES];
};

static void keep_walk(
	const struct replay *r, const struct walk *w, int64_t after, int64_t to, struct would *out)
{
	for (size_t i = 0; i < w->episodes; i++) {
		const struct episode *x = &w->episode[i];
		const char *bar = rung_action(r->policy, x->by, r->now.attribution);

		if (x->decided_at < r->s->from || x->decided_at >= r->s->to ||
			x->decided_at <= after || x->decided_at > to)
			continue;
		struct was *one = &out->at[out->n++];
		*one = (struct was){.at = x->decided_at, .until = x->until, .rung = x->rung};
		(void)snprintf(one->action, sizeof(one->action), "%s", bar);
	}
}

/* A floor that was set within the span leaves standing what was decided before it. */
static enum rc walk_class(
	struct replay *r, enum service s, enum report_class c, struct would *out, struct err *e)
{
	const struct votes *v = &r->now.votes[s];
	int64_t floor = r->now.floor[s];
	struct ladder ladder;
	struct walk w;
	enum rc rc = RC_OK;

	out->n = 0;
	policy_ladder(r->policy, c, r->now.attribution, s, &ladder);
	for (int floored = floor == TIME_NONE || floor > r->s->from ? 0 : 1;
		rc == RC_OK && floored <= (floor != TIME_NONE); floored++) {
		arena_reset(r->arena);
		rc = ladder_walk(&ladder, c, r->policy->window_s, r->policy->contact_yes, v->at,
			v->n, floored ? floor : TIME_NONE, &r->now.signals[s], r->arena, &w);
		if (rc == RC_OK)
			keep_walk(r, &w, floored ? floor : TIME_NONE,
				floored || floor == TIME_NONE ? INT64_MAX : floor, out);
	}
	return rc == RC_OK ? rc : err_set(e, rc, "the memory for a sender is used up");
}

static void time_member(struct buf *b, const char *name, int64_t us)
{
	char text[TIME_TEXT];

	if (us == TIME_NONE) {
		buf_fmt(b, "\"%s\":null", name);
		return;
	}
	time_format(us, text);
	buf_fmt(b, "\"%s\":\"%s\"", name, text);
}

static void put_episode(struct buf *b, const struct was *w, bool first)
{
	buf_fmt(b, "%s{", first ? "" : ",");
	time_member(b, "decided_at", w->at);
	buf_byte(b, ',');
	time_member(b, "until", w->until);
	buf_fmt(b, ",\"rung\":\"%s\",\"action\":\"%s\"", rung_name(w->rung), w->action);
	if (w->state[0] != '\0')
		buf_fmt(b, ",\"state\":\"%s\"", w->state);
	buf_byte(b, '}');
}

static bool alike(const struct was *a, const struct was *b)
{
	return a->at == b->at && a->until == b->until && a->rung == b->rung &&
		strcmp(a->action, b->action) == 0;
}

static void count_difference(struct replay *r, const struct would *would, size_t was, size_t same,
	enum service s, enum report_class c, const char **what)
{
	struct replay_done *d = r->out;

	d->was += was;
	d->would += would->n;
	d->same += same;
	if (would->n > 0) {
		d->upheld += r->now.upheld[s][c];
		d->overturned += r->now.overturned[s][c] && !r->now.upheld[s][c];
		d->protected_hit += r->now.is_protected[s];
	}
	*what = NULL;
	if (same == was && same == would->n)
		return;
	*what = was == 0 ? "blocked" : would->n == 0 ? "freed" : "changed";
	d->blocked += was == 0;
	d->freed += would->n == 0;
	d->changed += was > 0 && would->n > 0;
}

static enum rc compare(struct replay *r, enum service s, enum report_class c, struct err *e)
{
	struct would would;
	const char *what;
	size_t was = 0, same = 0;
	enum rc rc = walk_class(r, s, c, &would, e);

	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < r->now.n_was; i++) {
		const struct was *w = &r->now.was[i];

		if (w->service != s || w->cls != c)
			continue;
		was++;
		for (size_t j = 0; j < would.n; j++)
			same += alike(w, &would.at[j]);
	}
	count_difference(r, &would, was, same, s, c, &what);
	if (what == NULL)
		return RC_OK;
	buf_clear(&r->line);
	buf_fmt(&r->line, "{\"change\":\"%s\",\"scope\":\"%s\",\"value\":", what,
		scope_name(r->now.sender.scope));
	buf_json(&r->line, slice_str(r->now.sender.value));
	buf_fmt(&r->line, ",\"service\":\"%s\",\"class\":\"%s\",\"protected\":%s,\"was\":[",
		service_name(s), class_name(c), r->now.is_protected[s] ? "true" : "false");
	bool first = true;
	for (size_t i = 0; i < r->now.n_was; i++)
		if (r->now.was[i].service == s && r->now.was[i].cls == c) {
			put_episode(&r->line, &r->now.was[i], first);
			first = false;
		}
	buf_fmt(&r->line, "],\"would\":[");
	for (size_t j = 0; j < would.n; j++)
		put_episode(&r->line, &would.at[j], j == 0);
	buf_fmt(&r->line, "]}\n");
	if (r->line.failed)
		return err_set(e, RC_LIMIT, "a difference is too long to be told");
	return r->s->put(r->s->arg, buf_slice(&r->line)) ? RC_OK
							 : err_set(e, RC_RETRY, "cannot write");
}

/* ---- sender after sender ---- */

static enum rc finish_sender(struct replay *r, struct err *e)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && r->more_decided) {
		int64_t id = pg_int(r->decided.rows, r->decided.at, D_SENDER);

		if (id > r->now.id)
			break;
		if (id == r->now.id)
			take_decided(r);
		r->more_decided = cursor_on(&r->decided, &rc, e);
	}
	r->out->senders++;
	for (int s = 0; rc == RC_OK && s < SERVICES; s++) {
		squeeze(&r->now.votes[s]);
		for (int c = 0; rc == RC_OK && c < CLASSES; c++)
			rc = compare(r, (enum service)s, (enum report_class)c, e);
		r->now.votes[s].n = 0;
	}
	return rc;
}

static bool begin_sender(struct replay *r, int64_t id)
{
	const struct pg_result *q = r->reports.rows;
	struct slice value = pg_text(q, r->reports.at, R_VALUE);
	struct subject *x = &r->now;

	if (value.len >= SENDER_TEXT)
		return false;
	x->id = id;
	x->sender = (struct sender){.scope = scope_parse(pg_text(q, r->reports.at, R_SCOPE))};
	memcpy(x->sender.value, value.ptr, value.len);
	x->attribution = attribution_parse(pg_text(q, r->reports.at, R_ATTR));
	x->n_was = 0;
	memset(x->upheld, 0, sizeof(x->upheld));
	memset(x->overturned, 0, sizeof(x->overturned));
	for (int s = 0; s < SERVICES; s++) {
		x->floor[s] = TIME_NONE;
		x->signals[s] = (struct signals){0};
		x->is_protected[s] = false;
	}
	return true;
}

static enum rc walk_all(struct replay *r, struct err *e)
{
	enum rc rc = RC_OK;

	r->more_decided = cursor_on(&r->decided, &rc, e);
	r->now.id = 0;
	while (rc == RC_OK && cursor_on(&r->reports, &rc, e)) {
		int64_t id = pg_int(r->reports.rows, r->reports.at, R_SENDER);

		if (id != r->now.id && r->now.id != 0)
			rc = finish_sender(r, e);
		if (rc == RC_OK && id != r->now.id && !begin_sender(r, id))
			rc = err_set(e, RC_FATAL, "a sender of too many characters");
		if (rc == RC_OK && !take_report(r))
			rc = err_set(e, RC_RETRY, "out of memory");
		if (rc == RC_OK && r->s->stop != NULL && *r->s->stop != 0)
			rc = err_set(e, RC_RETRY, "stopped");
	}
	if (rc == RC_OK && r->now.id != 0)
		rc = finish_sender(r, e);
	return rc;
}

static enum rc open_cursors(struct replay *r, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {
		pg_p_time(r->s->from, a), pg_p_time(r->s->to, a), pg_p_time(r->s->now, a)};
	enum rc rc = pg_run(r->pg, r->scan != NULL ? contents_sql : reports_sql, p, 3, NULL, e);

	if (rc == RC_OK)
		rc = pg_run(r->pg, decided_sql, p, 2, NULL, e);
	r->reports = (struct cursor){.pg = r->pg, .fetch = "FETCH 4000 FROM replayed"};
	r->decided = (struct cursor){.pg = r->pg, .fetch = "FETCH 4000 FROM decided"};
	return rc;
}

/* What judges: the active versions, but for what was named. */
struct bench {
	struct judge *active;
	struct policy *policy;
	struct pack *pack;
	struct model *model;
	struct scan *scan;
};

static void bench_done(struct bench *b)
{
	scan_free(b->scan);
	model_free(b->model);
	pack_free(b->pack);
	policy_free(b->policy);
	judge_drop(b->active);
}

static enum rc bench_open(
	struct bench *b, struct pg *pg, const struct replay_settings *s, struct err *e)
{
	struct control control;
	struct complaints c;
	enum rc rc = control_read(pg, &control, e);

	if (rc == RC_NONE)
		return err_set(e, RC_INVALID, "nothing was activated yet");
	if (rc == RC_OK)
		rc = judge_get(pg, &control, &b->active, e);
	complaints_init(&c);
	if (rc == RC_OK && s->policy_file != NULL)
		rc = policy_load(s->policy_file, &c, &b->policy, e);
	if (rc == RC_OK && s->rules_dir != NULL)
		rc = pack_load(s->rules_dir, s->homoglyphs, &c, &b->pack, e);
	if (rc == RC_OK && s->model_file != NULL)
		rc = model_load(s->model_file, &b->model, e);
	if (rc != RC_OK && c.count > 0)
		err_set(e, RC_INVALID, "%.*s", (int)c.text.len, c.text.ptr);
	complaints_done(&c);
	if (rc != RC_OK || (s->rules_dir == NULL && s->model_file == NULL))
		return rc;
	rc = scan_new(b->pack != NULL ? b->pack : b->active->pack, &b->scan, e);
	if (rc == RC_OK)
		rc = scan_model(b->scan, b->model != NULL ? b->model : b->active->model, e);
	return rc;
}

static void name_versions(const struct bench *b, struct replay_done *out)
{
	const struct model *m = b->model != NULL ? b->model : b->active->model;

	(void)snprintf(out->policy, sizeof(out->policy), "%s",
		b->policy != NULL ? b->policy->version : b->active->policy->version);
	(void)snprintf(out->rules, sizeof(out->rules), "%s",
		pack_version(b->pack != NULL ? b->pack : b->active->pack));
	(void)snprintf(out->model, sizeof(out->model), "%s", m != NULL ? model_version(m) : "");
}

enum rc engine_replay(
	struct pg *pg, const struct replay_settings *s, struct replay_done *out, struct err *e)
{
	OWN(arena_free) struct arena *arena = arena_new(32u << 20);
	struct replay *r = calloc(1, sizeof(*r));
	struct bench b = {0};
	enum rc rc = arena != NULL && r != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");

	*out = (struct replay_done){0};
	if (rc == RC_OK)
		rc = pg_script(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc == RC_OK)
		rc = bench_open(&b, pg, s, e);
	if (rc == RC_OK) {
		name_versions(&b, out);
		*r = (struct replay){.pg = pg,
			.s = s,
			.policy = b.policy != NULL ? b.policy : b.active->policy,
			.scan = b.scan,
			.arena = arena,
			.out = out};
		buf_init(&r->line, 1u << 20);
		rc = open_cursors(r, e);
		if (rc == RC_OK)
			rc = walk_all(r, e);
		cursor_done(&r->reports);
		cursor_done(&r->decided);
		for (int i = 0; i < SERVICES; i++)
			free(r->now.votes[i].at);
		buf_done(&r->line);
	}
	pg_rollback(pg);
	bench_done(&b);
	free(r);
	return rc;
}
