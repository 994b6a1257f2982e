/* Tables of others: which header is whose, rows with quotes and line ends, rows whose columns slipped; XARF in and out. What comes out is
 * put through the decoder: it must be a report. */
#include "ingest/import.h"
#include "tests/unit/ingest_world.h"

static struct world w;

#define FTC                                                                                 \
	"id,Company_Phone_Number,Created_Date,Violation_Date,Consumer_City,Consumer_State," \
	"Consumer_Area_Code,Subject,Recorded_Message_Or_Robocall"
#define FTC_ID "0123456789abcdef0123456789ABCDEF"
#define FCC                                                                                 \
	"Ticket ID,Ticket Created,Date of Issue,Time of Issue,Form,Method,Issue,Caller ID " \
	"Number,Type of Call or Messge,Advertiser Business Number,State,Zip"
#define PORTAL "id,received_at,reporter,verified,kind,source,content,evidence"

static const struct {
	const char *header, *row;
	const char *has;    /* of the record; NULL: refused */
	const char *why;    /* of a refused row */
	const char *reason; /* of the decoder */
} rows[] = {
	{FTC,
		FTC_ID ",2025550143,2024-01-15 14:30:25,2024-01-14 "
		       "09:00:00,Springfield,Ohio,614,Reducing your debt,Y",
		"\"report_id\":\"ftc:" FTC_ID "\",", NULL, "counted"},
	{FTC, FTC_ID ",2025550143,2024-01-15 14:30:25,2024-01-14 09:00:00,,,,Other,N",
		"\"sender\":\"+12025550143\",\"kind\":\"V\",\"received_at\":\"2024-01-15T14:30:25-"
		"05:00\",\"occurred_at\":\"2024-01-14T09:00:00-05:00\",\"category\":\"Other\"",
		NULL, "counted"},
	{FTC, FTC_ID ",,2024-01-15,,,,,Other,", "\"sender\":\"\"", NULL, "withheld"},
	{FTC, FTC_ID ",\"(202) 555-0143\",2024-01-15,,\"St. \"\"X\"\", the\",,,Other,",
		"St. \\\"X\\\", the", NULL, "counted"},
	{FTC, FTC_ID ",1-202-555-0143,2024-01-15,,,,,Other,", "\"+12025550143\"", NULL, "counted"},
	{FTC, ",2025550143,2024-01-15,,,,,Other,", "\"report_id\":\"ftc:", NULL, "counted"},
	{FTC, FTC_ID ",2024-01-15,2025550143,,,,,Other,", NULL, "company_phone_number", NULL},
	{FTC, "2025550143," FTC_ID ",2024-01-15,,,,,Other,", NULL, "column id", NULL},
	{FTC, FTC_ID ",2025550143,Ohio,,,,,Other,", NULL, "created_date", NULL},
	{FTC, FTC_ID ",2025550143,2024-13-15,,,,,Other,", NULL, "created_date", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,,614,Ohio,Other,", NULL, "area_code", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,,614,,Other,", NULL, "consumer_state", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,,,,N,Other", NULL, "robocall", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,,,,614,N", NULL, "subject", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,,,,Other", NULL, "fewer fields", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,,,,Other,N,", NULL, "more or fewer", NULL},
	{FTC, FTC_ID ",\"2025550143,2024-01-15,,,,,Other,N", NULL, "quotes", NULL},
	{FTC, FTC_ID ",\"2025550143\"x,2024-01-15,,,,,Other,N", NULL, "quotes", NULL},
	{FTC, FTC_ID ",2025550143,2024-01-15,,\xff,,,Other,N", NULL, "UTF-8", NULL},
	{FCC,
		"4321,01/16/2024 12:00:00 AM,01/15/2024,7:35 p.m.,Phone,Wireless,Unwanted "
		"Calls,202-555-0143,Prerecorded Voice,202-555-0199,OH,43004",
		"\"sender\":\"+12025550143\",\"kind\":\"V\",\"received_at\":\"2024-01-16T00:00:00-"
		"05:00\",\"occurred_at\":\"2024-01-15T00:00:00-05:00\"",
		NULL, "counted"},
	{FCC,
		"4321,,2024-01-15T00:00:00.000,,Phone,Wireless,Unwanted Calls,,Text "
		"Message,202-555-0199,OH,43004",
		"\"sender\":\"+12025550199\",\"kind\":\"S\"", NULL, "counted"},
	{FCC, "4321,,2024-01-15,,Phone,Wireless,Unwanted Calls,None,Live Voice,,OH,43004",
		"\"sender\":\"\"", NULL, "withheld"},
	{FCC, "43 21,,2024-01-15,,Phone,Wireless,Unwanted Calls,None,Live Voice,,OH,43004", NULL,
		"column id", NULL},
	{FCC, "4321,,2024-01-15,,Phone,Wireless,Unwanted Calls,Live Voice,202-555-0143,,OH,43004",
		NULL, "caller_id", NULL},
	{FCC, "4321,,2024-01-15,,Phone,Wireless,Unwanted Calls,202-555-0143,Live Voice,,43004,OH",
		NULL, "state", NULL},
	{PORTAL,
		"77,31/08/2026 09:15,0912345678,yes,LD,0812341213,\"gia danh, \"\"cong an\"\"\nhai "
		"dong\",a.png",
		"\"received_at\":\"2026-08-31T09:15:00+07:00\"", NULL, "counted"},
	{PORTAL, "77,2026-08-31T09:15:00+07:00,0912345678,no,S,SHOP69,x,",
		"\"reporter_verified\":false,\"sender\":\"SHOP69\"", NULL, "counted"},
	{PORTAL, "77,31/08/2026 09:15:02,0912345678,,X,0812341213,,", "\"kind\":\"X\"", NULL,
		"bad_kind"},
	{PORTAL, "77,0912345678,31/08/2026 09:15,,S,0812341213,,", "\"portal:77\"", NULL,
		"bad_time"},
	{PORTAL, ",31/08/2026 09:15,0912345678,,S,0812341213,,", NULL, "column id", NULL},
};

