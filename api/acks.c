/* What consumers tell of their copies, and how far everybody is: acknowledgements in, drift out, a metric each, an alarm in the log. */
#include <stdio.h>
#include <stdlib.h>

#include "api/ack_read.h"

#define ASK_US (2 * US_PER_S)
#define LOOK_FREE_US (US_PER_S / 2)
#define REST \
	4 /* after looking at a wrong copy for longer, for a second say, nobody looks at one for four */

/* Where a copy is wrong takes a while to find, and whoever holds a token of a feed may ask: one at a time, and those that take long for a fifth of the time. */
static bool may_look(struct api *a)
{
	int64_t from = atomic_load(&a->look_us);

	return api_mono(a) >= from && atomic_compare_exchange_strong(&a->look_us, &from, INT64_MAX);
}

static void looked(struct api *a, int64_t began_us)
{
	int64_t now_us = api_mono(a), took_us = now_us - began_us;

	atomic_store(&a->look_us, now_us + (took_us > LOOK_FREE_US ? REST * took_us : 0));
}

void handle_ack(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(mirror_unpin) const struct table *table = mirror_pin(a->mirror);
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	struct list_mark head = {0};
	struct json body = {0};
	BUF_OWN struct buf b;
	struct err e = {.text = "out of memory"};
	struct ack_told t;

	buf_init(&b, 1u << 20);
	if (parser == NULL || json_parse(parser, x_body(x), &body, &e) != RC_OK) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return;
	}
	if (ack_read(body, &t, &e) != RC_OK) {
		http_problem(x, 400, "Bad Request", "%s", e.text);
		return;
	}
	e = (struct err){0};
	int64_t began_us = api_mono(a);
	bool look = t.ack.buckets != NULL && may_look(a);
	enum rc rc = feed_ack_take(pg, &t.ack, request_of(x)->who.name, look ? table : NULL,
		a->s.clk->now_us(a->s.clk), &b, &head, &e);
	if (look)
		looked(a, began_us);
	if (rc == RC_CONFLICT && e.state[0] == '\0') {
		answer_gone(x, t.ack.release, &head);
		return;
	}
	if (rc == RC_LIMIT) {
		http_problem(x, 429, "Too Many Requests", "%s", e.text);
		return;
	}
	buf_byte(&b, '\n');
	if (rc != RC_OK)
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}

/* ---- drift */

static void number(struct buf *b, const char *name, int64_t n)
{
	if (n < 0)
		buf_fmt(b, ",\"%s\":null", name);
	else
		buf_fmt(b, ",\"%s\":%lld", name, (long long)n);
}

static void consumer_out(void *arg, const struct feed_consumer *c)
{
	struct buf *b = arg;

	buf_add(b,
		b->len > 0 && b->ptr[b->len - 1] == '}' ? SLICE(",{\"consumer\":")
							: SLICE("{\"consumer\":"));
	buf_json(b, slice_str(c->name));
	buf_add(b, SLICE(",\"token\":"));
	buf_json(b, slice_str(c->token));
	buf_fmt(b, ",\"state\":\"%s\",\"service\":%s%s%s", c->state, c->service < 0 ? "" : "\"",
		c->service < 0 ? "null" : service_name((enum service)c->service),
		c->service < 0 ? "" : "\"");
	number(b, "release", c->release);
	number(b, "behind", c->release < 0 ? -1 : c->head - c->release);
	number(b, "behind_s", c->behind_s);
	number(b, "age_s", c->age_s);
	number(b, "fetched_release", c->fetched);
	number(b, "fetched_age_s", c->fetched_age_s);
	buf_fmt(b, ",\"named\":%s,\"alarm\":%s,\"findings\":%s}", c->named ? "true" : "false",
		c->alarm ? "true" : "false", c->findings);
}

