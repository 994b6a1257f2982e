/* What was not understood, for people over HTTP: the list, one record masked or whole, taking it through again, giving it up. Who looks at
 * bytes, retries or drops says why; the audit has it before anything is shown. The same as `khien quarantine`. Leaves out what becomes
 * of a retried record: the program gives that (api_settings.retry). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

#define LIST_MAX 500

/* A text of the query into `out`; false with 400 when it is too long. NULL: it was not asked for. */
static bool text_arg(
	struct exchange *x, const char *name, char *out, size_t room, const char **text)
{
	struct slice s;

	*text = NULL;
	if (x_query(x, name, &s) == 0 || s.len == 0)
		return true;
	if (s.len >= room) {
		http_problem(x, 400, "Bad Request", "%s is too long", name);
		return false;
	}
	(void)snprintf(out, room, "%.*s", (int)s.len, s.ptr);
	*text = out;
	return true;
}

/* "SOURCE/TOPIC/PARTITION/OFFSET"; neither Kafka's topics nor our sources hold a slash. */
static bool place_of(struct exchange *x, char text[BOUND_PATH_PART], struct quarantine_place *out)
{
	struct slice rest, part[4];
	int64_t number;

	(void)snprintf(text, BOUND_PATH_PART, "%s", request_of(x)->variable);
	rest = slice_str(text);
	for (size_t i = 0; i < ARRAY_LEN(part); i++)
		if (!slice_cut(&rest, '/', &part[i]) || part[i].len == 0)
			return false;
	if (rest.len > 0 || slice_i64(part[2], &number) != RC_OK || number < 0 ||
		number > INT32_MAX || slice_i64(part[3], &out->offset) != RC_OK || out->offset < 0)
		return false;
	out->part = (int32_t)number;
	out->source = text;
	out->topic = text + (part[1].ptr - text);
	text[part[0].len] = '\0';
	text[(part[1].ptr - text) + (ptrdiff_t)part[1].len] = '\0';
	return true;
}

static bool place(struct exchange *x, char text[BOUND_PATH_PART], struct quarantine_place *out)
{
	if (place_of(x, text, out))
		return true;
	http_problem(x, 404, "Not Found",
		"a record's path is /v1/quarantine/SOURCE/TOPIC/PARTITION/OFFSET");
	return false;
}

/* ---- the list */

void handle_quarantine_list(struct api *a, struct pg *pg, struct exchange *x)
{
	char texts[4][256];
	const char *state = "open", *reason, *topic, *asked, *limit_text, *cursor;
	char number[24];
	int64_t limit = 100;
	BUF_OWN struct buf b, page;
	struct err e = {0};

	(void)a;
	buf_init(&b, 4u << 20);
	buf_init(&page, 4u << 20);
	if (!text_arg(x, "state", texts[0], sizeof(texts[0]), &asked) ||
		!text_arg(x, "reason", texts[1], sizeof(texts[1]), &reason) ||
		!text_arg(x, "topic", texts[2], sizeof(texts[2]), &topic) ||
		!text_arg(x, "cursor", texts[3], sizeof(texts[3]), &cursor) ||
		!text_arg(x, "limit", number, sizeof(number), &limit_text))
		return;
	if (asked != NULL)
		state = strcmp(asked, "all") == 0 ? NULL : asked;
	if (state != NULL && strcmp(state, "open") != 0 && strcmp(state, "retried") != 0 &&
		strcmp(state, "dropped") != 0) {
		http_problem(x, 400, "Bad Request", "state is open, retried, dropped or all");
		return;
	}
	if (limit_text != NULL &&
		(slice_i64(slice_str(limit_text), &limit) != RC_OK || limit < 1 ||
			limit > LIST_MAX)) {
		http_problem(x, 400, "Bad Request", "limit is 1 to %d", LIST_MAX);
		return;
	}
	char next[256] = "";
	enum rc rc = quarantine_page(
		pg, state, reason, topic, cursor, limit, &page, next, sizeof(next), &e);
	if (rc == RC_INVALID) {
		http_problem(x, 400, "Bad Request", "cursor is none of ours");
		return;
	}
	if (rc != RC_OK) {
		answer_failure(x, rc, &e);
		return;
	}
	buf_add(&b, SLICE("{\"items\":["));
	struct slice rest = buf_slice(&page);
	bool first = true;
	for (struct slice line; slice_line(&rest, &line); first = false) {
		if (!first)
			buf_byte(&b, ',');
		buf_add(&b, line);
	}
	buf_add(&b, SLICE("],\"next\":"));
	if (next[0] != '\0')
		buf_json(&b, slice_str(next));
	else
		buf_add(&b, SLICE("null"));
	buf_add(&b, SLICE("}\n"));
	http_answer(x, 200, "application/json", buf_slice(&b));
}

/* ---- one record */

/* Runs of four digits and more may be a number, an account or a one-time code. */
static void mask(struct slice s, char *out)
{
	size_t run = 0;

	for (size_t i = 0; i < s.len; i++) {
		out[i] = s.ptr[i];
		run = isdigit((unsigned char)s.ptr[i]) ? run + 1 : 0;
		if (run < 4)
			continue;
		for (size_t k = run == 4 ? 0 : 3; k < 4; k++)
			out[i - 3 + k] = '*';
	}
}

static void one_json(const struct quarantine_place *p, const struct quarantined *q, bool whole,
	struct arena *a, struct buf *b)
{
	char at[TIME_TEXT];
	char *masked = arena_alloc(a, q->bytes.len + 1);
	struct slice shown = q->bytes;

