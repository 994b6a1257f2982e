/* The list in the form of CrowdSec's local API, for its enforcement clients: who is barred is a decision of the type ban. The clients keep no position;
 * it is ours, per token and address, and moves only when the whole answer went out. What is told is the state of every sender that changed, so
 * that an answer which was lost, or is given twice, does no harm. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "api/private.h"

#define OPEN_ENDED "87600h0m0s"

struct query {
	bool service[SERVICES], scope[SCOPE_NAME + 1];
	bool dedup, startup;
	struct slice value;
	bool none; /* nothing of ours can match */
};

static bool has_word(struct slice list, struct slice word)
{
	for (struct slice one; slice_cut(&list, ',', &one);)
		if (slice_eq(slice_trim(one), word))
			return true;
	return false;
}

static bool contains_nocase(struct slice text, struct slice part)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (slice_eq_nocase(slice_of(text.ptr + i, part.len), part))
			return true;
	return false;
}

/* Whether one of the list's texts is in the scenario. */
static bool scenario_in(struct slice list, enum service service)
{
	struct slice scenario = service == SERVICE_SMS ? SLICE("khien/sms") : SLICE("khien/voice");

	for (struct slice one; slice_cut(&list, ',', &one);)
		if (slice_trim(one).len > 0 && contains_nocase(scenario, slice_trim(one)))
			return true;
	return false;
}

static struct slice text_of(struct exchange *x, const char *name)
{
	struct slice s = {0};

	(void)x_query(x, name, &s); /* of several the first, as the original has it */
	return s;
}

static bool query_args(struct exchange *x, struct query *q)
{
	struct slice with = text_of(x, "scenarios_containing"), origins = text_of(x, "origins");
	struct slice without = text_of(x, "scenarios_not_containing"), type = text_of(x, "type");
	struct slice scopes = text_of(x, "scopes"), scope = text_of(x, "scope");
	int only;

	*q = (struct query){.value = text_of(x, "value"),
		.dedup = !slice_eq(text_of(x, "dedup"), SLICE("false")),
		.startup = slice_eq(text_of(x, "startup"), SLICE("true"))};
	if (!arg_service(x, &only))
		return false;
	for (enum service s = SERVICE_SMS; s <= SERVICE_VOICE; s++)
		q->service[s] = (only < 0 || only == (int)s) &&
			(with.len == 0 || scenario_in(with, s)) && !scenario_in(without, s);
	for (enum scope s = SCOPE_NUMBER; s <= SCOPE_NAME; s++) {
		struct slice name = slice_str(scope_name(s));

		q->scope[s] = (scopes.len == 0 || has_word(scopes, name)) &&
			(scope.len == 0 || slice_eq(scope, name));
	}
	q->none = (origins.len > 0 && !has_word(origins, SLICE("khien"))) ||
		(type.len > 0 && !slice_eq(type, SLICE("ban"))) || text_of(x, "ip").len > 0 ||
		text_of(x, "range").len > 0;
	return true;
}

/* ---- one decision */

/* As Go writes it, whole seconds. */
static void duration_out(struct buf *b, int64_t s)
{
	if (s >= 3600)
		buf_fmt(b, "%" PRId64 "h%" PRId64 "m%" PRId64 "s", s / 3600, s / 60 % 60, s % 60);
	else if (s >= 60)
		buf_fmt(b, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
	else
		buf_fmt(b, "%" PRId64 "s", s);
}

/* The same sender has the same id for ever; it fits a number of JavaScript. */
static uint64_t id_of(enum scope scope, struct slice value, enum service service)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ ((uint64_t)scope * 2 + (uint64_t)service);

	for (size_t i = 0; i < value.len; i++)
		h = (h ^ (unsigned char)value.ptr[i]) * UINT64_C(1099511628211);
	return h >> 12 | 1;
}

struct out {
	struct api *a;
	const struct table *t;
	struct query q;
	struct scratch *file;
	struct buf b;
	int64_t now_s;
	size_t n;
	bool deleted; /* what is written now is the list of those that went */
};

static bool send(struct out *o)
{
	bool good = !o->b.failed && scratch_put(o->file, buf_slice(&o->b));

	buf_clear(&o->b);
	return good;
}

