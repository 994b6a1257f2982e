/* decode: the disposition table of docs/judgement.md section 1, row by row, both formats; and what is understood of a good record. */
#include "tests/unit/ingest_world.h"

static struct world w;

/* One good record of each format; a case replaces one piece of it. */
#define ID "\"report_id\":\"ais:2026-0000123\""
#define CHANNEL "\"channel\":\"sms5656\""
#define KIND "\"kind\":\"S\""
#define WHEN "\"received_at\":\"2026-08-31T09:15:02+07:00\""
#define BY "\"reporter\":\"+84912345678\""
#define ABOUT "\"sender\":\"0812341213\""
#define HEAD "{\"schema\":\"complaint/1\""
#define GOOD HEAD "," ID "," CHANNEL "," KIND "," WHEN "," BY "," ABOUT
#define BUT_ABOUT HEAD "," ID "," CHANNEL "," KIND "," WHEN "," BY
#define BUT_WHEN HEAD "," ID "," CHANNEL "," KIND "," BY "," ABOUT
#define SMS_HEAD "{\"schema\":\"report-sms/1\"," ID ",\"from\":\"0912345678\",\"to\":\"5656\"," WHEN
#define TEXT(t) SMS_HEAD ",\"text\":\"" t "\"}"
#define CONTACT(c) GOOD ",\"contact\":" c "}"

