/* Decisions of people over HTTP: one transaction holds the idempotency key, the decision with its audit entry and the answer that is kept for the
 * next time. Who saw another version than there is gets 412 with what changed since. Leaves out what is decided (cases) and whether the request has
 * the right form (contract.c). */
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

/* A write under way. */
struct write {
	struct api *a;
	struct pg *pg;
	struct exchange *x;
	struct json body;
	struct arena *arena;
	struct buf *out; /* the answer */
	int64_t now_us, version;
	char actor[80], etag[24];
	int status; /* of the answer */
};
typedef enum rc write_step(struct write *w, struct err *e);

static struct slice field(const struct write *w, const char *name)
{
	return json_text(json_get(w->body, name));
}

static struct decision decision_of(const struct write *w)
{
	struct json until = json_get(w->body, "until");
	struct decision d = {.case_id = request_of(w->x)->variable,
		.version = w->version,
		.actor = w->actor,
		.role = request_of(w->x)->who.role,
		.event = field(w, "action"),
		.detail = field(w, "detail"),
		.reason = field(w, "reason"),
		.basis = field(w, "basis"),
		.toward = field(w, "to"),
		.open_ended = until.kind == JSON_NULL,
		.until = TIME_NONE};

	d.has_until = time_parse(json_text(until), &d.until) == RC_OK;
	return d;
}

/* ---- If-Match ---- */

/* "*" is any version. False: answered. */
static bool version_wanted(struct exchange *x, int64_t *out)
{
	struct slice s = slice_trim(x_header(x, "If-Match"));

	*out = -1;
	if (s.ptr == NULL || slice_eq(s, SLICE("*")))
		return true;
	if (s.len > 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"' &&
		slice_i64(slice_of(s.ptr + 1, s.len - 2), out) == RC_OK && *out >= 0)
		return true;
	/* a tag that we never gave names no version that there is */
	*out = INT32_MAX;
	return true;
}

/* What there is now and what led to it since the version that was seen. */
static void answer_changed(struct write *w, const struct err *why)
{
	static const char sql[] =
		"SELECT jsonb_build_object('type', 'about:blank', 'title', 'Precondition Failed',"
		" 'status', 412, 'detail', $4::text, 'request_id', $5::text, 'current',"
		" case_object(k, $3), 'changes', coalesce((SELECT "
		"jsonb_agg(jsonb_build_object('at',"
		" iso(v.at), 'actor', v.actor, 'event', v.event, 'from', v.from_state, 'to',"
		" v.to_state, 'version', v.version, 'reason', nullif(v.reason, '')) ORDER BY v.id)"
		" FROM case_event v WHERE v.case_id = k.id AND v.version > $2::bigint), "
		"'[]'::jsonb))::text"
		" FROM case_file k WHERE k.id = $1";
	struct pg_param p[] = {pg_p_str(request_of(w->x)->variable), pg_p_int(w->version, w->arena),
		pg_p_time(w->now_us, w->arena), pg_p_str(why->text), pg_p_str(x_request_id(w->x))};
	struct err e = {0};

	buf_clear(w->out);
	if (read_value(w->pg, sql, p, ARRAY_LEN(p), w->out, &e) != RC_OK) {
		http_problem(w->x, 412, "Precondition Failed", "%s", why->text);
		return;
	}
	buf_byte(w->out, '\n');
	http_answer(w->x, 412, "application/problem+json", buf_slice(w->out));
}

/* ---- Idempotency-Key ---- */

static void request_hash(const struct write *w, uint8_t out[SHA256_LEN])
{
	BUF_OWN struct buf b;

	buf_init(&b, BOUND_HTTP_BODY + 65536);
	buf_add(&b, x_method(w->x));
	buf_byte(&b, ' ');
	buf_add(&b, x_path(w->x));
	buf_byte(&b, '\n');
	buf_add(&b, x_header(w->x, "If-Match"));
	buf_byte(&b, '\n');
	buf_add(&b, x_body(w->x));
	sha256(buf_slice(&b), out);
}