static const struct {
	const char *line, *table;
} headers[] = {
	{FTC, "ftc"},
	{"\xEF\xBB\xBF" FTC, "ftc"},
	{"Company_Phone_Number,Created_Date,Violation_Date,Consumer_City,Consumer_State,Consumer_"
	 "Area_Code,Subject,Recorded_Message_Or_Robocall",
		"ftc"},
	{"id,company-phone-number,created-date,violation-date,subject,recorded-message-or-robocall,"
	 "seq",
		"ftc"},
	{"id,issue_date,issue_time,issue_type,method,issue,caller_id_number,type_of_call_or_messge,"
	 "advertiser_business_phone_number,state,zip,location_1",
		"fcc"},
	{FCC, "fcc"},
	{PORTAL, "portal"},
	{"\"id\",\"received_at\",\"reporter\",\"kind\",\"source\",\"content\"", "portal"},
	{"id,id,received_at,reporter,kind,source,content", NULL},
	{"id,received_at,reporter,kind,source", NULL},
	{"{\"schema\":\"complaint/1\",\"report_id\":\"x\"}", NULL},
	{"", NULL},
	{",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", NULL},
};

static void test_headers(void)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct import_table t;
		bool found = import_header(slice_str(headers[i].line), &t);

		CHECK_CASE("%s", headers[i].line);
		CHECK_STR(found ? t.ops->name : "none",
			headers[i].table != NULL ? headers[i].table : "none");
	}
}

static void test_rows(void)
{
	BUF_OWN struct buf out;

	buf_init(&out, 100000);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct import_table t;
		struct report r;
		const char *why = "";

		CHECK_CASE("%s", rows[i].row);
		CHECK_INT(import_header(slice_str(rows[i].header), &t), true);
		bool good = import_row(&t, slice_str(rows[i].row), &out, &why);
		CHECK_INT(good, rows[i].has != NULL);
		if (!good) {
			CHECK_HAS(why, rows[i].why);
			continue;
		}
		CHECK_HAS(arena_copy(w.arena, buf_slice(&out)).ptr, rows[i].has);
		arena_reset(w.arena);
		world_decode(&w, buf_slice(&out), &r);
		CHECK_STR(r.reason, rows[i].reason);
		if (t.ops != &import_portal)
			CHECK_INT(r.verified, false);
	}
}

#define ORG "{\"org\":\"Nha mang B\",\"contact\":\"abuse@b.example\",\"domain\":\"b.example\"}"
#define XARF_HEAD                                                                             \
	"{\"xarf_version\":\"4.0.0\",\"report_id\":\"123e4567-e89b-12d3-a456-426614174000\"," \
	"\"timestamp\":\"2026-08-31T02:15:02Z\",\"reporter\":" ORG ",\"sender\":" ORG
#define XARF(more) XARF_HEAD ",\"category\":\"messaging\",\"type\":\"spam\"" more "}"
#define FROM ",\"source_identifier\":\"+84812341213\",\"protocol\":\"sms\""

