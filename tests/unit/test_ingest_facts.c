/* The records beside the reports: each schema on its own topic, field by field, and what is understood of a good one. */
#include "tests/unit/ingest_world.h"

static struct world w;

#define AT "\"at\":\"2026-08-31T09:15:02+07:00\""
#define SPAN "\"from\":\"2026-08-31T09:00:00Z\",\"to\":\"2026-08-31T10:00:00Z\""
#define CONTACT(more) "{\"schema\":\"contacts/1\",\"report_id\":\"r1\"" more "}"
#define ACTIVITY(more) "{\"schema\":\"activity/1\",\"sender\":\"0912345678\"," more "}"
#define POLL(more) "{\"schema\":\"poll-answers/1\",\"sender\":\"5656\"," more "}"
#define PROVISIONING(more) "{\"schema\":\"provisioning-results/1\"," more "}"
#define NOTICE(more) "{\"schema\":\"notice-results/1\"," more "}"
#define SUBSCRIPTION(more) "{\"schema\":\"subscriptions/1\"," more "}"

static const struct {
	enum feed of;
	const char *value, *reason;
} cases[] = {
	{FEED_CONTACTS, CONTACT(""), "noted"},
	{FEED_CONTACTS, CONTACT(",\"matched\":null,\"new\":[1]"), "noted"},
	{FEED_CONTACTS, CONTACT(",\"duration_s\":1.9"), "noted"},
	{FEED_CONTACTS, CONTACT(",\"duration_s\":-1"), "bad_contact"},
	{FEED_CONTACTS, CONTACT(",\"matched\":\"Yes\""), "bad_contact"},
	{FEED_CONTACTS, CONTACT(",\"origin\":\"mars\""), "bad_contact"},
	{FEED_CONTACTS, CONTACT(",\"service\":\"fax\""), "bad_contact"},
	{FEED_CONTACTS, CONTACT(",\"matched\":true"), "wrong_type"},
	{FEED_CONTACTS, CONTACT(",\"report_id\":\"r2\""), "not_json"},
	{FEED_CONTACTS, "{\"schema\":\"contacts/1\"}", "missing_field"},
	{FEED_CONTACTS, "{\"schema\":\"contacts/1\",\"report_id\":\"a b\"}", "bad_report_id"},
	{FEED_CONTACTS, "{\"schema\":\"contacts/2\",\"report_id\":\"r1\"}", "unknown_schema"},
	{FEED_COMPLAINTS, CONTACT(""), "unknown_schema"},
	{FEED_ACTIVITY, CONTACT(""), "unknown_schema"},
	{FEED_ACTIVITY, ACTIVITY(SPAN), "noted"},
	{FEED_ACTIVITY, ACTIVITY(SPAN ",\"sms_out\":4294967295"), "noted"},
	{FEED_ACTIVITY, ACTIVITY(SPAN ",\"sms_out\":4294967296"), "bad_count"},
	{FEED_ACTIVITY, ACTIVITY(SPAN ",\"sms_out\":-1"), "bad_count"},
	{FEED_ACTIVITY, ACTIVITY(SPAN ",\"sms_out\":1.5"), "wrong_type"},
	{FEED_ACTIVITY, ACTIVITY("\"from\":\"2026-08-31T09:00:00Z\""), "missing_field"},
	{FEED_ACTIVITY,
		ACTIVITY("\"from\":\"2026-08-31T09:00:00Z\",\"to\":\"2026-08-31T09:00:00Z\""),
		"bad_span"},
	{FEED_ACTIVITY,
		ACTIVITY("\"from\":\"2026-08-01T00:00:00Z\",\"to\":\"2026-09-01T00:00:00.1Z\""),
		"bad_span"},
	{FEED_ACTIVITY, ACTIVITY("\"from\":\"2026-08-01T00:00:00Z\",\"to\":\"tomorrow\""),
		"bad_time"},
	{FEED_ACTIVITY,
		ACTIVITY("\"from\":\"2126-08-01T00:00:00Z\",\"to\":\"2126-08-02T00:00:00Z\""),
		"bad_time"},
	{FEED_ACTIVITY, "{\"schema\":\"activity/1\",\"sender\":\"an danh\"," SPAN "}",
		"bad_sender"},
	{FEED_ACTIVITY, "{\"schema\":\"activity/1\",\"sender\":\"0912\\u0000\"," SPAN "}",
		"bad_sender"},
	{FEED_POLL_ANSWERS, POLL("\"poll_id\":\"p\",\"yes\":1,\"no\":0,\"silent\":9"), "noted"},
	{FEED_POLL_ANSWERS, POLL("\"poll_id\":\"p\",\"yes\":1,\"no\":0"), "missing_field"},
	{FEED_POLL_ANSWERS, POLL("\"poll_id\":\"\",\"yes\":1,\"no\":0,\"silent\":9"), "bad_id"},
	{FEED_POLL_ANSWERS, POLL("\"poll_id\":\"p\",\"yes\":\"1\",\"no\":0,\"silent\":9"),
		"wrong_type"},
	{FEED_PROVISIONING_RESULTS,
		PROVISIONING("\"request_id\":\"q\",\"status\":\"not_ours\"," AT), "noted"},
	{FEED_PROVISIONING_RESULTS, PROVISIONING("\"request_id\":\"q\",\"status\":\"Done\"," AT),
		"bad_status"},
	{FEED_PROVISIONING_RESULTS,
		PROVISIONING("\"request_id\":\"\\u0000\",\"status\":\"done\"," AT), "bad_id"},
	{FEED_PROVISIONING_RESULTS,
		PROVISIONING("\"request_id\":\"q\",\"status\":\"done\",\"at\":\"x\""), "bad_time"},
	{FEED_NOTICE_RESULTS, NOTICE("\"request_id\":\"q\",\"delivered\":false," AT), "noted"},
	{FEED_NOTICE_RESULTS, NOTICE("\"request_id\":\"q\",\"delivered\":0," AT), "wrong_type"},
	{FEED_NOTICE_RESULTS, NOTICE("\"delivered\":true," AT), "missing_field"},
	{FEED_SUBSCRIPTIONS, SUBSCRIPTION("\"msisdn\":\"0912345678\",\"event\":\"terminated\"," AT),
		"noted"},
	{FEED_SUBSCRIPTIONS, SUBSCRIPTION("\"msisdn\":\"MUASAM\",\"event\":\"terminated\"," AT),
		"bad_number"},
	{FEED_SUBSCRIPTIONS, SUBSCRIPTION("\"msisdn\":\"0912345678\",\"event\":\"sold\"," AT),
		"bad_status"},
	{FEED_SUBSCRIPTIONS,
		SUBSCRIPTION("\"msisdn\":\"0912345678\",\"event\":\"ported_in\",\"carrier\":"
			     "\"a\\u0000b\"," AT),
		"bad_carrier"},
};