/* until_s < 0: it is no more. */
static bool decision_out(struct out *o, enum scope scope, struct slice value, enum service service,
	int64_t until_s, const char *case_id)
{
	struct buf *b = &o->b;

	buf_add(b, o->n++ > 0 ? SLICE(",{\"duration\":\"") : SLICE("{\"duration\":\""));
	if (until_s < 0)
		buf_add(b, SLICE("-1s"));
	else if (until_s == 0)
		buf_add(b, SLICE(OPEN_ENDED));
	else
		duration_out(b, until_s - o->now_s);
	buf_fmt(b,
		"\",\"id\":%" PRIu64
		",\"origin\":\"khien\",\"scenario\":\"khien/%s\",\"scope\":\"%s\"",
		id_of(scope, value, service), service_name(service), scope_name(scope));
	buf_add(b, SLICE(",\"type\":\"ban\",\"uuid\":"));
	buf_json(b, slice_str(case_id));
	buf_add(b, SLICE(",\"value\":"));
	buf_json(b, value);
	buf_byte(b, '}');
	return b->len < 65536 || send(o);
}

static bool live(const struct out *o, const struct entry *e)
{
	return o->q.scope[e->scope] && o->q.service[e->service] && strcmp(e->action, "bar") == 0 &&
		(e->until_s == 0 || e->until_s > o->now_s);
}

static bool longer(int64_t a, int64_t b)
{
	return b != 0 && (a == 0 || a > b);
}

/* The other service's entry of the same sender, when it counts. */
static bool other_of(const struct out *o, enum scope scope, struct slice value,
	enum service service, struct entry *out)
{
	enum service other = service == SERVICE_SMS ? SERVICE_VOICE : SERVICE_SMS;

	if (!table_find(o->t, scope, other, value, out))
		return false;
	out->scope = scope;
	out->service = other;
	return live(o, out);
}

/* Of two for one sender the one that lasts longer, sms when they are equal. */
static bool listed(void *arg, const struct entry *e)
{
	struct slice value = slice_str(e->value);
	struct out *o = arg;
	struct entry other;

	if (!live(o, e))
		return true;
	if (o->q.dedup && other_of(o, e->scope, value, e->service, &other) &&
		(longer(other.until_s, e->until_s) ||
			(other.until_s == e->until_s && e->service == SERVICE_VOICE)))
		return true;
	return decision_out(o, e->scope, value, e->service, e->until_s, e->case_id);
}

static void say(struct out *o, bool is, const struct entry *e, struct slice value)
{
	if (is && !o->deleted)
		(void)decision_out(o, e->scope, value, e->service, e->until_s, e->case_id);
	else if (!is && o->deleted)
		(void)decision_out(o, e->scope, value, e->service, -1, "");
}

/* A sender that changed: what it is now. */
static void touched(void *arg, enum scope scope, struct slice value, const bool services[2])
{
	struct entry best = {0};
	struct out *o = arg;
	bool any = false, is = false;

	for (enum service v = SERVICE_SMS; v <= SERVICE_VOICE && o->q.scope[scope]; v++) {
		struct entry e = {0};
		bool found = o->q.service[v] && table_find(o->t, scope, v, value, &e);

		e.scope = scope, e.service = v;
		found = found && live(o, &e);
		if (o->q.service[v] && services[v] && !o->q.dedup)
			say(o, found, &e, value);
		if ((found && (!is || longer(e.until_s, best.until_s))) ||
			(!is && !any && services[v] && o->q.service[v]))
			best = e;
		is = is || found;
		any = any || (services[v] && o->q.service[v]);
	}
	if (o->q.dedup && any)
		say(o, is, &best, value);
}

/* ---- answers */

void lapi_error(struct exchange *x, int status, const char *message)
{
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	buf_add(&b, SLICE("{\"message\":"));
	buf_json(&b, slice_str(message));
	buf_add(&b, SLICE("}"));
	http_answer(x, status, "application/json", buf_slice(&b));
}

static bool out_init(struct out *o, struct api *a, const struct table *t)
{
	o->a = a;
	o->t = t;
	o->now_s = a->s.clk->now_us(a->s.clk) / US_PER_S;
	buf_init(&o->b, 1u << 20);
	return t != NULL;
}