static const struct {
	const char *value;
	enum disposition want;
	const char *reason, *detail; /* part of the detail; NULL: not looked at */
	bool id;                     /* report_id must be set */
} cases[] = {
	{GOOD "}", DISP_ACCEPTED, "counted", NULL, true},
	{" \n" GOOD "} ", DISP_ACCEPTED, "counted", NULL, true},
	/* 4 */
	{"", DISP_QUARANTINED, "not_json", NULL, false},
	{"  ", DISP_QUARANTINED, "not_json", NULL, false},
	{"[]", DISP_QUARANTINED, "not_json", "list", false},
	{"\"x\"", DISP_QUARANTINED, "not_json", "text", false},
	{"null", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD, DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD "}}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD "} {}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD "," KIND "}", DISP_QUARANTINED, "not_json", "kind", false},
	{GOOD ",\"x\":{\"a\":1,\"a\":2}}", DISP_QUARANTINED, "not_json", "a", false},
	{GOOD ",\"k\\u0069nd\":\"S\"}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD ",\"x\":1e999}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD ",\"x\":01}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD ",\"x\":NaN}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD ",\"x\":\"\\ud800\"}", DISP_QUARANTINED, "not_json", NULL, false},
	{GOOD ",\"x\":\"a\nb\"}", DISP_QUARANTINED, "not_json", NULL, false},
	/* 5 */
	{"{}", DISP_QUARANTINED, "unknown_schema", NULL, false},
	{"{" ID "}", DISP_QUARANTINED, "unknown_schema", NULL, true},
	{"{\"schema\":\"complaint/2\"," ID "}", DISP_QUARANTINED, "unknown_schema", NULL, true},
	{"{\"schema\":\"Complaint/1\"}", DISP_QUARANTINED, "unknown_schema", NULL, false},
	{"{\"schema\":1}", DISP_QUARANTINED, "unknown_schema", NULL, false},
	{"{\"schema\":null}", DISP_QUARANTINED, "unknown_schema", NULL, false},
	/* 6 */
	{HEAD "}", DISP_QUARANTINED, "missing_field", "report_id", false},
	{HEAD "," ID "," KIND "," WHEN "," BY "," ABOUT "}", DISP_QUARANTINED, "missing_field",
		"channel", true},
	{HEAD "," ID "," CHANNEL "," WHEN "," BY "," ABOUT "}", DISP_QUARANTINED, "missing_field",
		"kind", true},
	{BUT_WHEN "}", DISP_QUARANTINED, "missing_field", "received_at", true},
	{HEAD "," ID "," CHANNEL "," KIND "," WHEN "," ABOUT "}", DISP_QUARANTINED, "missing_field",
		"reporter", true},
	{BUT_ABOUT "}", DISP_QUARANTINED, "missing_field", "sender", true},
	{BUT_ABOUT ",\"sender\":null}", DISP_QUARANTINED, "wrong_type", "sender", true},
	{BUT_ABOUT ",\"sender\":812341213}", DISP_QUARANTINED, "wrong_type", "sender", true},
	{BUT_ABOUT ",\"sender\":[\"0812341213\"]}", DISP_QUARANTINED, "wrong_type", "sender", true},
	{BUT_WHEN ",\"received_at\":1788000000}", DISP_QUARANTINED, "wrong_type", "received_at",
		true},
	{HEAD ",\"report_id\":5," CHANNEL "," KIND "," WHEN "," BY "," ABOUT "}", DISP_QUARANTINED,
		"wrong_type", "report_id", false},
	{GOOD ",\"content\":5}", DISP_QUARANTINED, "wrong_type", "content", true},
	{GOOD ",\"reporter_verified\":\"yes\"}", DISP_QUARANTINED, "wrong_type",
		"reporter_verified", true},
	{GOOD ",\"category\":[]}", DISP_QUARANTINED, "wrong_type", "category", true},
	{GOOD ",\"content\":null,\"category\":null,\"contact\":null,\"occurred_at\":null}",
		DISP_ACCEPTED, "counted", NULL, true},
	{SMS_HEAD "}", DISP_QUARANTINED, "missing_field", "text", true},
	{SMS_HEAD ",\"text\":5}", DISP_QUARANTINED, "wrong_type", "text", true},
	/* 7 */
	{HEAD ",\"report_id\":\"\"," CHANNEL "," KIND "," WHEN "," BY "," ABOUT "}",
		DISP_QUARANTINED, "bad_report_id", NULL, false},
	{HEAD ",\"report_id\":\"a b\"," CHANNEL "," KIND "," WHEN "," BY "," ABOUT "}",
		DISP_QUARANTINED, "bad_report_id", NULL, false},
	{HEAD ",\"report_id\":\"a\\u007f\"," CHANNEL "," KIND "," WHEN "," BY "," ABOUT "}",
		DISP_QUARANTINED, "bad_report_id", NULL, false},
	{HEAD ",\"report_id\":\"ạ\"," CHANNEL "," KIND "," WHEN "," BY "," ABOUT "}",
		DISP_QUARANTINED, "bad_report_id", NULL, false},
	{HEAD ",\"report_id\":\"%s%n'\\\";--\"," CHANNEL "," KIND "," WHEN "," BY "," ABOUT "}",
		DISP_ACCEPTED, "counted", NULL, true},
	/* 8 */
	{HEAD "," ID ",\"channel\":\"fax\"," KIND "," WHEN "," BY "," ABOUT "}", DISP_QUARANTINED,
		"bad_channel", NULL, true},
	{HEAD "," ID "," CHANNEL ",\"kind\":\"s\"," WHEN "," BY "," ABOUT "}", DISP_QUARANTINED,
		"bad_kind", NULL, true},
	{CONTACT("5"), DISP_QUARANTINED, "wrong_type", "contact", true},
	{CONTACT("{\"service\":\"fax\"}"), DISP_QUARANTINED, "bad_contact", "service", true},
	{CONTACT("{\"matched\":\"maybe\"}"), DISP_QUARANTINED, "bad_contact", "matched", true},
	{CONTACT("{\"matched\":true}"), DISP_QUARANTINED, "wrong_type", "contact.matched", true},
	{CONTACT("{\"message_id\":1}"), DISP_QUARANTINED, "wrong_type", "contact.message_id", true},
	{CONTACT("{\"origin\":\"mars\"}"), DISP_QUARANTINED, "bad_contact", "origin", true},
	{CONTACT("{\"duration_s\":-1}"), DISP_QUARANTINED, "bad_contact", "duration_s", true},
	{CONTACT("{\"duration_s\":\"9\"}"), DISP_QUARANTINED, "bad_contact", "duration_s", true},
	{CONTACT("{\"duration_s\":99999999999}"), DISP_QUARANTINED, "bad_contact", "duration_s",
		true},
	{CONTACT("{}"), DISP_ACCEPTED, "counted", NULL, true},
	{CONTACT("{\"matched\":\"unchecked\",\"origin\":\"unknown\",\"duration_s\":0}"),
		DISP_ACCEPTED, "counted", NULL, true},
	{"{\"schema\":\"report-sms/1\"," ID ",\"from\":\"0912345678\",\"to\":\"5657\"," WHEN
	 ",\"text\":\"V (0812341213)\"}",
		DISP_QUARANTINED, "bad_channel", "to", true},
	/* 9 */
	{BUT_WHEN ",\"received_at\":\"2026-02-31T09:15:02+07:00\"}", DISP_QUARANTINED, "bad_time",
		"received_at", true},
	{BUT_WHEN ",\"received_at\":\"2026-08-31T09:15:02\"}", DISP_QUARANTINED, "bad_time",
		"received_at", true},
	{BUT_WHEN ",\"received_at\":\"1989-12-31T23:59:59Z\"}", DISP_QUARANTINED, "bad_time", NULL,
		true},
	{BUT_WHEN ",\"received_at\":\"2200-01-01T00:00:00Z\"}", DISP_QUARANTINED, "bad_time", NULL,
		true},
	{BUT_WHEN ",\"received_at\":\"2199-12-31T23:59:59Z\"}", DISP_ACCEPTED, "counted", NULL,
		true},
	{GOOD ",\"occurred_at\":\"yesterday\"}", DISP_QUARANTINED, "bad_time", "occurred_at", true},
	{GOOD ",\"occurred_at\":5}", DISP_QUARANTINED, "wrong_type", "occurred_at", true},
	/* 10 */
	{HEAD "," ID "," CHANNEL "," KIND "," WHEN ",\"reporter\":\"5656\"," ABOUT "}",
		DISP_QUARANTINED, "bad_reporter", "reporter", true},
	{HEAD "," ID "," CHANNEL "," KIND "," WHEN ",\"reporter\":\"\"," ABOUT "}",
		DISP_QUARANTINED, "bad_reporter", "reporter", true},
	{HEAD "," ID "," CHANNEL "," KIND "," WHEN ",\"reporter\":\"0912 345 678\"," ABOUT "}",
		DISP_ACCEPTED, "counted", NULL, true},
	{"{\"schema\":\"report-sms/1\"," ID ",\"from\":\"VIETTHANG\",\"to\":\"5656\"," WHEN
	 ",\"text\":\"DK DNC\"}",
		DISP_QUARANTINED, "bad_reporter", "from", true},
	/* 11, 12 */
	{TEXT("DK DNC"), DISP_ROUTED, "registry", NULL, true},
	{TEXT("TCTM example.vn"), DISP_ROUTED, "registry", NULL, true},
	{TEXT("xin chao"), DISP_QUARANTINED, "no_keyword", NULL, true},
	{TEXT("V (toi bi lam phien ca ngay)"), DISP_QUARANTINED, "no_sender", NULL, true},
	{TEXT("V (0812341213) (0812341214)"), DISP_QUARANTINED, "two_senders", NULL, true},
	/* 13 */
	{GOOD ",\"content\":\"a\\u0000b\"}", DISP_QUARANTINED, "bad_content", "NUL", true},
	{TEXT("V (0812341213) (a\\u0000b)"), DISP_QUARANTINED, "bad_content", "NUL", true},
	{BUT_ABOUT ",\"sender\":\"9\",\"content\":\"\\u0000\"}", DISP_QUARANTINED, "bad_content",
		NULL, true},
	/* 14 */
	{BUT_ABOUT ",\"sender\":\"9\"}", DISP_QUARANTINED, "bad_sender", NULL, true},
	{BUT_ABOUT ",\"sender\":\"081234121\"}", DISP_QUARANTINED, "bad_sender", NULL, true},
	{BUT_ABOUT ",\"sender\":\"0812341213\\u0000\"}", DISP_QUARANTINED, "bad_sender", NULL,
		true},
	{BUT_ABOUT ",\"sender\":\"một tên quá dài không đọc được\"}", DISP_QUARANTINED,
		"bad_sender", NULL, true},
	{TEXT("V (081234121) (abc)"), DISP_QUARANTINED, "bad_sender", NULL, true},
	/* 17 to 19 */
	{BUT_ABOUT ",\"sender\":\"0912.345.678\"}", DISP_REJECTED, "self_report", NULL, true},
	{BUT_ABOUT ",\"sender\":\"113\"}", DISP_REJECTED, "emergency_number", NULL, true},
	{BUT_ABOUT ",\"sender\":\"115\"}", DISP_REJECTED, "emergency_number", NULL, true},
	{BUT_ABOUT ",\"sender\":\"156\"}", DISP_REJECTED, "own_service_number", NULL, true},
	{BUT_ABOUT ",\"sender\":\"5656\"}", DISP_REJECTED, "own_service_number", NULL, true},
	{TEXT("V (0912345678) (abc)"), DISP_REJECTED, "self_report", NULL, true},
	/* 20 */
	{BUT_ABOUT ",\"sender\":\"\"}", DISP_ACCEPTED, "withheld", NULL, true},
	{BUT_ABOUT ",\"sender\":\"anonymous\"}", DISP_ACCEPTED, "withheld", NULL, true},
	{BUT_ABOUT ",\"sender\":\"01681234567\"}", DISP_ACCEPTED, "old_number", NULL, true},
	{BUT_ABOUT ",\"sender\":\"01681234567\",\"occurred_at\":\"2018-09-01T00:00:00+07:00\"}",
		DISP_ACCEPTED, "late", NULL, true},
	{GOOD ",\"occurred_at\":\"2026-08-24T09:15:01+07:00\"}", DISP_ACCEPTED, "late", NULL, true},
	{GOOD ",\"occurred_at\":\"2026-08-24T09:15:02+07:00\"}", DISP_ACCEPTED, "counted", NULL,
		true},
	{GOOD ",\"occurred_at\":\"2026-09-24T09:15:02+07:00\"}", DISP_ACCEPTED, "counted", NULL,
		true},
	{CONTACT("{\"matched\":\"no\"}"), DISP_ACCEPTED, "no_contact", NULL, true},
	{CONTACT("{\"origin\":\"foreign\",\"matched\":\"yes\"}"), DISP_ACCEPTED, "spoofed", NULL,
		true},
	{BUT_ABOUT ",\"sender\":\"+8615500001111\",\"contact\":{\"origin\":\"foreign\"}}",
		DISP_ACCEPTED, "counted", NULL, true},
	{BUT_ABOUT ",\"sender\":\"VIETTHANG\",\"contact\":{\"origin\":\"foreign\"}}", DISP_ACCEPTED,
		"counted", NULL, true},
	{TEXT("V (0812341213) (lua dao trung thuong)"), DISP_ACCEPTED, "counted", NULL, true},
	{TEXT("V (an danh) (goi luc nua dem)"), DISP_ACCEPTED, "withheld", NULL, true},
};

