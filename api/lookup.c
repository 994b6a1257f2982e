/* "Is this sender blocked?", answered from memory: 200 with the entry, 204 clean, 503 unknown. Unknown is never told as clean. */
#include <stdio.h>

#include "api/private.h"

enum looked { BLOCKED, CLEAN, UNKNOWN, NO_SENDER };

static enum looked look(struct api *a, struct slice raw, int service, struct sender *s,
	enum service *which, struct lookup *out, int64_t *age_s)
{
	int64_t now_us = a->s.clk->now_us(a->s.clk), mono_us = a->s.clk->mono_us(a->s.clk);
	int64_t stale = conf_int(a->s.conf, "lookup.stale_max_s");
	enum sender_found found = parse_sender(a, raw, s);

	if (found == SENDER_WITHHELD)
		return CLEAN;
	if (found != SENDER_OK)
		return NO_SENDER;
	for (enum service v = SERVICE_SMS; v <= SERVICE_VOICE; v++) {
		if (service >= 0 && service != (int)v)
			continue;
		enum rc rc = mirror_lookup(
			a->mirror, s, v, now_us / US_PER_S, mono_us, stale, out, age_s);
		*which = v;
		if (rc == RC_OK)
			return BLOCKED;
		if (rc != RC_NONE)
			return UNKNOWN;
	}
	return CLEAN;
}

static void entry_out(
	struct buf *b, const struct sender *s, enum service service, const struct lookup *l)
{
	struct entry e = {s->scope, s->value, service, l->action, l->case_id, l->until_s, l->basis,
		l->release};

	entry_json(&e, b);
	b->len--; /* reopen the object */
	buf_fmt(b, ",\"release\":%lld}", (long long)l->release);
}

void handle_lookup(struct api *a, struct pg *pg, struct exchange *x)
{
	const char *variable = request_of(x)->variable;
	enum service which = SERVICE_SMS;
	int64_t age_s = 0;
	struct lookup l;
	struct sender s;
	int service;
	char age[24];

	(void)pg;
	if (!arg_service(x, &service))
		return;
	enum looked found = look(a, slice_str(variable), service, &s, &which, &l, &age_s);
	snprintf(age, sizeof(age), "%lld", (long long)age_s);
	if (found == BLOCKED || found == CLEAN)
		x_set_header(x, "Age", age);
	if (found == BLOCKED) {
		BUF_OWN struct buf b;
		buf_init(&b, 4096);
		entry_out(&b, &s, which, &l);
		buf_byte(&b, '\n');
		http_answer(x, 200, "application/json", buf_slice(&b));
	} else if (found == CLEAN) {
		http_answer(x, 204, NULL, SLICE(""));
	} else if (found == UNKNOWN) {
		http_problem(x, 503, "Service Unavailable",
			"there is no list, or it is older than lookup.stale_max_s: unknown, not "
			"clean");
	} else {
		http_problem(
			x, 400, "Bad Request", "'%.60s' is no sender of the number plan", variable);
	}
}

/* {"senders":["…"],"service":"sms"} → {"results":[{"sender":"…","status":"blocked|clean|unknown|invalid","entry":{…}}]} */
void handle_lookup_many(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	BUF_OWN struct buf b;
	struct json body;
	struct err e = {0};
	enum service only;
	int service = -1;

	(void)pg;
	buf_init(&b, 8u << 20);
	if (parser == NULL || json_parse(parser, x_body(x), &body, &e) != RC_OK) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return;
	}
	struct json senders = json_get(body, "senders"), v = json_get(body, "service");
	if (senders.kind != JSON_LIST) {
		http_problem(x, 400, "Bad Request", "senders: a list of texts is needed");
		return;
	}
	if (json_count(senders) > BOUND_LOOKUP_BATCH) {
		http_problem(x, 413, "Content Too Large", "senders: at most %d at once",
			BOUND_LOOKUP_BATCH);
		return;
	}
	if (v.kind != JSON_NONE) {
		if (!service_parse(json_text(v), &only)) {
			http_problem(x, 400, "Bad Request", "service: sms or voice");
			return;
		}
		service = (int)only;
	}
	buf_add(&b, SLICE("{\"results\":["));
	struct slice key;
	struct json one;
	bool first = true;
	for (struct json_iter it = json_iter(senders); json_next(&it, &key, &one); first = false) {
		static const char *const words[] = {"blocked", "clean", "unknown", "invalid"};
		enum service which = SERVICE_SMS;
		int64_t age_s;
		struct lookup l;
		struct sender s;
		enum looked found = one.kind == JSON_TEXT
			? look(a, json_text(one), service, &s, &which, &l, &age_s)
			: NO_SENDER;
		buf_add(&b, first ? SLICE("{\"sender\":") : SLICE(",{\"sender\":"));
		buf_json(&b, json_text(one));
		buf_fmt(&b, ",\"status\":\"%s\"", words[found]);
		if (found == BLOCKED) {
			buf_add(&b, SLICE(",\"entry\":"));
			entry_out(&b, &s, which, &l);
		}
		buf_byte(&b, '}');
	}
	buf_add(&b, SLICE("]}\n"));
	if (b.failed)
		http_problem(x, 413, "Content Too Large",
			"the answer would be too large; ask for fewer at once");
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}