static void finish(struct exchange *x, struct out *o)
{
	uint64_t size = 0;
	bool good = send(o);
	int fd = scratch_end(TAKE(o->file), &size);

	if (good && fd >= 0) {
		http_answer_file(x, 200, "application/json", fd, size);
		return;
	}
	if (fd >= 0)
		close(fd);
	request_of(x)->given = 0;
	lapi_error(x, 503, "the answer could not be written");
}

/* Where the client stood: the newer of memory and ledger. RC_NONE: it was never here. */
static enum rc cursor(
	struct api *a, struct pg *pg, struct exchange *x, struct list_mark *out, struct err *e)
{
	const struct request *r = request_of(x);
	struct note mine = {.kind = NOTE_PULLED};
	int64_t at_us = 0;

	snprintf(mine.name, sizeof(mine.name), "%s", r->who.name);
	x_address(x, mine.address);
	enum rc rc = feed_pull_at(pg, mine.name, mine.address, out, &at_us, e);
	if ((rc != RC_OK && rc != RC_NONE) || !notes_get(a->notes, &mine) ||
		(rc == RC_OK && at_us > mine.at_us))
		return rc;
	snprintf(out->list, sizeof(out->list), "%.36s", mine.list);
	out->release = mine.release;
	return RC_OK;
}

static void deleted_begin(struct out *o)
{
	(void)send(o);
	(void)scratch_put(o->file, SLICE("],\"deleted\":["));
	o->n = 0;
	o->deleted = true;
}

/* There is no way from where it stood: everything, and as gone whatever the log still knows to have been removed. */
static enum rc everything(struct api *a, struct pg *pg, bool stood, struct out *o, struct err *e)
{
	OWN(pg_free) struct pg_result *removed = NULL;
	enum rc rc = stood ? feed_removed(pg, &removed, e) : RC_OK;

	if (rc != RC_OK)
		return rc;
	(void)table_each(o->t, -1, listed, o);
	deleted_begin(o);
	if (stood) {
		metric_add(a->m.pulls_anew, 1);
		feed_touched_walk(removed, touched, o);
	}
	return RC_OK;
}

/* RC_NONE: another instance told it more than we know. */
static enum rc what_changed(struct api *a, struct pg *pg, struct exchange *x,
	const struct list_mark *now, struct out *o, struct err *e)
{
	OWN(pg_free) struct pg_result *changed = NULL;
	struct list_mark from = {0};
	enum rc rc = o->q.startup ? RC_NONE : cursor(a, pg, x, &from, e);

	if (rc == RC_NONE)
		return everything(a, pg, false, o, e);
	if (rc == RC_OK && strcmp(from.list, now->list) != 0)
		return everything(a, pg, true, o, e);
	if (rc == RC_OK && from.release > now->release)
		return RC_NONE;
	if (rc == RC_OK && from.release < now->release)
		rc = feed_touched(pg, &from, now, &changed, e);
	if (rc == RC_CONFLICT && e->state[0] == '\0')
		return everything(a, pg, true, o, e);
	if (rc != RC_OK)
		return rc == RC_CONFLICT ? RC_RETRY : rc;
	if (changed != NULL)
		feed_touched_walk(changed, touched, o);
	deleted_begin(o);
	if (changed != NULL)
		feed_touched_walk(changed, touched, o);
	return RC_OK;
}

void handle_decision_stream(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(mirror_unpin) const struct table *t = list_pinned(a, NULL);
	struct request *r = request_of(x);
	struct list_mark now = {0};
	struct err e = {0};
	struct out o = {0};

	if (!query_args(x, &o.q))
		return;
	if (!out_init(&o, a, t) || (o.file = scratch_new(false)) == NULL) {
		lapi_error(x, 503, "the list is unknown");
		return;
	}
	table_mark(t, -1, &now);
	if (o.q.none)
		o.q.service[0] = o.q.service[1] = false;
	(void)scratch_put(o.file, SLICE("{\"new\":["));
	enum rc rc = what_changed(a, pg, x, &now, &o, &e);
	if (rc == RC_NONE) {
		(void)scratch_put(o.file, SLICE("],\"deleted\":["));
	} else if (rc != RC_OK) {
		scratch_free(TAKE(o.file));
		buf_done(&o.b);
		snprintf(r->cause, sizeof(r->cause), "%.200s", e.text);
		lapi_error(x, 503, "the ledger cannot be asked right now");
		return;
	}
	buf_add(&o.b, SLICE("]}"));
	if (rc != RC_NONE && !is_head(x)) {
		snprintf(r->list, sizeof(r->list), "%.36s", now.list);
		r->given = now.release;
		r->pulls = true;
		x_bound(x);
	}
	finish(x, &o);
	buf_done(&o.b);
}

