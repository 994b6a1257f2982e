/* Everything that should not stand in a record, in every field of every format: nothing crashes, what is accepted is text and nothing more, what is
 * not is quarantined with a reason; and what a record costs in memory is bounded. Leaves out what each format takes (test_ingest_formats.c). */
#include "tests/unit/ingest_world.h"

#include <stdlib.h>

static struct world w;

static const struct {
	enum feed of;
	const char *record; /* @ stands where the hostile text goes, one at a time */
} formats[] = {
	{FEED_COMPLAINTS,
		"{\"schema\":\"complaint/"
		"1\",\"report_id\":\"@\",\"channel\":\"@\",\"kind\":\"@\",\"received_"
		"at\":\"@\",\"occurred_at\":\"@\",\"reporter\":\"@\",\"sender\":\"@\",\"content\":"
		"\"@\","
		"\"category\":\"@\",\"serving_carrier\":\"@\",\"contact\":{\"service\":\"@\","
		"\"matched\":\"@\","
		"\"origin\":\"@\",\"message_id\":\"@\"},\"@\":\"@\"}"},
	{FEED_COMPLAINTS,
		"{\"schema\":\"report-sms/"
		"1\",\"report_id\":\"@\",\"from\":\"0912345678\",\"to\":\"5656\","
		"\"received_at\":\"@\",\"text\":\"@\",\"coding\":\"@\"}"},
	{FEED_COMPLAINTS,
		"{\"schema\":\"report-sms/1\",\"report_id\":\"a\",\"from\":\"@\",\"to\":\"@\","
		"\"received_at\":\"2026-08-31T09:15:02+07:00\",\"text\":\"S (0812341213) (x)\"}"},
	{FEED_CONTACTS,
		"{\"schema\":\"contacts/"
		"1\",\"report_id\":\"@\",\"service\":\"@\",\"matched\":\"@\","
		"\"origin\":\"@\",\"message_id\":\"@\"}"},
	{FEED_ACTIVITY, "{\"schema\":\"activity/1\",\"sender\":\"@\",\"from\":\"@\",\"to\":\"@\"}"},
	{FEED_POLL_ANSWERS,
		"{\"schema\":\"poll-answers/1\",\"poll_id\":\"@\",\"sender\":\"@\",\"yes\":1,"
		"\"no\":1,\"silent\":1}"},
	{FEED_PROVISIONING_RESULTS,
		"{\"schema\":\"provisioning-results/1\",\"request_id\":\"@\",\"status\":"
		"\"@\",\"at\":\"@\"}"},
	{FEED_NOTICE_RESULTS,
		"{\"schema\":\"notice-results/1\",\"request_id\":\"@\",\"delivered\":true,"
		"\"at\":\"@\"}"},
	{FEED_SUBSCRIPTIONS,
		"{\"schema\":\"subscriptions/1\",\"msisdn\":\"@\",\"event\":\"@\",\"carrier\":"
		"\"@\",\"at\":\"@\"}"},
};

/* What stands in the fields that are not under attack, by the member before it. */
static const char *const good[][2] = {{"report_id", "a:1"}, {"channel", "care"}, {"kind", "S"},
	{"received_at", "2026-08-31T09:15:02+07:00"}, {"occurred_at", "2026-08-31T09:11:40+07:00"},
	{"reporter", "0912345678"}, {"sender", "0812341213"}, {"service", "sms"},
	{"matched", "yes"}, {"origin", "own"}, {"from", "2026-08-31T09:00:00+07:00"},
	{"to", "2026-08-31T10:00:00+07:00"}, {"text", "V (0812341213) (x)"}, {"coding", "text"},
	{"poll_id", "p"}, {"request_id", "r"}, {"status", "done"},
	{"at", "2026-08-31T09:00:00+07:00"}, {"msisdn", "84912345678"}, {"event", "ported_in"}};

static const char *const hostile[] = {"", " ", "%s%n%x%s%n", "'; DROP TABLE report; --", "\\u0000",
	"a\\u0000b", "\\r\\nHeader: x", "\\u202e\\u2066abc\\u2069", "\xff\xfe", "\xc0\xaf",
	"\xed\xa0\x80", "\\ud800", "\xef\xbb\xbf", "=cmd|' /C calc'!A0", "../../etc/passwd",
	"*3\\r\\n$3\\r\\nDEL\\r\\n", "\\u001b[2J", "NaN", "1e999", "\xef\xbc\x90\xef\xbc\x99",
	"${jndi:ldap://x}", "<script>", "\\\\", "\\x"};

