/* What people read: a sender, why it is blocked or held, a report, the figures. Every answer is one valid JSON text without reporters
 * and message texts. Skipped without KHIEN_TEST_PG. */
#include "tests/unit/ledger_world.h"

static struct ledger_world w;
static struct json_parser *parser;
static struct buf out;

static struct sender number(const char *digits)
{
	struct sender s = {.scope = SCOPE_NUMBER};

	(void)snprintf(s.value, sizeof(s.value), "%s", digits);
	return s;
}

/* The answer parsed; also looks for what must not be in it. */
static struct json parsed(enum rc rc, const struct err *e)
{
	struct json j = {.kind = JSON_NONE};
	struct err why = {.text = ""};

	CHECK_RC(rc, RC_OK, e);
	CHECK_RC(json_parse(parser, buf_slice(&out), &j, &why), RC_OK, &why);
	CHECK(strstr(buf_slice(&out).ptr, "8498") == NULL);
	CHECK(strstr(buf_slice(&out).ptr, "vay tien") == NULL);
	return j;
}

static struct json at(struct json list, size_t i)
{
	struct json_iter it = json_iter(list);
	struct json v = {.kind = JSON_NONE};
	struct slice key;

	for (size_t k = 0; k <= i; k++)
		if (!json_next(&it, &key, &v))
			return (struct json){.kind = JSON_NONE};
	return v;
}

static struct json sender(const char *digits)
{
	struct sender s = number(digits);
	struct err e = {.text = ""};

	buf_clear(&out);
	return parsed(sender_json(w.c, &s, w.now_us, &out, &e), &e);
}

static struct json why(const char *digits)
{
	struct sender s = number(digits);
	struct err e = {.text = ""};

	buf_clear(&out);
	return parsed(why_json(w.c, &s, w.now_us, &out, &e), &e);
}

static struct json report(const char *id)
{
	struct err e = {.text = ""};

	buf_clear(&out);
	return parsed(report_json(w.c, w.keys, slice_str(id), &out, &e), &e);
}

#define TEXT(j, key) json_text(json_get(j, key))

static void test_sender(void)
{
	struct sender nobody = number("84900000000");
	struct err e = {.text = ""};
	struct json j = sender("84911111111");

	CHECK_SLICE(TEXT(j, "scope"), "number");
	CHECK_SLICE(TEXT(j, "value"), "84911111111");
	CHECK_SLICE(TEXT(j, "attribution"), "other");
	CHECK(json_real(json_get(j, "score")) > 0.5);
	CHECK_SLICE(TEXT(j, "as_of"), "2026-09-21T14:13:25Z");
	CHECK_INT(json_int(json_get(json_get(json_get(j, "votes"), "voice"), "scam")), 5);
	CHECK_INT(json_int(json_get(json_get(json_get(j, "votes"), "sms"), "scam")), 0);
	CHECK_INT(json_count(json_get(j, "cases")), 2); /* the nuisance ladder counts all votes */
	CHECK_INT(json_count(json_get(j, "held")), 1);
	struct json held = at(json_get(j, "held"), 0);
	CHECK_SLICE(TEXT(held, "reason"), "review_mode");
	CHECK_HAS(TEXT(held, "reason_text").ptr, "people decide");
	CHECK_SLICE(TEXT(held, "service"), "voice");
	buf_clear(&out);
	CHECK_RC(sender_json(w.c, &nobody, w.now_us, &out, &e), RC_NONE, &e);
	CHECK_RC(why_json(w.c, &nobody, w.now_us, &out, &e), RC_NONE, &e);
}

static void test_why(void)
{
	struct json j = why("84911111111"), a = at(json_get(j, "actions"), 0);

	CHECK_SLICE(TEXT(a, "action"), "bar_in");
	CHECK_SLICE(TEXT(a, "class"), "scam");
	CHECK_SLICE(TEXT(a, "state"), "held");
	CHECK_SLICE(TEXT(a, "policy"), "policy-1");
	CHECK_SLICE(TEXT(a, "decided_at"), "2026-09-21T14:13:25Z");
	CHECK_INT(json_int(json_get(a, "reporters")), 5);
	CHECK_INT(json_int(json_get(a, "matched")), 2);
	struct json c = at(json_get(j, "cases"), 0);
	CHECK(slice_eq(TEXT(a, "case"), TEXT(c, "id")) ||
		slice_eq(TEXT(a, "case"), TEXT(at(json_get(j, "cases"), 1), "id")));
	struct json s = at(json_get(j, "scores"), 0);
	CHECK_SLICE(TEXT(at(json_get(s, "terms"), 0), "name"), "REPORTERS");
	struct json v = at(json_get(j, "votes"), 0);
	CHECK_INT(json_int(json_get(v, "votes")), 5);
	CHECK_INT(json_int(json_get(v, "matched")), 2);
	CHECK_INT(json_count(json_get(j, "reports")), 5);
	CHECK_SLICE(TEXT(at(json_get(j, "reports"), 0), "report_id"), "p5");
	CHECK_INT(json_count(json_get(j, "blocks")), 0);
	CHECK_INT(json_count(json_get(j, "protected")), 0);
	j = why("84922222222");
	CHECK_INT(json_count(json_get(j, "protected")), 1);
	CHECK_SLICE(TEXT(at(json_get(j, "protected"), 0), "owner"), "a bank");
}