static void test_dispositions(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct report r;

		CHECK_CASE("%zu: %.150s", i, cases[i].value);
		arena_reset(w.arena);
		world_decode(&w, slice_str(cases[i].value), &r);
		CHECK_STR(disposition_name(r.disposition), disposition_name(cases[i].want));
		CHECK_STR(r.reason, cases[i].reason);
		if (cases[i].detail != NULL)
			CHECK_HAS(r.detail, cases[i].detail);
		CHECK((r.detail[0] != '\0') == (r.disposition == DISP_QUARANTINED));
		CHECK((r.report_id.len > 0) == cases[i].id);
		CHECK(r.counts == (strcmp(r.reason, "counted") == 0));
		CHECK_INT(r.partition, 3);
		CHECK_INT(r.offset, 77);
		CHECK(r.bytes.len == strlen(cases[i].value));
	}
}

static void test_bytes(void)
{
	static char big[BOUND_RECORD + 2];
	struct report r;
	size_t n;

	world_decode(&w, slice_of(NULL, 0), &r);
	CHECK_STR(r.reason, "tombstone");
	world_decode(&w, SLICE("{\"schema\":\"\xff\"}"), &r);
	CHECK_STR(r.reason, "not_utf8");
	world_decode(&w, SLICE(GOOD ",\"x\":\"\xed\xa0\x80\"}"), &r);
	CHECK_STR(r.reason, "not_utf8");
	world_decode(&w, SLICE(GOOD "\0}"), &r);
	CHECK_STR(r.reason, "not_json");
	/* exactly the bound is looked into; one byte more is not */
	n = (size_t)snprintf(big, sizeof(big), "%s", GOOD ",\"content\":\"");
	memset(big + n, 'x', sizeof(big) - n);
	memcpy(big + BOUND_RECORD - 2, "\"}", 2);
	world_decode(&w, slice_of(big, BOUND_RECORD), &r);
	CHECK_STR(r.reason, "counted");
	CHECK(r.content_cut);
	CHECK_INT(r.content.len, BOUND_RECORD - 2 - (int)n);
	memcpy(big + BOUND_RECORD - 2, "x\"}", 3);
	world_decode(&w, slice_of(big, BOUND_RECORD + 1), &r);
	CHECK_STR(r.reason, "too_large");
}

