/* The entry object read back: what was written comes back with the same line, whatever the year; what is no entry is refused. */
#include "blocklist/list.h"
#include "tests/unit/check.h"

static struct json_parser *json;

static void test_round_trip(void)
{
	static const struct entry cases[] = {
		{SCOPE_NUMBER, "84912345678", SERVICE_SMS, "bar", "c-7k3q9w2m4x5zt", 1790000000,
			"law \"x\"", 0},
		{SCOPE_NAME, "ví điện tử", SERVICE_SMS, "label", "c-0000000000001", 0, "", 0},
		{SCOPE_SHORT, "1900545400", SERVICE_VOICE, "throttle", "c-1", 1, "", 0},
		{SCOPE_NUMBER, "1", SERVICE_VOICE, "bar", "c-1", 951782400, "", 0}, /* 2000-02-29 */
		{SCOPE_NUMBER, "1", SERVICE_VOICE, "bar", "c-1", 4107542400, "",
			0}, /* 2100-03-01 */
		{SCOPE_NUMBER, "1", SERVICE_VOICE, "bar", "c-1", 32503654800, "",
			0}, /* 2999-12-31T17:00 */
		{SCOPE_NUMBER, "1", SERVICE_VOICE, "bar", "c-1", 253402300799, "", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BUF_OWN struct buf text;
		char want[ENTRY_LINE], got[ENTRY_LINE];
		struct entry_text e;
		struct json doc;
		struct err why;

		buf_init(&text, 4096);
		entry_json(&cases[i], &text);
		CHECK_CASE("%s", text.ptr);
		CHECK_RC(json_parse(json, buf_slice(&text), &doc, &why), RC_OK, &why);
		if (!CHECK(entry_of_json(doc, &e)))
			continue;
		(void)entry_line(&cases[i], want, sizeof(want));
		(void)entry_line(&e.entry, got, sizeof(got));
		CHECK_STR(got, want);
	}
}

#define ENTRY(scope, value, service, action, until)                                           \
	"{\"scope\":" scope ",\"value\":" value ",\"service\":" service ",\"action\":" action \
	",\"case\":\"c-1\",\"until\":" until "}"

static void test_refused(void)
{
	static const char *const cases[] = {
		"1",
		"[]",
		"{}",
		"null",
		ENTRY("\"numbers\"", "\"1\"", "\"sms\"", "\"bar\"", "null"),
		ENTRY("\"number\"", "1", "\"sms\"", "\"bar\"", "null"),
		ENTRY("\"number\"", "\"\"", "\"sms\"", "\"bar\"", "null"),
		ENTRY("\"number\"", "\"1\\u0000\"", "\"sms\"", "\"bar\"", "null"),
		ENTRY("\"number\"", "\"1\\n2\"", "\"sms\"", "\"bar\"", "null"),
		ENTRY("\"number\"", "\"1\"", "\"fax\"", "\"bar\"", "null"),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"baaaaaaaaaaaaaaaaar\"", "null"),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "0"),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "\"\""),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "\"2026-13-01T00:00:00Z\""),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "\"2026-01-01T00:00:00+07:00\""),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "\"2026-01-01T24:00:00Z\""),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "\"1960-01-01T00:00:00Z\""),
		ENTRY("\"number\"", "\"1\"", "\"sms\"", "\"bar\"", "\"2026-01-01T0a:00:00Z\""),
		("{\"scope\":\"number\",\"value\":\"1\",\"service\":\"sms\",\"action\":\"bar\","
		 "\"case\":\"c-1\"}"),
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct entry_text e;
		struct json doc;
		struct err why;

		CHECK_CASE("%s", cases[i]);
		CHECK_RC(json_parse(json, slice_str(cases[i]), &doc, &why), RC_OK, &why);
		CHECK(!entry_of_json(doc, &e));
	}
}

int main(void)
{
	json = json_parser_new();
	RUN(test_round_trip);
	RUN(test_refused);
	json_parser_free(json);
	return check_done();
}