/* *known: it was answered before; w holds that answer. Waits for another one with the same key that is under way. */
static enum rc claim_key(struct write *w, struct slice key, const uint8_t hash[SHA256_LEN],
	bool *known, struct err *e)
{
	static const char claim_sql[] = "INSERT INTO idempotency (token, key, request, at) VALUES"
					" ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
	static const char read_sql[] =
		"SELECT request, status, etag, body FROM idempotency WHERE token = $1 AND key = $2";
	OWN(pg_free) struct pg_result *r = NULL, *found = NULL;
	struct pg_param p[] = {pg_p_str(w->actor), pg_p_text(key, w->arena),
		pg_p_bytes(slice_of((const char *)hash, SHA256_LEN)),
		pg_p_time(w->now_us, w->arena)};
	enum rc rc = pg_run(w->pg, claim_sql, p, 4, &r, e);

	*known = false;
	if (rc != RC_OK || pg_affected(r) == 1)
		return rc;
	rc = pg_run(w->pg, read_sql, p, 2, &found, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(found) == 0)
		return err_set(e, RC_RETRY, "the key was taken a moment ago");
	struct slice was = pg_bytes(found, 0, 0);
	if (was.len != SHA256_LEN || memcmp(was.ptr, hash, SHA256_LEN) != 0) {
		w->status = 422;
		return err_set(e, RC_INVALID,
			"this Idempotency-Key was used for another request within a day");
	}
	*known = true;
	w->status = (int)pg_int(found, 0, 1);
	snprintf(w->etag, sizeof(w->etag), "%.*s", (int)pg_text(found, 0, 2).len,
		pg_text(found, 0, 2).ptr);
	buf_add(w->out, pg_text(found, 0, 3));
	return RC_OK;
}

static enum rc keep_answer(struct write *w, struct slice key, struct err *e)
{
	static const char sql[] = "UPDATE idempotency SET status = $3, etag = $4, body = $5"
				  " WHERE token = $1 AND key = $2";
	struct pg_param p[] = {pg_p_str(w->actor), pg_p_text(key, w->arena),
		pg_p_int(w->status, w->arena), pg_p_str(w->etag), pg_p_str(buf_slice(w->out).ptr)};

	return pg_run(w->pg, sql, p, ARRAY_LEN(p), NULL, e);
}

/* ---- a write from its beginning to its end ---- */

static enum rc once(struct write *w, write_step *step, bool *replayed, struct err *e)
{
	struct slice key = x_header(w->x, "Idempotency-Key");
	uint8_t hash[SHA256_LEN];
	enum rc rc = pg_script(w->pg, "BEGIN", e);

	*replayed = false;
	w->status = 200;
	w->etag[0] = '\0';
	buf_clear(w->out);
	arena_reset(w->arena);
	request_hash(w, hash);
	if (rc == RC_OK && key.len > 0)
		rc = claim_key(w, key, hash, replayed, e);
	if (rc == RC_OK && !*replayed) {
		rc = step(w, e);
		if (rc == RC_OK && key.len > 0)
			rc = keep_answer(w, key, e);
	}
	if (rc == RC_OK)
		rc = pg_commit(w->pg, e);
	if (rc != RC_OK)
		pg_rollback(w->pg);
	return rc;
}

static void answer_refused(struct write *w, enum rc rc, const struct err *e)
{
	if (rc == RC_CONFLICT && e->state[0] == '\0')
		answer_changed(w, e);
	else if (rc == RC_INVALID && w->status == 422)
		http_problem(w->x, 422, "Unprocessable Content", "%s", e->text);
	else if (rc == RC_INVALID)
		http_problem(w->x, 409, "Conflict", "%s",
			e->state[0] == '\0' ? e->text : "another change stands against it");
	else
		answer_failure(w->x, rc, e);
}

static void carry_out(struct api *a, struct pg *pg, struct exchange *x, write_step *step)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	OWN(arena_free) struct arena *arena = arena_new(4u << 20);
	BUF_OWN struct buf out;
	struct err e = {0};
	bool replayed = false;
	int tries = 0;

	buf_init(&out, 16u << 20);
	struct write w = {.a = a,
		.pg = pg,
		.x = x,
		.arena = arena,
		.out = &out,
		.now_us = a->s.clk->now_us(a->s.clk)};
	actor_of(request_of(x), w.actor);
	if (!version_wanted(x, &w.version))
		return;
	enum rc rc = p != NULL && arena != NULL ? RC_OK : err_set(&e, RC_RETRY, "out of memory");
	if (rc == RC_OK && x_body(x).len > 0)
		rc = json_parse(p, x_body(x), &w.body, &e);
	if (rc == RC_OK)
		do
			rc = once(&w, step, &replayed, &e);
		while (pg_collided(rc, &e) && ++tries < 5);
	if (rc != RC_OK) {
		answer_refused(&w, rc, &e);
		return;
	}
	if (w.etag[0] != '\0')
		x_set_header(x, "ETag", w.etag);
	if (replayed)
		x_set_header(x, "Idempotency-Replayed", "true");
	http_answer(x, w.status, "application/json", buf_slice(&out));
}