static void test_why_of_a_block(void)
{
	pgtest_do(w.c,
		"INSERT INTO release VALUES (7, gen_random_uuid(), '2026-09-22Z', 1, 0, 1, "
		"'\\x00');"
		" INSERT INTO entry SELECT 'number', '84911111111', 1, id, 'bar', "
		"'c-0000000000001', NULL,"
		" 'law', 'auto:scam', 7 FROM sender WHERE value = '84911111111'");
	struct json b = at(json_get(why("84911111111"), "blocks"), 0);

	CHECK_INT(json_int(json_get(b, "release")), 7);
	CHECK_SLICE(TEXT(b, "released_at"), "2026-09-22T00:00:00Z");
	CHECK_SLICE(TEXT(b, "detail"), "bar_in");
	CHECK_INT(json_get(b, "until").kind, JSON_NULL);
}

static void test_report(void)
{
	struct err e = {.text = ""};
	struct json j = report("p1");

	CHECK_SLICE(TEXT(j, "report_id"), "p1");
	CHECK_SLICE(TEXT(j, "disposition"), "accepted");
	CHECK_SLICE(TEXT(j, "reason"), "counted");
	CHECK_SLICE(TEXT(j, "kind"), "LD");
	CHECK_SLICE(TEXT(j, "service"), "voice");
	CHECK_SLICE(TEXT(j, "class"), "scam");
	CHECK_SLICE(TEXT(j, "scope"), "number");
	CHECK_SLICE(TEXT(j, "sender"), "84911111111");
	CHECK_INT(json_int(json_get(j, "vote_weight")), 1);
	CHECK_INT(TEXT(j, "case").len, 15);
	CHECK_INT(json_count(json_get(j, "outcomes")), 2);
	CHECK_SLICE(TEXT(at(json_get(j, "outcomes"), 0), "status"), "accepted");
	CHECK_SLICE(TEXT(at(json_get(j, "outcomes"), 1), "status"), "duplicate");
	CHECK_INT(json_int(json_get(at(json_get(j, "outcomes"), 1), "seq")), 2);
	j = report("p9");
	CHECK_SLICE(TEXT(j, "disposition"), "quarantined");
	CHECK_INT(json_get(j, "sender").kind, JSON_NULL);
	CHECK_SLICE(TEXT(at(json_get(j, "outcomes"), 0), "status"), "quarantined");
	j = report("p8");
	CHECK_SLICE(TEXT(j, "scope"), "none");
	CHECK_INT(json_get(j, "sender").kind, JSON_NULL);
	buf_clear(&out);
	CHECK_RC(report_json(w.c, w.keys, SLICE("no-such"), &out, &e), RC_NONE, &e);
	CHECK_RC(report_json(w.c, w.keys, SLICE(""), &out, &e), RC_NONE, &e);
	CHECK_RC(report_json(w.c, w.keys, SLICE("\xff"), &out, &e), RC_NONE, &e);
}

static void test_stats(void)
{
	struct err e = {.text = ""};

	buf_clear(&out);
	struct json j = parsed(stats_json(w.c, w.now_us, &out, &e), &e);
	struct json t = json_get(j, "totals");

	CHECK_INT(json_int(json_get(t, "records")), 9);
	CHECK_INT(json_int(json_get(t, "accepted")), 7);
	CHECK_INT(json_int(json_get(t, "missing")), 0);
	CHECK_SLICE(TEXT(json_get(j, "control"), "mode"), "review");
	CHECK_INT(json_count(json_get(j, "partitions")), 1);
	CHECK_INT(json_int(json_get(json_get(j, "backlog"), "quarantine_open")), 1);
	CHECK_INT(json_get(j, "list").kind, JSON_NULL);
	CHECK(json_count(json_get(j, "cases")) > 0);
}

int main(void)
{
	if (!ledger_world_init(&w))
		return 0;
	parser = json_parser_new();
	buf_init(&out, 1 << 20);
	world_control(&w, "review");
	pgtest_do(w.c,
		"INSERT INTO protected (scope, low, high, owner, reason, origin) VALUES"
		" ('number', '84922222200', '84922222299', 'a bank', 'range of its call centre', "
		"'file')");
	BATCH(&w,
		{.id = "p1",
			.reporter = 1,
			.sender = "84911111111",
			.at = US_PER_S,
			.kind = KIND_LD,
			.matched = MATCHED_YES},
		{.id = "p2",
			.reporter = 2,
			.sender = "84911111111",
			.at = 2 * US_PER_S,
			.kind = KIND_LD,
			.matched = MATCHED_YES},
		{.id = "p3",
			.reporter = 3,
			.sender = "84911111111",
			.at = 3 * US_PER_S,
			.kind = KIND_LD},
		{.id = "p4",
			.reporter = 4,
			.sender = "84911111111",
			.at = 4 * US_PER_S,
			.kind = KIND_LD},
		{.id = "p5",
			.reporter = 5,
			.sender = "84911111111",
			.at = 5 * US_PER_S,
			.kind = KIND_LD},
		{.id = "p6", .reporter = 5, .sender = "84922222222", .at = 5 * US_PER_S},
		{.id = "p1",
			.reporter = 1,
			.sender = "84911111111",
			.at = 6 * US_PER_S,
			.kind = KIND_LD},
		{.id = "p8", .reporter = 5, .at = 7},
		{.id = "p9", .disposition = DISP_QUARANTINED});
	RUN(test_sender);
	RUN(test_why);
	RUN(test_why_of_a_block);
	RUN(test_report);
	RUN(test_stats);
	buf_done(&out);
	json_parser_free(parser);
	ledger_world_done(&w);
	return check_done();
}