void decisions_pulled(struct api *a, struct exchange *x)
{
	const struct request *r = request_of(x);
	struct note one = {
		.kind = NOTE_PULLED, .release = r->given, .at_us = a->s.clk->now_us(a->s.clk)};
	struct slice agent = x_header(x, "User-Agent");

	snprintf(one.name, sizeof(one.name), "%s", r->who.name);
	x_address(x, one.address);
	if (slice_utf8_valid(agent))
		snprintf(one.agent, sizeof(one.agent), "%.*s", (int)agent.len, agent.ptr);
	if (!slice_utf8_valid(slice_str(one.agent)))
		one.agent[0] = '\0'; /* the cut fell into a character */
	snprintf(one.list, sizeof(one.list), "%s", r->list);
	notes_put(a->notes, &one);
}

static void one_value(struct api *a, struct out *o)
{
	enum service from = o->q.service[SERVICE_SMS] ? SERVICE_SMS : SERVICE_VOICE;
	struct sender s;
	const char *why;

	if (parse_sender(a, o->q.value, &s, &why) != SENDER_OK)
		return;
	for (enum service v = from; v <= SERVICE_VOICE; v++) {
		struct entry e;

		if (!table_find(o->t, s.scope, v, slice_str(s.value), &e))
			continue;
		e.scope = s.scope, e.service = v, e.value = s.value;
		(void)listed(o, &e);
	}
}

/* An array, or null when there is none. */
void handle_decisions(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(mirror_unpin) const struct table *t = list_pinned(a, NULL);
	struct out o = {0};

	(void)pg;
	if (!query_args(x, &o.q))
		return;
	if (!out_init(&o, a, t) || (o.file = scratch_new(false)) == NULL) {
		lapi_error(x, 503, "the list is unknown");
		return;
	}
	if (!o.q.none) {
		buf_byte(&o.b, '[');
		if (o.q.value.len > 0)
			one_value(a, &o);
		else
			(void)table_each(t, -1, listed, &o);
		buf_byte(&o.b, ']');
	}
	if (o.n == 0) {
		scratch_free(TAKE(o.file));
		http_answer(x, 200, "application/json", SLICE("null"));
	} else {
		finish(x, &o);
	}
	buf_done(&o.b);
}

/* ---- what clients tell of themselves */

static bool usage_well_formed(struct json body)
{
	struct json list = json_get(body, "remediation_components"), one;
	struct slice key;
	struct json_iter it = json_iter(list);

	if (list.kind != JSON_LIST || json_count(list) != 1 || !json_next(&it, &key, &one))
		return false;
	struct slice version = json_text(json_get(one, "version"));
	return one.kind == JSON_MAP && version.len > 0 && version.len <= 255 &&
		json_get(one, "utc_startup_timestamp").kind == JSON_INT;
}

void handle_usage(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	struct json body = {0};
	BUF_OWN struct buf plain;
	struct err e;

	(void)pg;
	buf_init(&plain, BOUND_HTTP_BODY);
	struct slice text = x_body(x);
	if (slice_eq_nocase(x_header(x, "Content-Encoding"), SLICE("gzip"))) {
		if (!gunzip(text, &plain)) {
			lapi_error(x, 400, "the body is no gzip, or larger than 1048576 bytes");
			return;
		}
		text = buf_slice(&plain);
	}
	if (parser == NULL || json_parse(parser, text, &body, &e) != RC_OK) {
		lapi_error(x, 400, "the body is no JSON");
		return;
	}
	if (!usage_well_formed(body)) {
		lapi_error(x, 422,
			"remediation_components: exactly one, with version and "
			"utc_startup_timestamp");
		return;
	}
	metric_add(a->m.usage, 1);
	http_answer(x, 201, NULL, SLICE(""));
}