/* A chain of objects as deep as allowed, and one deeper. */
static void test_depth(void)
{
	for (int depth = BOUND_JSON_DEPTH - 1; depth <= BOUND_JSON_DEPTH; depth++) {
		BUF_OWN struct buf b;
		struct report r;

		buf_init(&b, 10000);
		buf_add(&b, SLICE(GOOD ",\"x\":"));
		for (int i = 0; i < depth; i++)
			buf_byte(&b, '[');
		for (int i = 0; i < depth; i++)
			buf_byte(&b, ']');
		buf_byte(&b, '}');
		world_decode(&w, buf_slice(&b), &r);
		CHECK_STR(r.reason, depth < BOUND_JSON_DEPTH ? "counted" : "not_json");
	}
}

static void test_understood(void)
{
	struct report r;

	world_decode(&w,
		SLICE("{\"schema\":\"complaint/"
		      "1\",\"report_id\":\"ais:7\",\"channel\":\"portal\",\"kind\":\"LD\","
		      "\"received_at\":\"2026-08-31T09:15:02+07:00\",\"occurred_at\":\"2026-08-"
		      "31T09:11:40.5+07:00\","
		      "\"reporter\":\"0912345678\",\"sender\":\" +84 812 341 213 "
		      "\",\"content\":\"a\\u0301 \\u202e%n\\r\\n\","
		      "\"category\":\"loan\",\"contact\":{\"service\":\"sms\",\"matched\":\"yes\","
		      "\"origin\":\"own\","
		      "\"duration_s\":12.7,\"message_id\":\"m-1\",\"cell\":9},\"evidence\":[{"
		      "\"mime\":\"image/png\",\"size\":1}],"
		      "\"serving_carrier\":\"viettel\",\"note\":\"x\"}"),
		&r);
	CHECK_INT(r.disposition, DISP_ACCEPTED);
	CHECK_SLICE(r.report_id, "ais:7");
	CHECK_STR(kind_name(r.kind), "LD");
	CHECK_STR(service_name(r.service), "sms");
	CHECK_STR(channel_name(r.channel), "portal");
	CHECK_INT(r.received_at, INT64_C(1788142502000000));
	CHECK_INT(r.occurred_at, INT64_C(1788142300500000));
	CHECK_STR(r.reporter.value, "84912345678");
	CHECK(!r.verified);
	CHECK_STR(r.sender.value, "84812341213");
	CHECK_INT(r.sender.scope, SCOPE_NUMBER);
	CHECK_SLICE(r.sender_raw, " +84 812 341 213 ");
	CHECK_SLICE(r.content, "a\xcc\x81 \xe2\x80\xae%n\r\n");
	CHECK(!r.content_cut);
	CHECK_SLICE(r.category, "loan");
	CHECK_INT(r.matched, MATCHED_YES);
	CHECK_INT(r.origin, ORIGIN_OWN);
	CHECK_INT(r.duration_s, 12);
	CHECK(!r.spoofed);
	/* the order of the record's members */
	CHECK_HAS(r.extra.ptr, "\"contact\":{\"message_id\":\"m-1\",\"cell\":9}");
	CHECK_HAS(r.extra.ptr, "\"serving_carrier\":\"viettel\"");
	CHECK_HAS(r.extra.ptr, "\"evidence\":[{\"mime\":\"image/png\",\"size\":1}]");
	CHECK_HAS(r.extra.ptr, "\"note\":\"x\"");
}

