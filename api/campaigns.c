/* Campaigns for people: the list, one with its members, and what people say it is. */
#include <stdio.h>

#include "api/private.h"

static void answer(struct exchange *x, enum rc rc, struct buf *b, const struct err *e)
{
	buf_byte(b, '\n');
	if (rc != RC_OK)
		answer_failure(x, rc, e);
	else
		http_answer(x, 200, "application/json", buf_slice(b));
}

void handle_campaigns(struct api *a, struct pg *pg, struct exchange *x)
{
	int64_t at = INT64_MAX, id = INT64_MAX, limit = 100;
	struct slice cursor, text, first;
	BUF_OWN struct buf b;
	struct err e = {0};

	(void)a;
	buf_init(&b, 4u << 20);
	if (!arg_text(x, "cursor", &cursor) || !arg_text(x, "limit", &text))
		return;
	if (text.ptr != NULL && (slice_i64(text, &limit) != RC_OK || limit < 1 || limit > 500)) {
		http_problem(x, 400, "Bad Request", "limit is a number from 1 to 500");
		return;
	}
	if (cursor.ptr != NULL &&
		(!slice_cut(&cursor, '.', &first) || slice_i64(first, &at) != RC_OK ||
			slice_i64(cursor, &id) != RC_OK)) {
		http_problem(x, 400, "Bad Request", "cursor is none that this list has given");
		return;
	}
	answer(x, campaigns_json(pg, at, id, limit, &b, &e), &b, &e);
}

/* 16 hexadecimal digits. */
static bool fingerprint_of(struct exchange *x, uint64_t *out)
{
	const char *s = request_of(x)->variable;
	size_t n = strlen(s);

	*out = 0;
	for (size_t i = 0; i < n; i++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, s[i] | 0x20);

		if (at == NULL || n != 16) {
			n = 0;
			break;
		}
		*out = *out << 4 | (uint64_t)(at - digits);
	}
	if (n == 0)
		http_problem(x, 400, "Bad Request",
			"a campaign is named by 16 hexadecimal digits, the fingerprint of a text");
	return n > 0;
}

void handle_campaign(struct api *a, struct pg *pg, struct exchange *x)
{
	uint64_t fingerprint;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 4u << 20);
	if (!fingerprint_of(x, &fingerprint))
		return;
	enum rc rc = campaign_json(pg, fingerprint, &b, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.campaign", request_of(x)->variable, &e);
	answer(x, rc, &b, &e);
}

static bool text_of(struct json body, const char *key, char *out, size_t room)
{
	struct slice s = json_text(json_get(body, key));

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20)
			return false;
	if (s.len == 0 || s.len >= room)
		return false;
	(void)snprintf(out, room, "%.*s", (int)s.len, s.ptr);
	return true;
}

/* {"state": "upheld", "why": "…"} */
void handle_campaign_decide(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	char state[16] = "", why[512] = "", actor[80];
	struct json body = {0};
	uint64_t fingerprint;
	int64_t texts = 0;
	BUF_OWN struct buf b;
	struct err e = {.text = "out of memory"};

	buf_init(&b, 4096);
	if (!fingerprint_of(x, &fingerprint))
		return;
	if (parser == NULL || json_parse(parser, x_body(x), &body, &e) != RC_OK) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return;
	}
	if (!text_of(body, "state", state, sizeof(state)) ||
		!text_of(body, "why", why, sizeof(why))) {
		http_problem(x, 400, "Bad Request",
			"state (upheld, dismissed or open) and why are needed, as texts of one "
			"line");
		return;
	}
	e = (struct err){0};
	(void)snprintf(actor, sizeof(actor), "token:%s", request_of(x)->who.name);
	enum rc rc = campaign_decide(
		pg, fingerprint, state, why, actor, a->s.clk->now_us(a->s.clk), &texts, &e);
	buf_fmt(&b, "{\"state\":\"%s\",\"texts\":%lld}", state, (long long)texts);
	answer(x, rc, &b, &e);
}

/* Which rules fired in the last 30 days, and what people said of the cases. */
void handle_rule_hits(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 4u << 20);
	answer(x, rules_json(pg, a->s.clk->now_us(a->s.clk), &b, &e), &b, &e);
}