static void one(enum feed of, const char *value, struct report *out)
{
	struct kafka_record r = {
		.timestamp_us = INT64_C(1788142502) * US_PER_S, .value = slice_str(value)};

	arena_reset(w.arena);
	CHECK_INT(decode(w.decoder, of, &r, w.arena, out), RC_OK);
}

static void test_cases(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct report r;

		CHECK_CASE("%s: %s", feed_name(cases[i].of), cases[i].value);
		one(cases[i].of, cases[i].value, &r);
		CHECK_STR(r.reason, cases[i].reason);
		bool good = strcmp(cases[i].reason, "noted") == 0;
		CHECK_INT(r.disposition, good ? DISP_ACCEPTED : DISP_QUARANTINED);
		CHECK_INT(r.fact != NULL, good);
		CHECK_INT(good || r.detail[0] != '\0', true);
		if (good)
			CHECK_INT(r.fact->of, cases[i].of);
	}
}

static void test_understood(void)
{
	struct report r;

	one(FEED_CONTACTS,
		CONTACT(",\"service\":\"sms\",\"matched\":\"no\",\"origin\":\"foreign\",\"duration_"
			"s\":7.9,"
			"\"message_id\":\"m\",\"x\":1"),
		&r);
	CHECK_INT(r.fact->contact.matched, MATCHED_NO);
	CHECK_INT(r.fact->contact.origin, ORIGIN_FOREIGN);
	CHECK_INT(r.fact->contact.duration_s, 7);
	CHECK_SLICE(r.fact->contact.report_id, "r1");
	CHECK_SLICE(r.fact->contact.extra, "{\"x\":1,\"service\":\"sms\",\"message_id\":\"m\"}");
	one(FEED_CONTACTS, CONTACT(""), &r);
	CHECK_INT(r.fact->contact.duration_s, -1);
	CHECK_INT(r.fact->contact.matched, MATCHED_UNCHECKED);
	one(FEED_ACTIVITY, ACTIVITY(SPAN ",\"short_gaps\":3,\"sms_out\":2"), &r);
	CHECK_STR(r.fact->activity.sender.value, "84912345678");
	CHECK_INT(r.fact->activity.counts[ACT_SHORT_GAPS], 3);
	CHECK_INT(r.fact->activity.counts[ACT_SMS_OUT], 2);
	CHECK_INT(r.fact->activity.counts[ACT_CALLS_IN], 0);
	CHECK_INT(r.fact->activity.to - r.fact->activity.from, US_PER_HOUR);
	one(FEED_POLL_ANSWERS, POLL("\"poll_id\":\"p\",\"yes\":1,\"no\":2,\"silent\":9"), &r);
	CHECK_INT(r.fact->poll.no, 2);
	CHECK_INT(r.fact->poll.silent, 9);
	CHECK_INT(r.fact->poll.sender.scope, SCOPE_SHORT);
	one(FEED_NOTICE_RESULTS, NOTICE("\"request_id\":\"q\",\"delivered\":true," AT), &r);
	CHECK_STR(r.fact->result.status, "delivered");
	CHECK_INT(r.fact->result.at, INT64_C(1788142502) * US_PER_S);
	one(FEED_SUBSCRIPTIONS,
		SUBSCRIPTION("\"msisdn\":\"0912345678\",\"event\":\"ported_out\",\"carrier\":"
			     "\"vinaphone\"," AT),
		&r);
	CHECK_STR(r.fact->subscription.event, "ported_out");
	CHECK_SLICE(r.fact->subscription.carrier, "vinaphone");
}

/* The record is read again with a fresh arena; nothing half-understood is left. */
static void test_full_arena(void)
{
	OWN(arena_free) struct arena *small = arena_new(64);
	struct kafka_record r = {
		.value = SLICE(CONTACT(",\"x\":\"0123456789012345678901234567890123456789\""))};
	struct report out;

	CHECK_INT(decode(w.decoder, FEED_CONTACTS, &r, small, &out), RC_LIMIT);
	CHECK_INT(decode(w.decoder, FEED_CONTACTS, &r, w.arena, &out), RC_OK);
	CHECK_STR(out.reason, "noted");
}

int main(void)
{
	world_init(&w);
	RUN(test_cases);
	RUN(test_understood);
	RUN(test_full_arena);
	world_done(&w);
	return check_done();
}