/* What we do not know is kept as it was written: a number keeps its digits, a text its escapes. */
static void test_unknown_fields(void)
{
	struct report r;

	world_decode(&w,
		SLICE(GOOD ",\"price\" : 1.50e0 , \"caf\\u00e9\":{ \"a\" : \"\\u0062\" },"
			   "\"contact\":{\"cell\" : 9.0,\"matched\":\"yes\"}}"),
		&r);
	CHECK_INT(r.disposition, DISP_ACCEPTED);
	CHECK_SLICE(r.extra,
		"{\"price\":1.50e0,\"caf\\u00e9\":{ \"a\" : \"\\u0062\" "
		"},\"contact\":{\"cell\":9.0}}");
}

static void test_defaults(void)
{
	static const struct {
		const char *channel;
		bool verified;
	} channels[] = {{"sms156", true}, {"sms5656", true}, {"voice156", true}, {"care", true},
		{"portal", false}, {"app", false}, {"authority", false}, {"network", false}};
	struct report r;

	for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
		char *value = arena_fmt(w.arena,
			HEAD "," ID ",\"channel\":\"%s\",\"kind\":\"LD\"," WHEN "," BY "," ABOUT
			     "}",
			channels[i].channel);

		CHECK_CASE("%s", channels[i].channel);
		world_decode(&w, slice_str(value), &r);
		CHECK_INT(r.disposition, DISP_ACCEPTED);
		CHECK(r.verified == channels[i].verified);
	}
	CHECK_STR(service_name(r.service), "voice"); /* LD says nothing of it */
	CHECK(r.occurred_at == TIME_NONE);
	CHECK_INT(r.duration_s, -1);
	CHECK_INT(r.matched, MATCHED_UNCHECKED);
	CHECK_INT(r.origin, ORIGIN_UNKNOWN);
	CHECK_INT(r.content.len, 0);
	CHECK_INT(r.extra.len, 0);
	world_decode(&w,
		SLICE(GOOD ",\"reporter_verified\":false,\"contact\":{\"service\":\"voice\"}}"),
		&r);
	CHECK(!r.verified);
	CHECK_STR(service_name(r.service), "sms"); /* kind S stays about SMS */
}

