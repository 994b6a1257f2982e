/* identity: which records are the same report. */
#include "tests/unit/ingest_world.h"

#define REPORT(id, more)                                             \
	"{\"schema\":\"complaint/1\",\"report_id\":\"" id            \
	"\",\"channel\":\"sms5656\",\"kind\":\"S\",\"received_at\":" \
	"\"2026-08-31T09:15:02+07:00\",\"reporter\":\"+84912345678\"," more "}"
#define SMS(id, text)                                                 \
	"{\"schema\":\"report-sms/1\",\"report_id\":\"" id            \
	"\",\"from\":\"0912345678\",\"to\":\"5656\",\"received_at\":" \
	"\"2026-08-31T09:15:02+07:00\",\"text\":\"" text "\"}"

static struct world w;

static void test_body(void)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		/* the form of a number, other times of receiving, facts of the contact and unknown fields do not matter */
		{REPORT("1", "\"sender\":\"0812341213\""),
			REPORT("2", "\"sender\":\"+84 812 341 213\""), true},
		{REPORT("1", "\"sender\":\"0812341213\""),
			REPORT("1",
				"\"sender\":\"0812341213\",\"contact\":{\"matched\":\"no\"},"
				"\"category\":\"x\",\"evidence\":[],\"y\":1"),
			true},
		{REPORT("1", "\"sender\":\"0812341213\""),
			REPORT("1", "\"sender\":\"0812341213\",\"content\":\"\""), true},
		{REPORT("1", "\"sender\":\"\""), REPORT("1", "\"sender\":\"anonymous\""), true},
		{REPORT("1", "\"sender\":\"VietThang\""), REPORT("1", "\"sender\":\" VIETTHANG \""),
			true},
		{REPORT("1", "\"sender\":\"0812341213\",\"content\":\"V\""),
			SMS("1", "S (0812341213) (V)"), true},
		{SMS("1", "S (0812341213) (abc)"), SMS("1", "S [0812 341 213] abc"), true},
		{SMS("1", "DK DNC"), SMS("1", "DK DNC"), true},
		/* these do */
		{REPORT("1", "\"sender\":\"0812341213\""), REPORT("1", "\"sender\":\"0812341214\""),
			false},
		{REPORT("1", "\"sender\":\"0812341213\",\"content\":\"a\""),
			REPORT("1", "\"sender\":\"0812341213\",\"content\":\"a \""), false},
		{REPORT("1", "\"sender\":\"0812341213\""),
			REPORT("1",
				"\"sender\":\"0812341213\",\"occurred_at\":\"2026-08-31T09:15:02+"
				"07:00\""),
			false},
		{REPORT("1",
			 "\"sender\":\"0812341213\",\"occurred_at\":\"2026-08-31T09:15:03+07:00\""),
			REPORT("1",
				"\"sender\":\"0812341213\",\"occurred_at\":\"2026-08-31T09:15:02+"
				"07:00\""),
			false},
		{REPORT("1", "\"sender\":\"01681234567\""),
			REPORT("1", "\"sender\":\"01681234568\""), false},
		{REPORT("1", "\"sender\":\"01681234567\""), REPORT("1", "\"sender\":\"\""), false},
		{REPORT("1", "\"sender\":\"01681234567\""),
			REPORT("1", "\"sender\":\"0381234567\""), false},
		{REPORT("1", "\"sender\":\"9029\""), REPORT("1", "\"sender\":\"9028\""), false},
		{SMS("1", "V (0812341213) (abc)"), SMS("1", "LD (0812341213) (abc)"), false},
		{SMS("1", "DK DNC"), SMS("1", "HUY DNC"), false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct report a, b;

		CHECK_CASE("%zu", i);
		world_decode(&w, slice_str(rows[i].a), &a);
		world_decode(&w, slice_str(rows[i].b), &b);
		CHECK(a.disposition != DISP_QUARANTINED && b.disposition != DISP_QUARANTINED);
		CHECK((memcmp(a.body_mac, b.body_mac, MAC_LEN) == 0) == rows[i].same);
		CHECK(memcmp(a.reporter_mac, b.reporter_mac, MAC_LEN) == 0);
		CHECK((memcmp(a.id_hash, b.id_hash, MAC_LEN) == 0) ==
			slice_eq(a.report_id, b.report_id));
	}
}

/* The bytes under the MAC are as identity.c documents them. */
static void test_bytes(void)
{
	static const char want[] = "S\0sms5656\0"
				   "1788142300500000\0"
				   "84912345678\0number\0"
				   "84812341213\0xin chao";
	static const char old[] = "S\0sms5656\0\0"
				  "84912345678\0old\0"
				  "84381234567\0";
	static const char routed[] = "registry\0sms5656\0"
				     "84912345678\0DK DNC";
	uint8_t mac[MAC_LEN];
	struct report r;

	world_decode(&w,
		SLICE(REPORT("1",
			"\"sender\":\"0812341213\",\"content\":\"xin "
			"chao\",\"occurred_at\":\"2026-08-31T09:11:40.5+07:00\"")),
		&r);
	keys_mac(w.keys, "body", slice_of(want, sizeof(want) - 1), mac);
	CHECK(memcmp(mac, r.body_mac, MAC_LEN) == 0);
	keys_mac(w.keys, "report_id", SLICE("1"), mac);
	CHECK(memcmp(mac, r.id_hash, MAC_LEN) == 0);
	keys_mac(w.keys, "reporter", SLICE("84912345678"), mac);
	CHECK(memcmp(mac, r.reporter_mac, MAC_LEN) == 0);
	world_decode(&w, SLICE(REPORT("1", "\"sender\":\"01681234567\"")), &r);
	keys_mac(w.keys, "body", slice_of(old, sizeof(old) - 1), mac);
	CHECK(memcmp(mac, r.body_mac, MAC_LEN) == 0);
	world_decode(&w, SLICE(SMS("1", "DK DNC")), &r);
	keys_mac(w.keys, "body", slice_of(routed, sizeof(routed) - 1), mac);
	CHECK(memcmp(mac, r.body_mac, MAC_LEN) == 0);
}

int main(void)
{
	world_init(&w);
	RUN(test_body);
	RUN(test_bytes);
	world_done(&w);
	return check_done();
}