/* The answer to most: the case as it is now. */
static enum rc tell_case(struct write *w, const struct decided_case *k, struct err *e)
{
	static const char sql[] =
		"SELECT case_object(k, $2)::text FROM case_file k WHERE k.id = $1";
	struct pg_param p[] = {
		pg_p_str(request_of(w->x)->variable), pg_p_time(w->now_us, w->arena)};

	snprintf(w->etag, sizeof(w->etag), "\"%lld\"", (long long)k->version);
	enum rc rc = read_value(w->pg, sql, p, ARRAY_LEN(p), w->out, e);
	buf_byte(w->out, '\n');
	return rc;
}

/* ---- what is decided ---- */

static enum rc propose(struct write *w, const char *const *cases, size_t n, int64_t version,
	const char *why, struct err *e)
{
	int64_t id = 0;
	BUF_OWN struct buf body;

	buf_init(&body, BOUND_HTTP_BODY);
	json_write(w->body, &body);
	enum rc rc = proposal_keep(w->pg, cases, n, version, buf_slice(&body), why, w->actor,
		w->now_us, w->arena, &id, e);
	if (rc != RC_OK)
		return rc;
	w->status = 202;
	buf_fmt(w->out, "{\"waits\":true,\"proposal\":%lld,\"why\":", (long long)id);
	buf_json(w->out, slice_str(why));
	buf_fmt(w->out, "}\n");
	return RC_OK;
}

static enum rc act(struct write *w, struct err *e)
{
	struct decision d = decision_of(w);
	struct decided_case k;
	enum rc rc = case_decide(w->pg, &d, w->now_us, w->arena, &k, e);

	if (rc == RC_OK && k.why_two[0] != '\0')
		return propose(w, &d.case_id, 1, k.version, k.why_two, e);
	return rc == RC_OK ? tell_case(w, &k, e) : rc;
}

void handle_case_act(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, act);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Many cases at once, in the order of their ids; each one is decided or refused for itself, in one transaction with a point to go back to. */
static enum rc decide_many(
	struct write *w, struct decision d, const char **cases, size_t n, struct err *e)
{
	enum rc rc = RC_OK;

	qsort(cases, n, sizeof(*cases), by_text);
	d.bulk = n > 1;
	buf_fmt(w->out, "{\"results\":[");
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct decided_case k = {.version = 0};
		struct err why = {0};
		d.case_id = cases[i];
		rc = pg_script(w->pg, "SAVEPOINT one", e);
		enum rc did =
			rc == RC_OK ? case_decide(w->pg, &d, w->now_us, w->arena, &k, &why) : rc;
		if (did != RC_OK && (did == RC_RETRY || pg_collided(did, &why))) {
			*e = why;
			return did;
		}
		if (rc == RC_OK && did != RC_OK)
			rc = pg_script(w->pg, "ROLLBACK TO SAVEPOINT one", e);
		buf_fmt(w->out, "%s{\"case\":", i > 0 ? "," : "");
		buf_json(w->out, slice_str(cases[i]));
		buf_fmt(w->out, ",\"done\":%s,\"state\":",
			did == RC_OK && k.why_two[0] == '\0' ? "true" : "false");
		buf_json(w->out, slice_str(k.state));
		buf_fmt(w->out, ",\"why\":");
		buf_json(w->out, slice_str(did != RC_OK ? why.text : k.why_two));
		buf_byte(w->out, '}');
	}
	buf_fmt(w->out, "]}\n");
	return rc;
}

static enum rc act_on_many(struct write *w, struct err *e)
{
	struct json list = json_get(w->body, "cases"), one;
	struct json_iter it = json_iter(list);
	const char **cases = arena_array(w->arena, json_count(list), sizeof(*cases));
	struct slice key;
	size_t n = 0;

	if (cases == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	while (json_next(&it, &key, &one))
		cases[n++] = arena_copy(w->arena, json_text(one)).ptr;
	if ((int64_t)n > conf_int(w->a->s.conf, "lift.alone_max"))
		return propose(w, cases, n, -1, "many cases at once", e);
	return decide_many(w, decision_of(w), cases, n, e);
}

void handle_case_bulk(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, act_on_many);
}