static void test_sms_fields(void)
{
	struct report r;

	world_decode(&w,
		SLICE(SMS_HEAD ",\"text\":\"ld (0812341213) (gia cong an) gap\",\"part\":2}"), &r);
	CHECK_INT(r.disposition, DISP_ACCEPTED);
	CHECK_STR(channel_name(r.channel), "sms5656");
	CHECK_STR(kind_name(r.kind), "LD");
	CHECK_STR(service_name(r.service), "voice");
	CHECK(r.verified && r.occurred_at == TIME_NONE);
	CHECK_SLICE(r.content, "gia cong an gap");
	CHECK_SLICE(r.sender_raw, "0812341213");
	CHECK_SLICE(r.extra, "{\"part\":2}");
	world_decode(&w, SLICE(TEXT("FW [mua nha]")), &r);
	CHECK_STR(r.route_to, "registry-requests");
	CHECK_SLICE(r.registry_text, "FW [mua nha]");
	CHECK_STR(r.reporter.value, "84912345678");
}

/* A text that no column could hold is kept beside, unchanged. */
static void test_nul_elsewhere(void)
{
	struct report r;

	world_decode(&w, SLICE(GOOD ",\"category\":\"lo\\u0000an\"}"), &r);
	CHECK_INT(r.disposition, DISP_ACCEPTED);
	CHECK_INT(r.category.len, 0);
	CHECK_SLICE(r.extra, "{\"category\":\"lo\\u0000an\"}");
}

/* A record is 64 KiB at most, a column of words should not be. */
static void test_long_words(void)
{
	static const struct {
		const char *before, *pad, *after;
		bool name; /* or withheld */
	} senders[] = {{"", " ", "0812341213", true}, {"", "\xe2\x80\x8b", "0812341213", true},
		{"0812341213", "\xe2\x80\x8b", "", true}, {"\xc2\xa0", " ", "", false}};
	BUF_OWN struct buf b;
	struct report r;

	buf_init(&b, (size_t)1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		CHECK_CASE("%zu", i);
		buf_clear(&b);
		buf_fmt(&b,
			"{\"schema\":\"complaint/1\",\"report_id\":\"r\",\"channel\":\"app\","
			"\"kind\":\"S\",\"received_at\":\"2026-08-31T09:15:02Z\","
			"\"reporter\":\"0912345678\",\"sender\":\"%s",
			senders[i].before);
		while (b.len < 60000)
			buf_add(&b, slice_str(senders[i].pad));
		buf_fmt(&b, "%s\"}", senders[i].after);
		world_decode(&w, buf_slice(&b), &r);
		CHECK_STR(r.reason, senders[i].name ? "counted" : "withheld");
		CHECK(r.sender_raw.len <= BOUND_SENDER_RAW && slice_utf8_valid(r.sender_raw));
		if (senders[i].name) {
			CHECK_STR(r.sender.value, "84812341213");
			CHECK_HAS(r.sender_raw.ptr, "0812341213");
		}
	}
	buf_clear(&b);
	buf_add(&b, SLICE(GOOD ",\"category\":\""));
	for (int i = 0; i <= BOUND_WORD; i++)
		buf_byte(&b, 'x');
	buf_add(&b, SLICE("\"}"));
	world_decode(&w, buf_slice(&b), &r);
	CHECK_INT(r.disposition, DISP_ACCEPTED);
	CHECK_INT(r.category.len, 0);
	CHECK_INT(r.extra.len, BOUND_WORD + 1 + strlen("{\"category\":\"\"}"));
}

