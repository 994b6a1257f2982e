/* Authority orders over HTTP: a file is looked at before it is taken in, receipts, and the second person's word. What an order does is in cases; the same
 * by hand is khien order. A file of more than a request's body holds is for the command. */
#include <stdio.h>

#include "api/private.h"

#define FAULTS_SHOWN 200

/* Who takes an order in, or lets something of it through. */
struct desk {
	struct api *a;
	struct pg *pg;
	struct exchange *x;
	struct arena *arena;
	struct order order;
	char actor[80];
	int64_t now_us;
};

static void faults_out(const struct order *o, struct buf *b)
{
	size_t shown = 0;

	buf_add(b, SLICE(",\"faults\":["));
	for (size_t i = 0; i < o->n && shown < FAULTS_SHOWN; i++) {
		const struct order_item *x = &o->items[i];
		if (x->fault == NULL && x->same_as == 0)
			continue;
		buf_fmt(b, "%s{\"line\":%d,\"shown\":", shown++ > 0 ? "," : "", x->line);
		buf_json(b, x->shown);
		buf_add(b, SLICE(",\"fault\":"));
		if (x->fault != NULL)
			buf_json(b, slice_str(x->fault));
		else
			buf_add(b, SLICE("null"));
		buf_fmt(b, ",\"same_as\":%d}", x->same_as);
	}
	buf_byte(b, ']');
}

static void done_out(const struct order_done *d, struct buf *b)
{
	buf_fmt(b,
		"{\"waits\":%s,\"breach\":%s,\"former_gone\":%s,\"wished\":%lld,\"held\":%lld,"
		"\"not_ours\":%lld,\"expired\":%lld}",
		d->waits ? "true" : "false", d->breach ? "true" : "false",
		d->former_gone ? "true" : "false", (long long)d->wished, (long long)d->held,
		(long long)d->not_ours, (long long)d->expired);
}

static void order_out(const struct order *o, const struct order_done *d, struct buf *b)
{
	buf_add(b, SLICE("{\"document_no\":"));
	buf_json(b, o->document_no);
	buf_add(b, SLICE(",\"issuer\":"));
	buf_json(b, o->issuer);
	buf_add(b, SLICE(",\"action\":"));
	buf_json(b, o->action);
	buf_fmt(b, ",\"items\":%zu,\"invalid\":%zu,\"duplicates\":%zu", o->n, o->invalid,
		o->duplicates);
	faults_out(o, b);
	buf_add(b, SLICE(",\"taken\":"));
	if (d != NULL)
		done_out(d, b);
	else
		buf_add(b, SLICE("null"));
	buf_add(b, SLICE("}\n"));
}

/* Of a failure that is about the order and not about us. */
static void answer_order_failure(struct exchange *x, enum rc rc, const struct err *e)
{
	if (rc == RC_INVALID && e->state[0] == '\0')
		http_problem(x, 422, "Unprocessable Content", "%s", e->text);
	else if ((rc == RC_CONFLICT || rc == RC_NONE) && e->state[0] == '\0')
		http_problem(x, 409, "Conflict", "%s", e->text);
	else
		answer_failure(x, rc, e);
}

static bool read_file(struct desk *d)
{
	struct complaints c;
	struct err e = {0};

	complaints_init(&c);
	enum rc rc = order_read(d->a->s.plan, "order", x_body(d->x), d->arena, &c, &d->order, &e);
	if (rc != RC_OK)
		http_problem(d->x, 422, "Unprocessable Content", "%.400s",
			c.count > 0 ? buf_slice(&c.text).ptr : e.text);
	complaints_done(&c);
	return rc == RC_OK;
}

static bool flag(struct exchange *x, const char *name, bool *out)
{
	struct slice s;

	if (!arg_text(x, name, &s))
		return false;
	*out = slice_eq(s, SLICE("true"));
	if (s.ptr == NULL || *out || slice_eq(s, SLICE("false")))
		return true;
	http_problem(x, 400, "Bad Request", "%s is true or false", name);
	return false;
}

void handle_order_take(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(arena_free) struct arena *arena = arena_new(64u << 20);
	struct desk d = {.a = a, .pg = pg, .x = x, .arena = arena};
	bool preview, accept_valid;
	struct order_done done;
	struct err e = {0};
	BUF_OWN struct buf b;

	buf_init(&b, 8u << 20);
	d.now_us = a->s.clk->now_us(a->s.clk);
	if (!flag(x, "preview", &preview) || !flag(x, "accept_valid", &accept_valid))
		return;
	if (arena == NULL) {
		answer_failure(x, err_set(&e, RC_RETRY, "out of memory"), &e);
		return;
	}
	if (!read_file(&d))
		return;
	actor_of(request_of(x), d.actor);
	enum rc rc = preview ? RC_OK
			     : order_import(pg, a->s.keys, &d.order, x_body(x), accept_valid,
				       d.actor, d.now_us, arena, &done, &e);
	if (rc != RC_OK) {
		answer_order_failure(x, rc, &e);
		return;
	}
	order_out(&d.order, preview ? NULL : &done, &b);
	http_answer(x, 200, "application/json", buf_slice(&b));
}

void handle_order_receipts(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char columns[] = "line,sender=raw,receipt,reason,at";
	const char *no = request_of(x)->variable;
	struct err e = {0};
	BUF_OWN struct buf b;

	buf_init(&b, 64u << 20);
	enum rc rc = order_receipt_csv(pg, no, slice_str(columns), &b, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.order", no, &e);
	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 200, "text/csv; charset=utf-8", buf_slice(&b));
}

/* {"action":"approve"} of an order that waits, {"action":"release","line":N} of a held line. */
static void act(struct desk *d, struct json body)
{
	const char *no = request_of(d->x)->variable;
	struct slice action = json_text(json_get(body, "action"));
	int64_t line = json_int(json_get(body, "line"));
	struct order_done done = {.waits = false};
	struct err e = {0};
	BUF_OWN struct buf b;
	enum rc rc;

	buf_init(&b, 4096);
	if (slice_eq(action, SLICE("approve")))
		rc = order_approve(d->pg, no, d->actor, d->now_us, d->arena, &done, &e);
	else if (slice_eq(action, SLICE("release")) && line > 0 && line <= INT32_MAX)
		rc = order_release(
			d->pg, no, (int)line, d->actor, d->now_us, d->arena, &done.waits, &e);
	else {
		http_problem(d->x, 400, "Bad Request",
			"the body is {\"action\":\"approve\"} or "
			"{\"action\":\"release\",\"line\":N}");
		return;
	}
	if (rc == RC_NONE)
		answer_failure(d->x, rc, &e);
	else if (rc != RC_OK)
		answer_order_failure(d->x, rc, &e);
	else {
		done_out(&done, &b);
		buf_byte(&b, '\n');
		http_answer(d->x, 200, "application/json", buf_slice(&b));
	}
}

void handle_order_act(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(arena_free) struct arena *arena = arena_new(64u << 20);
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	struct desk d = {.a = a, .pg = pg, .x = x, .arena = arena};
	struct json body = {0};
	struct err e = {.text = "out of memory"};

	if (arena == NULL || parser == NULL || json_parse(parser, x_body(x), &body, &e) != RC_OK ||
		body.kind != JSON_MAP) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return;
	}
	d.now_us = a->s.clk->now_us(a->s.clk);
	actor_of(request_of(x), d.actor);
	act(&d, body);
}