	time_format(q->at, at);
	if (!whole && masked != NULL) {
		mask(q->bytes, masked);
		shown = slice_of(masked, q->bytes.len);
	}
	buf_add(b, SLICE("{\"source\":"));
	buf_json(b, slice_str(q->source));
	buf_add(b, SLICE(",\"topic\":"));
	buf_json(b, slice_str(p->topic));
	buf_fmt(b,
		",\"partition\":%d,\"offset\":%lld,\"at\":\"%s\",\"state\":\"%s\","
		"\"reason\":\"%s\",\"size\":%lld,\"kept\":%zu,\"masked\":%s,\"trace\":",
		(int)p->part, (long long)p->offset, at, q->state, q->reason, (long long)q->size,
		q->bytes.len, whole ? "false" : "true");
	buf_json(b, slice_str(q->trace));
	buf_add(b, SLICE(",\"detail\":"));
	buf_json(b, slice_str(q->detail));
	if (!whole && masked == NULL)
		b->failed = true;
	else if (slice_utf8_valid(shown)) {
		buf_add(b, SLICE(",\"text\":"));
		buf_json(b, shown);
	} else {
		buf_add(b, SLICE(",\"hex\":\""));
		for (size_t i = 0; i < shown.len; i++)
			buf_fmt(b, "%02x", (unsigned char)shown.ptr[i]);
		buf_byte(b, '"');
	}
	buf_add(b, SLICE("}\n"));
}

void handle_quarantine_show(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(arena_free) struct arena *arena = arena_new((size_t)1 << 20);
	char text[BOUND_PATH_PART], why_text[512], actor[80], noted[640], flag[8];
	const char *why, *unmask, *role = request_of(x)->who.role;
	struct quarantine_place p;
	struct quarantined q;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 1u << 20);
	if (!place(x, text, &p) || !text_arg(x, "why", why_text, sizeof(why_text), &why) ||
		!text_arg(x, "unmask", flag, sizeof(flag), &unmask))
		return;
	bool whole = unmask != NULL && strcmp(unmask, "1") == 0;
	if (why == NULL) {
		http_problem(x, 400, "Bad Request", "why is needed: the audit keeps it");
		return;
	}
	if (whole && strcmp(role, "supervisor") != 0 && strcmp(role, "admin") != 0) {
		http_problem(x, 403, "Forbidden", "the role %s sees records masked", role);
		return;
	}
	enum rc rc = arena != NULL ? quarantine_read(pg, a->s.keys, &p, arena, &q, &e)
				   : err_set(&e, RC_RETRY, "out of memory");
	actor_of(request_of(x), actor);
	(void)snprintf(noted, sizeof(noted), "%s%s request=%s", whole ? "unmasked " : "", why,
		x_request_id(x));
	if (rc == RC_OK)
		rc = quarantine_looked(pg, &p, actor, noted, a->s.clk->now_us(a->s.clk), &e);
	if (rc == RC_OK) {
		one_json(&p, &q, whole, arena, &b);
		if (b.failed)
			rc = err_set(&e, RC_LIMIT, "the record does not fit into an answer");
	}
	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}

/* ---- retry and drop */

struct wish_of {
	char action[16], why[512];
	struct slice record; /* ptr NULL: as it was kept */
};

static bool body_of(struct exchange *x, struct json_parser *parser, struct wish_of *w)
{
	struct err e = {0};
	struct slice key;
	struct json body, one;
	bool good = parser != NULL && json_parse(parser, x_body(x), &body, &e) == RC_OK &&
		body.kind == JSON_MAP;

	*w = (struct wish_of){.record = {NULL, 0}};
	if (good)
		for (struct json_iter it = json_iter(body); good && json_next(&it, &key, &one);) {
			struct slice s = one.kind == JSON_TEXT ? json_text(one) : SLICE("");

			if (slice_eq(key, SLICE("action")) && s.len < sizeof(w->action))
				(void)snprintf(
					w->action, sizeof(w->action), "%.*s", (int)s.len, s.ptr);
			else if (slice_eq(key, SLICE("why")) && s.len < sizeof(w->why))
				(void)snprintf(w->why, sizeof(w->why), "%.*s", (int)s.len, s.ptr);
			else if (slice_eq(key, SLICE("record")) && one.kind == JSON_TEXT)
				w->record = s;
			else
				good = false;
		}
	good = good && w->why[0] != '\0' &&
		(strcmp(w->action, "retry") == 0 ||
			(strcmp(w->action, "drop") == 0 && w->record.ptr == NULL));
	if (!good)
		http_problem(x, 400, "Bad Request",
			"the body is {\"action\":\"retry|drop\",\"why\":\"...\"}, of a retry also "
			"\"record\":\"the mended bytes\"");
	return good;
}

void handle_quarantine_act(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	char text[BOUND_PATH_PART], actor[80], answer[160] = "{\"state\":\"dropped\"}\n";
	struct quarantine_place p;
	struct err e = {0};
	struct wish_of w;
	enum rc rc;

	if (!place(x, text, &p) || !body_of(x, parser, &w))
		return;
	actor_of(request_of(x), actor);
	if (strcmp(w.action, "drop") == 0)
		rc = quarantine_drop(pg, &p, actor, w.why, a->s.clk->now_us(a->s.clk), &e);
	else if (a->s.retry == NULL)
		rc = err_set(&e, RC_RETRY, "this process cannot retry records");
	else
		rc = a->s.retry(
			a->s.retry_arg, &p, actor, w.why, w.record, answer, sizeof(answer), &e);
	if (rc == RC_INVALID)
		http_problem(x, 422, "Unprocessable Content", "%s", e.text);
	else if (rc == RC_CONFLICT)
		http_problem(x, 409, "Conflict", "%s", e.text);
	else if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 200, "application/json", slice_str(answer));
}
