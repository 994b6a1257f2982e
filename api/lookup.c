/* "Is this sender blocked?", answered from memory: 200 with the entry, 204 clean, 503 unknown. Unknown is never told as clean. */
#include <stdio.h>

#include "api/private.h"

enum looked { BLOCKED, CLEAN, UNKNOWN, NO_SENDER };
static const char *const looked_names[] = {"blocked", "clean", "unknown", "invalid"};

struct found {
	enum looked looked;
	struct sender sender;
	enum service service;
	struct lookup entry;
	int64_t age_s;
	const char *why; /* of NO_SENDER */
};

/* bar over throttle over label, as the list itself chooses among wishes. */
static int strength(const char *action)
{
	return strcmp(action, "bar") == 0 ? 2 : strcmp(action, "throttle") == 0 ? 1 : 0;
}

/* Without a service the stronger of both entries counts, sms before voice. */
static void look_in_list(
	struct api *a, int service, int64_t now_s, int64_t mono_us, struct found *f)
{
	f->looked = CLEAN;
	for (enum service v = SERVICE_SMS; v <= SERVICE_VOICE; v++) {
		struct lookup l;
		if (service >= 0 && service != (int)v)
			continue;
		enum rc rc = mirror_lookup(
			a->mirror, &f->sender, v, now_s, mono_us, a->stale_max_s, &l, &f->age_s);
		if (rc != RC_OK && rc != RC_NONE) {
			f->looked = UNKNOWN;
			return;
		}
		if (rc == RC_NONE ||
			(f->looked == BLOCKED && strength(l.action) <= strength(f->entry.action)))
			continue;
		f->looked = BLOCKED;
		f->service = v;
		f->entry = l;
	}
}

static void look(struct api *a, struct slice raw, int service, struct found *f)
{
	int64_t now_us = a->s.clk->now_us(a->s.clk);

	*f = (struct found){.looked = NO_SENDER, .why = "no sender is given"};
	if (slice_trim(raw).len == 0)
		return;
	enum sender_found found = parse_sender(a, raw, &f->sender, &f->why);
	if (found != SENDER_OK && found != SENDER_WITHHELD)
		return;
	/* A withheld sender has no value and so no entry, but whether there is a list is asked all the same: clean is told only by one. */
	look_in_list(a, service, now_us / US_PER_S, api_mono(a), f);
}

static void count(struct api *a, enum looked looked, double n)
{
	metric_add(metric_at(a->m.lookups, looked_names[looked], NULL, NULL), n);
}

static void entry_out(struct buf *b, const struct found *f)
{
	struct entry e = {f->sender.scope, f->sender.value, f->service, f->entry.action,
		f->entry.case_id, f->entry.until_s, f->entry.basis, f->entry.release};

	entry_json(&e, b);
	if (b->failed)
		return;
	b->len--; /* reopen the object */
	buf_fmt(b, ",\"release\":%lld}", (long long)f->entry.release);
}

static void answer_unknown(struct exchange *x)
{
	x_set_header(x, "Retry-After", "1");
	http_problem(x, 503, "Service Unavailable",
		"there is no list, or it is older than lookup.stale_max_s: unknown, not clean");
}

static void set_age(struct exchange *x, int64_t age_s)
{
	char age[24];

	if (age_s == 0)
		x_set_header(x, "Age", "0");
	else {
		snprintf(age, sizeof(age), "%lld", (long long)age_s);
		x_set_header(x, "Age", age);
	}
}

void handle_lookup(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct found f;
	int service;

	(void)pg;
	buf_init(&b, 4096);
	if (!arg_service(x, &service))
		return;
	look(a, slice_str(request_of(x)->variable), service, &f);
	count(a, f.looked, 1);
	switch (f.looked) {
	case BLOCKED:
		entry_out(&b, &f);
		buf_byte(&b, '\n');
		set_age(x, f.age_s);
		http_answer(x, 200, "application/json", buf_slice(&b));
		return;
	case CLEAN:
		set_age(x, f.age_s);
		http_answer(x, 204, NULL, SLICE(""));
		return;
	case UNKNOWN:
		answer_unknown(x);
		return;
	case NO_SENDER:
		http_problem(x, 400, "Bad Request", "this is no sender: %s", f.why);
		return;
	}
}

/* ---- many at once ---- */

struct many {
	struct json senders;
	int service;
};

static bool many_args(struct exchange *x, struct json_parser *parser, struct many *out)
{
	struct err e = {.text = "out of memory"};
	enum service only;
	struct json body = {0};

	if (parser != NULL && json_parse(parser, x_body(x), &body, &e) == RC_OK)
		(void)snprintf(e.text, sizeof(e.text), "it is another kind of value");
	if (body.kind != JSON_MAP) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return false;
	}
	out->senders = json_get(body, "senders");
	out->service = -1;
	if (out->senders.kind != JSON_LIST) {
		http_problem(x, 400, "Bad Request", "senders: a list of texts is needed");
		return false;
	}
	if (json_count(out->senders) > BOUND_LOOKUP_BATCH) {
		http_problem(x, 413, "Content Too Large", "senders: at most %d at once",
			BOUND_LOOKUP_BATCH);
		return false;
	}
	struct json service = json_get(body, "service");
	if (service.kind == JSON_NONE || service.kind == JSON_NULL)
		return true;
	if (service.kind != JSON_TEXT || !service_parse(json_text(service), &only)) {
		http_problem(x, 400, "Bad Request", "service: sms or voice");
		return false;
	}
	out->service = (int)only;
	return true;
}

static void one_of_many(struct buf *b, struct json asked, const struct found *f)
{
	buf_add(b, SLICE("{\"sender\":"));
	if (asked.kind == JSON_TEXT)
		buf_json(b, json_text(asked));
	else
		buf_add(b, SLICE("null"));
	buf_fmt(b, ",\"status\":\"%s\"", looked_names[f->looked]);
	if (f->looked == BLOCKED) {
		buf_add(b, SLICE(",\"entry\":"));
		entry_out(b, f);
	}
	buf_byte(b, '}');
}

/* {"senders":["…"],"service":"sms"} → {"results":[{"sender":"…","status":"blocked|clean|invalid","entry":{…}}]}, in the order of the
 * question. Without a list the whole is 503. */
void handle_lookup_many(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	size_t counts[ARRAY_LEN(looked_names)] = {0};
	BUF_OWN struct buf b;
	struct many q;
	int64_t age_s = 0;

	(void)pg;
	buf_init(&b, 16u << 20);
	if (!many_args(x, parser, &q))
		return;
	buf_add(&b, SLICE("{\"results\":["));
	struct slice key;
	struct json one;
	for (struct json_iter it = json_iter(q.senders); json_next(&it, &key, &one);) {
		struct found f;
		look(a, one.kind == JSON_TEXT ? json_text(one) : SLICE(""), q.service, &f);
		if (counts[BLOCKED] + counts[CLEAN] + counts[NO_SENDER] > 0)
			buf_byte(&b, ',');
		one_of_many(&b, one, &f);
		counts[f.looked]++;
		age_s = f.age_s > age_s ? f.age_s : age_s;
		if (f.looked == UNKNOWN)
			break;
	}
	buf_add(&b, SLICE("]}\n"));
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		count(a, (enum looked)i, (double)counts[i]);
	if (counts[UNKNOWN] > 0) {
		answer_unknown(x);
	} else if (b.failed) {
		http_problem(x, 413, "Content Too Large",
			"the answer would be too large; ask for fewer at once");
	} else {
		set_age(x, age_s);
		http_answer(x, 200, "application/json", buf_slice(&b));
	}
}