static const struct {
	const char *line;
	enum rc want;
	const char *what; /* part of the record, or of the reason */
} xarfs[] = {
	{XARF(FROM ",\"evidence\":[{\"content_type\":\"image/"
		   "png\",\"payload\":\"AA==\"},{\"content_type\":\"text/"
		   "plain\",\"payload\":\"dmF5IG5oYW5o\"}]"),
		RC_OK, "\"content\":\"vay nhanh\""},
	{XARF(FROM), RC_OK,
		"\"report_id\":\"xarf:123e4567-e89b-12d3-a456-426614174000\",\"channel\":"
		"\"network\",\"kind\":\"S\""},
	{XARF(FROM ",\"tags\":[\"khien:kind-ld\"]"), RC_OK, "\"contact\":{\"service\":\"sms\"}"},
	{XARF(",\"source_identifier\":\"SHOP69\",\"protocol\":\"other\",\"tags\":[\"a:b\",\"khien:"
	      "kind-v\"]"),
		RC_OK, "\"kind\":\"V\""},
	{XARF(",\"source_identifier\":\"192.0.2.1\",\"protocol\":\"smtp\""), RC_INVALID,
		"protocol"},
	{XARF(FROM ",\"evidence\":[{\"content_type\":\"text/plain\",\"payload\":\"?\"}]"),
		RC_INVALID, "base64"},
	{XARF(FROM ",\"evidence\":[{\"content_type\":\"text/plain\",\"payload\":\"/w==\"}]"),
		RC_INVALID, "base64"},
	{XARF_HEAD FROM ",\"category\":\"connection\",\"type\":\"ddos\"}", RC_INVALID, "category"},
	{XARF(",\"protocol\":\"sms\""), RC_INVALID, "source_identifier"},
	{"{\"xarf_version\":\"3.1\"}", RC_INVALID, "version"},
	{"{\"xarf_version\":4}", RC_INVALID, "version"},
	{"{\"schema\":\"complaint/1\",\"content\":\"\\\"xarf_version\\\"\"}", RC_NONE, NULL},
	{"{\"schema\":\"complaint/1\",\"xarf_version\":\"4.0.0\"}", RC_NONE, NULL},
	{"{\"xarf_version\":\"4.0.0\"", RC_NONE, NULL},
	{"", RC_NONE, NULL},
};

static void test_xarf_in(void)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	BUF_OWN struct buf out;

	buf_init(&out, 100000);
	for (size_t i = 0; i < ARRAY_LEN(xarfs); i++) {
		const char *why = "";
		struct report r;

		CHECK_CASE("%s", xarfs[i].line);
		enum rc rc = xarf_read(p, slice_str(xarfs[i].line), &out, &why);
		CHECK_INT(rc, xarfs[i].want);
		if (rc == RC_INVALID)
			CHECK_HAS(why, xarfs[i].what);
		if (rc != RC_OK)
			continue;
		CHECK_HAS(arena_copy(w.arena, buf_slice(&out)).ptr, xarfs[i].what);
		arena_reset(w.arena);
		world_decode(&w, buf_slice(&out), &r);
		CHECK_STR(r.reason, "counted");
	}
}

/* What goes out comes in again as the same report, and without the reporter. */
static void test_xarf_out(void)
{
	static const struct xarf_org org = {"Nha mang A", "abuse@a.example", "a.example"};
	static const struct {
		enum kind kind;
		enum service service;
		struct sender sender;
		const char *content;
	} cases[] = {
		{KIND_S, SERVICE_SMS, {SCOPE_NUMBER, "84812341213"}, "vay \"nhanh\" ặ\n2"},
		{KIND_V, SERVICE_VOICE, {SCOPE_SHORT, "19001234"}, ""},
		{KIND_LD, SERVICE_SMS, {SCOPE_NAME, "shop 69"}, "x"},
		{KIND_LD, SERVICE_VOICE, {SCOPE_NUMBER, "12025550143"}, "xy"},
	};
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	BUF_OWN struct buf text;
	BUF_OWN struct buf back;
	const char *why = "";

	buf_init(&text, 100000);
	buf_init(&back, 100000);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct xarf_report out = {.report_id = SLICE("ais:1"),
			.content = slice_str(cases[i].content),
			.at = INT64_C(1788142502) * US_PER_S,
			.kind = cases[i].kind,
			.service = cases[i].service,
			.sender = cases[i].sender,
			.confidence = 0.5};
		struct report r;

		CHECK_CASE("%s", cases[i].sender.value);
		buf_clear(&text);
		xarf_write(&org, &out, &text);
		CHECK_INT(xarf_read(p, buf_slice(&text), &back, &why), RC_OK);
		arena_reset(w.arena);
		world_decode(&w, buf_slice(&back), &r);
		CHECK_STR(r.reason, "counted");
		CHECK_INT(r.kind, cases[i].kind);
		CHECK_INT(r.service, cases[i].service);
		CHECK_INT(r.received_at, out.at);
		CHECK_INT(r.sender.scope, cases[i].sender.scope);
		CHECK_STR(r.sender.value, cases[i].sender.value);
		CHECK_SLICE(r.content, cases[i].content);
	}
}

int main(void)
{
	world_init(&w);
	RUN(test_headers);
	RUN(test_rows);
	RUN(test_xarf_in);
	RUN(test_xarf_out);
	world_done(&w);
	return check_done();
}