/* The second person's word: what was proposed is carried out as proposed, on the version that was proposed for. */
static enum rc agree(struct write *w, struct err *e)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	struct proposal found;
	bool yes = json_bool(json_get(w->body, "agree"));
	struct slice reason = field(w, "reason");
	int64_t id = 0;

	if (p == NULL || slice_i64(slice_str(request_of(w->x)->variable), &id) != RC_OK)
		return err_set(e, RC_NONE, "no such proposal waits");
	enum rc rc =
		proposal_take(w->pg, id, w->actor, yes, reason, w->now_us, w->arena, &found, e);
	if (rc == RC_OK && !yes)
		buf_fmt(w->out, "{\"results\":[]}\n");
	if (rc != RC_OK || !yes)
		return rc;
	rc = json_parse(p, found.body, &w->body, e);
	if (rc != RC_OK)
		return rc;
	struct decision d = decision_of(w);
	d.version = found.version;
	d.agreed = true;
	return decide_many(w, d, found.cases, found.n, e);
}

void handle_approve(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, agree);
}

static enum rc note(struct write *w, struct err *e)
{
	struct decision d = decision_of(w);
	struct decided_case k;
	enum rc rc = case_note(w->pg, &d, field(w, "text"), w->now_us, w->arena, &k, e);

	return rc == RC_OK ? tell_case(w, &k, e) : rc;
}

void handle_case_note(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, note);
}

static enum rc assign(struct write *w, struct err *e)
{
	struct decision d = decision_of(w);
	struct decided_case k;
	enum rc rc = case_assign(w->pg, &d, field(w, "assignee"), w->now_us, w->arena, &k, e);

	return rc == RC_OK ? tell_case(w, &k, e) : rc;
}

void handle_case_assign(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, assign);
}

static enum rc merge(struct write *w, struct err *e)
{
	struct decision d = decision_of(w);
	struct decided_case k;
	const char *into = arena_copy(w->arena, field(w, "into")).ptr;
	enum rc rc = into != NULL ? case_merge(w->pg, &d, into, w->now_us, w->arena, &k, e)
				  : err_set(e, RC_RETRY, "out of memory");

	return rc == RC_OK ? tell_case(w, &k, e) : rc;
}

void handle_case_merge(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, merge);
}

static enum rc split(struct write *w, struct err *e)
{
	struct decision d = decision_of(w);
	struct decided_case k;
	const char *which = arena_copy(w->arena, field(w, "case")).ptr;
	enum rc rc = which != NULL ? case_split(w->pg, &d, which, w->now_us, w->arena, &k, e)
				   : err_set(e, RC_RETRY, "out of memory");

	return rc == RC_OK ? tell_case(w, &k, e) : rc;
}

void handle_case_split(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, split);
}

/* Care staff see of the case only that it is appealed, and until when somebody decides. */
static enum rc appeal(struct write *w, struct err *e)
{
	static const char sql[] =
		"SELECT jsonb_build_object('case', case_id, 'opened_at', iso(opened_at), 'due_at',"
		" iso(due_at))::text FROM appeal WHERE case_id = $1 AND decided_at IS NULL";
	struct decision d = decision_of(w);
	struct decided_case k;
	struct pg_param p[] = {pg_p_str(d.case_id)};

	d.reason = field(w, "grounds");
	enum rc rc = appeal_begin(w->pg, &d, d.reason, w->now_us, w->arena, &k, e);
	if (rc == RC_OK)
		rc = read_value(w->pg, sql, p, 1, w->out, e);
	buf_byte(w->out, '\n');
	w->status = 201;
	return rc;
}

void handle_appeal(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, appeal);
}

static enum rc decide_appeal(struct write *w, struct err *e)
{
	struct decision d = decision_of(w);
	struct decided_case k;
	bool granted = slice_eq(field(w, "decision"), SLICE("grant"));
	enum rc rc = appeal_end(w->pg, &d, granted, w->now_us, w->arena, &k, e);

	return rc == RC_OK ? tell_case(w, &k, e) : rc;
}

void handle_appeal_decision(struct api *a, struct pg *pg, struct exchange *x)
{
	carry_out(a, pg, x, decide_appeal);
}