static void test_nul_in_sender(void)
{
	struct report r;

	world_decode(&w, SLICE(TEXT("V (an\\u0000danh) (goi luc nua dem)")), &r);
	CHECK_INT(r.disposition, DISP_QUARANTINED);
	CHECK_STR(r.reason, "bad_sender");
}

static void test_spoofed(void)
{
	static const struct {
		const char *value;
		bool spoofed;
	} rows[] = {
		{CONTACT("{\"matched\":\"no\"}"), true},
		{CONTACT("{\"origin\":\"foreign\",\"matched\":\"yes\"}"), true},
		{CONTACT("{\"origin\":\"other\",\"matched\":\"yes\"}"), false},
		{BUT_ABOUT ",\"sender\":\"\",\"contact\":{\"matched\":\"no\"}}", false},
		{BUT_ABOUT ",\"sender\":\"+8615500001111\",\"contact\":{\"origin\":\"foreign\"}}",
			false},
		{CONTACT("{\"matched\":\"no\"},\"occurred_at\":\"2026-01-01T00:00:00Z\""),
			true}, /* late as well */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct report r;

		CHECK_CASE("%s", rows[i].value);
		world_decode(&w, slice_str(rows[i].value), &r);
		CHECK_INT(r.disposition, DISP_ACCEPTED);
		CHECK(r.spoofed == rows[i].spoofed);
	}
}

static void test_full_arena(void)
{
	struct arena *small = arena_new(64);
	struct kafka_record r = {.topic = "complaints",
		.value = SLICE(GOOD ",\"content\":\"0123456789012345678901234567890123456789\"}")};
	struct report out;

	CHECK_INT(decode(w.decoder, FEED_COMPLAINTS, &r, small, &out), RC_LIMIT);
	CHECK_INT(decode(w.decoder, FEED_COMPLAINTS, &r, w.arena, &out), RC_OK);
	CHECK_STR(out.reason, "counted");
	arena_free(small);
}

/* Check 9a hangs on the record's own timestamp alone. */
static void test_future(void)
{
	static const int64_t received = INT64_C(1788142502) * US_PER_S; /* of WHEN */
	static const struct {
		int64_t stamped;
		bool quarantined;
	} stamps[] = {
		{TIME_NONE, false},
		{0, false},
		{-1, false},
		{INT64_MAX, false},
		{1, true},
		{received, false},
		{received + US_PER_DAY * 4000, false},
		{received - US_PER_DAY, false},
		{received - US_PER_DAY - 1, true},
		{received - US_PER_DAY * 9000, true},
	};
	static const char *const values[] = {GOOD "}", TEXT("S (0812341213) (x)")};

	for (size_t i = 0; i < ARRAY_LEN(stamps); i++)
		for (size_t k = 0; k < ARRAY_LEN(values); k++) {
			struct kafka_record r = {.topic = "complaints",
				.timestamp_us = stamps[i].stamped,
				.value = slice_str(values[k])};
			struct report out;

			arena_reset(w.arena);
			CHECK_INT(decode(w.decoder, FEED_COMPLAINTS, &r, w.arena, &out), RC_OK);
			CHECK_STR(out.reason,
				stamps[i].quarantined ? "received_in_future" : "counted");
			CHECK_INT(out.report_id.len > 0, true);
		}
}

int main(void)
{
	world_init(&w);
	RUN(test_dispositions);
	RUN(test_bytes);
	RUN(test_depth);
	RUN(test_understood);
	RUN(test_unknown_fields);
	RUN(test_defaults);
	RUN(test_sms_fields);
	RUN(test_nul_elsewhere);
	RUN(test_long_words);
	RUN(test_nul_in_sender);
	RUN(test_future);
	RUN(test_spoofed);
	RUN(test_full_arena);
	world_done(&w);
	return check_done();
}