static const char *good_for(const struct slice before)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		size_t n = strlen(good[i][0]);

		if (before.len >= n + 4 &&
			memcmp(before.ptr + before.len - n - 3, good[i][0], n) == 0 &&
			before.ptr[before.len - n - 4] == '"')
			return good[i][1];
	}
	return "x";
}

/* The record with `text` at its nth place. False: there are no more places. */
static bool fill(const char *record, size_t nth, struct slice text, struct buf *out)
{
	size_t at = 0;

	buf_clear(out);
	for (const char *c = record; *c != '\0'; c++) {
		if (*c != '@')
			buf_byte(out, *c);
		else if (at++ == nth)
			buf_add(out, text);
		else
			buf_add(out, slice_str(good_for(slice_of(record, (size_t)(c - record)))));
	}
	return nth < at;
}

static void look(
	struct decoder *d, struct arena *a, enum feed of, struct slice value, const char *what)
{
	struct kafka_record r = {
		.topic = "t", .value = value, .timestamp_us = 1788230000 * US_PER_S};
	struct report out;
	struct err e = {0};

	arena_reset(a);
	enum rc rc = decode(d, of, &r, a, &out);
	CHECK_RC(rc, RC_OK, &e);
	if (rc != RC_OK)
		return;
	if (out.disposition == DISP_QUARANTINED) {
		if (out.reason == NULL || out.reason[0] == '\0' ||
			strlen(out.detail) >= sizeof(out.detail) ||
			!slice_utf8_valid(slice_str(out.detail)))
			CHECK_STR(what, "quarantined with a reason and a detail that is text");
		return;
	}
	if (!slice_utf8_valid(out.content) || !slice_utf8_valid(out.sender_raw) ||
		(out.content.len > 0 && memchr(out.content.ptr, '\0', out.content.len) != NULL))
		CHECK_STR(what, "what is understood is text without NUL");
	CHECK_INT(arena_used(a) < ((size_t)1 << 20), 1);
}

static void test_every_field(void)
{
	struct decoder *d = w.decoder;
	struct arena *a = w.arena;
	BUF_OWN struct buf b;

	buf_init(&b, (size_t)1 << 20);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++)
		for (size_t h = 0; h < ARRAY_LEN(hostile); h++)
			for (size_t n = 0; fill(formats[f].record, n, slice_str(hostile[h]), &b);
				n++)
				look(d, a, formats[f].of, buf_slice(&b), hostile[h]);
}

/* 64 MB in one field, 100,000 levels, a million members, members twice, nothing at all. */
static void test_sizes(void)
{
	struct decoder *d = w.decoder;
	struct arena *a = w.arena;
	size_t big = (size_t)64 << 20;
	char *long_text = malloc(big);
	BUF_OWN struct buf b;

	CHECK_INT(long_text != NULL, 1);
	if (long_text == NULL)
		return;
	memset(long_text, 'x', big);
	buf_init(&b, big + 4096);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		(void)fill(formats[f].record, 0, slice_of(long_text, big), &b);
		look(d, a, formats[f].of, buf_slice(&b), "64 MB");
		(void)fill(formats[f].record, 0, slice_of(long_text, 60000), &b);
		look(d, a, formats[f].of, buf_slice(&b), "60 kB");
		look(d, a, formats[f].of, slice_of(NULL, 0), "tombstone");
		look(d, a, formats[f].of, SLICE(""), "empty");
		look(d, a, formats[f].of,
			SLICE("{\"schema\":\"complaint/1\",\"schema\":\"contacts/1\"}"), "twice");
	}
	for (int deep = 30; deep <= 100000; deep = deep < 1000 ? deep + 97 : deep * 3) {
		buf_clear(&b);
		for (int i = 0; i < deep; i++)
			buf_add(&b, SLICE("{\"a\":["));
		look(d, a, FEED_COMPLAINTS, buf_slice(&b), "deep");
	}
	buf_clear(&b);
	for (int i = 0; i < 1000000; i++)
		buf_fmt(&b, "%c\"m%d\":1", i == 0 ? '{' : ',', i);
	buf_byte(&b, '}');
	look(d, a, FEED_COMPLAINTS, buf_slice(&b), "a million members");
	b.len = 60000;
	look(d, a, FEED_COMPLAINTS, buf_slice(&b), "ends early");
	free(long_text);
}

int main(void)
{
	world_init(&w);
	RUN(test_every_field);
	RUN(test_sizes);
	world_done(&w);
	return check_done();
}