void handle_drift(struct api *a, struct pg *pg, struct exchange *x)
{
	struct err e = {0};
	BUF_OWN struct buf b;

	buf_init(&b, 16u << 20);
	buf_add(&b, SLICE("{\"consumers\":["));
	enum rc rc = notes_write(a->notes, pg, &e);
	if (rc == RC_OK)
		rc = feed_drift(pg, a->s.clk->now_us(a->s.clk), a->alarm_s, consumer_out, &b, &e);
	buf_add(&b, SLICE("]}\n"));
	if (rc != RC_OK || b.failed)
		answer_failure(x, rc == RC_OK ? RC_LIMIT : rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}

/* ---- whose a name is */

/* What people do with a consumer, and its line in the audit log, are one transaction. */
static enum rc change_consumer(
	struct api *a, struct pg *pg, struct exchange *x, const char *to, struct err *e)
{
	struct request *r = request_of(x);
	const char *what = to != NULL ? "feed.give" : "feed.forget";
	char actor[80], line[640];
	enum rc rc = pg_script(pg, "BEGIN", e);

	snprintf(actor, sizeof(actor), "token:%s", r->who.name);
	if (to != NULL)
		snprintf(line, sizeof(line), "feed.give %s to=%s request=%s", r->variable,
			to[0] != '\0' ? to : "-", x_request_id(x));
	else
		snprintf(line, sizeof(line), "feed.forget %s request=%s", r->variable,
			x_request_id(x));
	if (rc == RC_OK)
		rc = to != NULL ? feed_consumer_give(pg, r->variable, to, e)
				: feed_consumer_forget(pg, r->variable, e);
	if (rc == RC_OK)
		rc = audit_append(pg, a->s.clk->now_us(a->s.clk), actor, what, slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(pg, e);
	if (rc != RC_OK)
		pg_rollback(pg);
	return rc;
}

static void answer_changed(struct api *a, struct pg *pg, struct exchange *x, const char *to)
{
	struct err e = {0};
	enum rc rc = consumer_well_formed(slice_str(request_of(x)->variable))
		? change_consumer(a, pg, x, to, &e)
		: RC_NONE;

	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 204, NULL, SLICE(""));
}

void handle_forget(struct api *a, struct pg *pg, struct exchange *x)
{
	answer_changed(a, pg, x, NULL);
}

void handle_give(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	struct json body = {0};
	struct err e = {.text = "out of memory"};
	char to[64];

	if (parser == NULL || json_parse(parser, x_body(x), &body, &e) != RC_OK) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return;
	}
	struct json token = json_get(body, "token");
	struct slice name = json_text(token);
	if (body.kind != JSON_MAP || (token.kind != JSON_TEXT && token.kind != JSON_NULL) ||
		(token.kind == JSON_TEXT &&
			(name.len == 0 || name.len >= sizeof(to) ||
				memchr(name.ptr, '\0', name.len) != NULL))) {
		http_problem(x, 400, "Bad Request",
			"token: the name of the token that the consumer belongs to, or null");
		return;
	}
	snprintf(to, sizeof(to), "%.*s", (int)name.len, name.len > 0 ? name.ptr : "");
	answer_changed(a, pg, x, to);
}

/* ---- metrics and alarms */

static const char *const states[] = {"confirmed", "fetched", "unknown"};

static void set_cells(struct api *a, const struct feed_consumer *c)
{
	struct metric_cell *alarm = metric_at(a->m.consumer_alarm, c->name, NULL, NULL);

	metric_set(metric_at(a->m.consumer_age, c->name, NULL, NULL), (double)c->age_s);
	metric_set(metric_at(a->m.consumer_behind, c->name, NULL, NULL), (double)c->behind_s);
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		metric_set(metric_at(a->m.consumer_state, c->name, states[i], NULL),
			strcmp(c->state, states[i]) == 0);
	if ((metric_get(alarm) > 0) != c->alarm)
		log_at(c->alarm ? LOG_WARN : LOG_INFO, "api",
			"consumer=%s alarm=%s state=%s release=%lld head=%lld age_s=%lld "
			"behind_s=%lld",
			c->name, c->alarm ? "raised" : "cleared", c->state, (long long)c->release,
			(long long)c->head, (long long)c->age_s, (long long)c->behind_s);
	metric_set(alarm, c->alarm);
}

static void measure(void *arg, const struct feed_consumer *c)
{
	struct api *a = arg;
	struct measured *spare = NULL;

	if (!c->named)
		return;
	for (size_t i = 0; i < BOUND_CONSUMERS; i++) {
		struct measured *m = &a->measured[i];
		if (strcmp(m->name, c->name) == 0) {
			spare = m;
			break;
		}
		if (spare == NULL && m->name[0] == '\0')
			spare = m;
	}
	if (spare == NULL)
		return;
	snprintf(spare->name, sizeof(spare->name), "%s", c->name);
	spare->seen = true;
	set_cells(a, c);
}

/* Whoever was forgotten alarms no more. */
static void measure_gone(struct api *a)
{
	for (size_t i = 0; i < BOUND_CONSUMERS; i++) {
		struct measured *m = &a->measured[i];
		if (m->name[0] != '\0' && !m->seen) {
			set_cells(a,
				&(struct feed_consumer){.name = m->name,
					.state = "forgotten",
					.release = -1,
					.age_s = -1});
			m->name[0] = '\0';
		}
		m->seen = false;
	}
}

enum rc acks_measure(struct api *a, struct pg *pg, int64_t mono_us, struct err *e)
{
	if (a->measured_us != 0 && mono_us - a->measured_us < ASK_US)
		return RC_OK;
	a->measured_us = mono_us;
	enum rc rc = feed_drift(pg, a->s.clk->now_us(a->s.clk), a->alarm_s, measure, a, e);
	if (rc == RC_OK)
		measure_gone(a);
	return rc;
}
