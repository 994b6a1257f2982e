/* The ledger on a real PostgreSQL: what one batch leaves behind, who owns an offset, which of two reports with one id counts, and that
 * a failed batch leaves nothing. Skipped without KHIEN_TEST_PG. */
#include "tests/unit/ledger_world.h"

static struct ledger_world w;

#define GET(sql) pgtest_get(w.c, sql)
#define CHECK_GET(sql, want) CHECK_STR(GET(sql), want)

static void wipe(void)
{
	pgtest_do(w.c,
		"TRUNCATE report, report_key, quarantine, subject, vote, standing, outcome, "
		"case_file,"
		" action, outbox, wish, dirty, protected, audit_pending; DELETE FROM sender WHERE "
		"id <> 0;"
		" DELETE FROM part; DELETE FROM audit");
	world_control(&w, "auto");
	world_acquire(&w, 0, "me");
}

#define PART                                                                                   \
	"SELECT records || ' ' || accepted || ' ' || rejected || ' ' || duplicates || ' ' || " \
	"routed"                                                                               \
	" || ' ' || quarantined || ' @' || next_offset FROM part WHERE part = 0"
#define OUTCOMES "SELECT string_agg(body, '' ORDER BY id) FROM outbox WHERE topic = 'outcomes'"

static void test_first_report(void)
{
	wipe();
	BATCH(&w,
		{.id = "r1",
			.reporter = 1,
			.sender = "84912345678",
			.at = HOURS(1),
			.text_score = 0.5f});
	CHECK_GET(PART, "1 1 0 0 0 0 @1");
	CHECK_GET("SELECT string_agg(missing::text, ' ') FROM conservation", "0");
	CHECK_GET("SELECT r.report_id || ' ' || s.value || ' ' || r.weight || ' ' || r.reason || ' "
		  "' ||"
		  " (r.case_id = c.id) || ' ' || r.tableoid::regclass FROM report r JOIN sender s "
		  "ON s.id ="
		  " r.sender JOIN case_file c ON c.sender = s.id",
		"r1 84912345678 1 counted true report_202609");
	CHECK_GET("SELECT c.class || ' ' || c.state || ' ' || c.rung || ' ' || c.reports || ' ' || "
		  "c.first_at"
		  " || ' ' || (c.due_at - c.first_at) FROM case_file c",
		"0 open 0 1 2026-09-21 15:13:20+00 1 day");
	CHECK_GET("SELECT length(id) || ' ' || (id ~ '^c-[0-9a-hjkmnp-tv-z]{13}$') FROM case_file",
		"15 true");
	CHECK_GET("SELECT day || ' ' || weight || ' ' || scam || ' ' || claim_score || ' ' || "
		  "text_score || ' '"
		  " || first_at || ' ' || coalesce(yes_at, 0) FROM vote",
		"2026-09-21 1 false 0.5 0 1790003600000000 0");
	CHECK_GET(
		"SELECT votes || ' ' || (score > 0) || ' ' || rules || ' ' || policy FROM standing",
		"1 true rules-1 policy-1");
	CHECK_GET(OUTCOMES,
		"r1\t{\"report_id\":\"r1\",\"seq\":1,\"status\":\"accepted\","
		"\"at\":\"2026-09-22T14:13:20Z\",\"reason\":\"counted\"}\n");
	CHECK_GET("SELECT (id > 0) || ' ' || trust || ' ' || length(wrapped_key) || ' ' || "
		  "length(sealed)"
		  " FROM subject",
		"true 1 60 39");
	CHECK_HAS(GET("SELECT lines FROM audit WHERE what = 'batch'"),
		" number/8491*****78 sms nuisance\n");
	CHECK_HAS(GET("SELECT lines FROM audit WHERE what = 'batch'"),
		"records test/complaints/0 0..0\n");
	CHECK_GET("SELECT count(*) FROM audit_pending", "2");
	CHECK_GET("SELECT count(*) FROM wish", "0");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
}

/* Every disposition in one batch and again over several. */
static void test_ids(void)
{
	static const struct says first = {
		.id = "d1", .reporter = 1, .sender = "84911111111", .at = 1};
	static const struct says other = {
		.id = "d1", .reporter = 1, .sender = "84922222222", .at = 1};
	static const struct says bad = {.id = "d1", .disposition = DISP_QUARANTINED};

	wipe();
	BATCH(&w, bad);
	CHECK_GET("SELECT seq || ' ' || claimed || ' ' || (body_mac IS NULL) FROM report_key",
		"1 0 true");
	BATCH(&w, bad, first, first, other, bad);
	CHECK_GET("SELECT seq || ' ' || claimed || ' ' || (body_mac IS NULL) FROM report_key",
		"6 3 false");
	BATCH(&w, other, first, bad);
	CHECK_GET(PART, "9 1 0 2 0 6 @9");
	CHECK_GET("SELECT string_agg(l, ' ' ORDER BY k) FROM outbox, regexp_split_to_table(body, "
		  "E'\\n')"
		  " WITH ORDINALITY x(line, o), LATERAL (SELECT substring(line from "
		  "'\"seq\":(\\d+)') || '=' ||"
		  " substring(line from '\"status\":\"(\\w+)') AS l, id * 1000 + o AS k) y WHERE "
		  "line <> ''",
		"1=quarantined 2=quarantined 3=accepted 4=duplicate 6=quarantined 8=duplicate "
		"9=quarantined");
	CHECK_GET("SELECT count(*) FROM report", "1");
	CHECK_GET("SELECT string_agg(seq || ' ' || times || ' ' || reason, ',') FROM outcome",
		"8 2 duplicate");
	CHECK_GET("SELECT string_agg(reason || seq, ' ' ORDER BY \"offset\") FROM quarantine",
		"not_json1 not_json2 conflict0 not_json6 conflict0 not_json9");
	CHECK_GET("SELECT count(*) FROM vote", "1");
	CHECK_GET("SELECT string_agg(value, ' ') FROM sender WHERE id > 0", "84911111111");
}

static void test_without_a_vote(void)
{
	wipe();
	BATCH(&w, {.id = "n1", .reporter = 1, .at = 9},
		{.id = "n2", .reporter = 2, .kind = KIND_LD, .at = 8},
		{.id = "n3", .reporter = 3, .sender = "84113", .disposition = DISP_REJECTED},
		{.id = "n4",
			.reporter = 0,
			.sender = "84980000004",
			.disposition = DISP_REJECTED,
			.reason = "self_report"},
		{.id = "n5", .reporter = 5, .disposition = DISP_ROUTED},
		{.id = "", .disposition = DISP_QUARANTINED},
		{.id = "a\tb", .disposition = DISP_QUARANTINED});
	BATCH(&w, {.id = "n6", .reporter = 6, .at = 5}, {.id = "n7", .reporter = 7, .at = 7});
	CHECK_GET(PART, "9 4 2 0 1 2 @9");
	CHECK_GET("SELECT count(*) FROM vote", "0");
	CHECK_GET("SELECT count(DISTINCT case_id) || ' ' || count(case_id) FROM report", "2 4");
	CHECK_GET("SELECT string_agg(service || '/' || class || ' ' || reports || ' ' || first_at, "
		  "', ' ORDER BY service)"
		  " FROM case_file",
		"0/0 0 2026-09-21 14:13:20.000005+00, 1/1 0 2026-09-21 14:13:20.000008+00");
	/* who reported himself is not put among the senders, nor his number beside the report */
	CHECK_GET("SELECT string_agg(value, ' ') FROM sender WHERE id > 0", "84113");
	CHECK_GET("SELECT sender_raw || '|' || sender FROM report WHERE report_id = 'n4'", "|0");
	CHECK_GET("SELECT body FROM outbox WHERE topic = 'registry-requests'",
		"n5\t{\"report_id\":\"n5\",\"reporter\":\"84980000005\",\"text\":\"DK "
		"DNC\",\"to\":\"5656\","
		"\"received_at\":\"2026-09-21T14:13:20Z\"}\n");
	CHECK_HAS(GET(OUTCOMES),
		"\"status\":\"forwarded\",\"at\":\"2026-09-22T14:13:20Z\",\"reason\":\"registry\"");
	CHECK_HAS(GET(OUTCOMES),
		"\"status\":\"rejected\",\"at\":\"2026-09-22T14:13:20Z\",\"reason\":\"self_"
		"report\"");
	CHECK_GET("SELECT count(*) FROM quarantine WHERE report_id IS NULL AND seq = 0", "2");
}

static void test_fence(void)
{
	static const struct says one = {.id = "f1", .reporter = 1, .sender = "84911111111"};
	struct part mine = {.epoch = 0};
	struct err e = {.text = ""};
	bool fenced = false;

	wipe();
	mine = w.part;
	world_acquire(&w, 0, "another");
	CHECK_INT(w.part.attempts, 1);
	CHECK_INT(w.part.epoch, mine.epoch + 1);
	struct part other = w.part;
	w.part = mine;
	CHECK_RC(world_try(&w, &one, 1, NULL, &fenced, &e), RC_CONFLICT, &e);
	CHECK(fenced);
	CHECK_GET("SELECT count(*) FROM report_key", "0");
	w.part = other;
	w.part.next_offset = 7;
	CHECK_RC(world_try(&w, &one, 1, NULL, &fenced, &e), RC_CONFLICT, &e);
	CHECK(fenced);
	w.part.next_offset = 0;
	BATCH(&w, one);
	CHECK_GET(PART, "1 1 0 0 0 0 @1");
	CHECK_GET("SELECT attempts FROM part", "0");
	CHECK_RC(part_release(ledger_pg(w.l), "test", &mine, &e), RC_CONFLICT, &e);
	CHECK_RC(part_release(ledger_pg(w.l), "test", &w.part, &e), RC_OK, &e);
	world_acquire(&w, 0, "third");
	CHECK_INT(w.part.attempts, 0);
	CHECK_INT(w.part.next_offset, 1);
}

#define GAPS                                                                 \
	"SELECT string_agg(from_offset || '-' || to_offset || ' ' || why ||" \
	" coalesce(' ' || resumed_by, ''), ', ' ORDER BY id) FROM part_gap"
#define AUDITED(what)                                                                             \
	"SELECT string_agg(actor || ' ' || lines, '' ORDER BY id) FROM audit WHERE what = '" what \
	"'"

/* Only its owner stops a partition, only a stopped one is resumed, and its gap tells what was passed over. */
static void test_stop_and_resume(void)
{
	struct pg *c = ledger_pg(w.l);
	struct err e = {.text = ""};
	int64_t from = -1;

	wipe();
	BATCH(&w, {.id = "s1", .reporter = 1, .sender = "84911111111"});
	struct part mine = w.part, stale = mine;
	stale.epoch--;
	CHECK_RC(part_stop(c, "test", &stale, 4, w.now_us, "me", "late", &e), RC_CONFLICT, &e);
	CHECK_GET("SELECT stopped || (SELECT count(*) FROM part_gap) FROM part", "0");
	CHECK_RC(part_resume(c, "test", "complaints", 0, &from, w.now_us, "person:a", &e),
		RC_CONFLICT, &e);
	CHECK_RC(part_stop(c, "test", &mine, 4, w.now_us, "me", "gone\n \xc3", &e), RC_OK, &e);
	world_acquire(&w, 0, "fourth");
	CHECK_STR(w.part.stopped, "gone  ");
	CHECK_GET(GAPS, "1-4 gone  ");
	CHECK_GET(AUDITED("partition.stop"),
		"me partition.stop test/complaints/0 offset=1 cause=\"gone  \"\n");
	CHECK_RC(part_resume(c, "test", "complaints", 7, &from, w.now_us, "person:a", &e), RC_NONE,
		&e);
	CHECK_RC(part_resume(c, "test", "complaints", 0, &from, w.now_us, "person:a", &e), RC_OK,
		&e);
	CHECK_INT(from, 4);
	world_acquire(&w, 0, "fifth");
	CHECK_STR(w.part.stopped, "");
	CHECK_INT(w.part.next_offset, 4);
	CHECK_GET(AUDITED("partition.resume"),
		"person:a partition.resume test/complaints/0 offset=1 from=4\n");
	/* Nobody knows where it can go on; a person goes back, and it stops at the same place again. */
	for (int again = 0; again < 2; again++) {
		CHECK_CASE("again=%d", again);
		CHECK_RC(part_stop(c, "test", &w.part, 0, w.now_us, "me", "odd", &e), RC_OK, &e);
		from = -1;
		CHECK_RC(part_resume(c, "test", "complaints", 0, &from, w.now_us, "person:b", &e),
			RC_INVALID, &e);
		from = again ? 5 : 3;
		CHECK_RC(part_resume(c, "test", "complaints", 0, &from, w.now_us, "person:b", &e),
			RC_OK, &e);
		world_acquire(&w, 0, "sixth");
		if (!again)
			BATCH(&w, {.id = "s2", .reporter = 1, .sender = "84911111111"});
	}
	CHECK_GET(GAPS, "1-4 gone   person:a, 4-3 odd person:b, 4-5 odd person:b");
	CHECK_GET("SELECT next_offset - records - (SELECT sum(to_offset - from_offset) FROM "
		  "part_gap) FROM part",
		"0");
	pgtest_do(w.c, "DELETE FROM part_gap");
}

/* Records of two partitions in one transaction: both are ours, or nothing happens. */
static void test_two_partitions(void)
{
	static const struct says two[] = {{.id = "t1", .reporter = 1, .sender = "84911111111"},
		{.id = "t2", .reporter = 2, .sender = "84911111111", .disposition = DISP_REJECTED}};
	struct ledger_settings s = world_settings(&w);
	struct part first, second;
	struct filing f[2];
	struct touched *t = NULL;
	struct control control;
	struct err e = {.text = ""};
	size_t n = 0;
	bool fenced;

	for (int stale = 1; stale >= 0; stale--) {
		CHECK_CASE("stale=%d", stale);
		wipe();
		first = w.part;
		world_acquire(&w, 7, "me");
		second = w.part;
		second.epoch -= stale;
		struct batch_part parts[] = {{.part = &first, .next = 1, .records = 1},
			{.part = &second, .next = 1, .records = 1}};
		struct ledger_batch b = {.parts = parts, .n_parts = 2, .filings = f, .n = 2};
		arena_reset(w.arena);
		for (int i = 0; i < 2; i++) {
			f[i] = world_filing(&w, &two[i], 0);
			f[i].part = i;
		}
		enum rc rc =
			ledger_claim(w.l, &s, &b, w.now_us, w.arena, &control, &t, &n, &fenced, &e);
		CHECK_RC(rc, stale ? RC_CONFLICT : RC_OK, &e);
		CHECK_INT(fenced, stale);
		if (rc == RC_OK) {
			CHECK_RC(judge_touched(&w.judge, &control, w.now_us, t, n, w.arena), RC_OK,
				NULL);
			rc = ledger_settle(w.l, &s, &b, t, n, w.now_us, w.arena, &e);
			CHECK_RC(rc, RC_OK, &e);
		} else {
			ledger_abort(w.l);
		}
		CHECK_GET("SELECT string_agg(part || ':' || next_offset || ' ' || accepted || ' ' "
			  "|| rejected, ', '"
			  " ORDER BY part) FROM part",
			stale ? "0:0 0 0, 7:0 0 0" : "0:1 1 0, 7:1 0 1");
	}
}

static void test_begin(void)
{
	struct err e = {.text = ""};

	wipe();
	CHECK_RC(part_begin(ledger_pg(w.l), "test", &w.part, 100, &e), RC_OK, &e);
	BATCH(&w, {.id = "b1", .reporter = 1, .sender = "84911111111"});
	CHECK_GET(PART, "1 1 0 0 0 0 @101");
	CHECK_RC(part_begin(ledger_pg(w.l), "test", &w.part, 0, &e), RC_CONFLICT, &e);
}

/* What the database refuses leaves nothing behind, and the same batch without it goes through. */
static void test_refused(void)
{
	static const struct says two[] = {{.id = "x1", .reporter = 1, .sender = "84911111111"},
		{.id = "x2", .reporter = 2, .sender = "84911111111", .category = "\xff"}};
	struct err e = {.text = ""};
	bool fenced;

	wipe();
	CHECK_RC(world_try(&w, two, 2, NULL, &fenced, &e), RC_INVALID, &e);
	CHECK_STR(e.state, "22021");
	CHECK_GET("SELECT (SELECT count(*) FROM report_key) + (SELECT count(*) FROM vote) + "
		  "(SELECT count(*) FROM"
		  " subject) + (SELECT count(*) FROM case_file)",
		"0");
	BATCH(&w, two[0]);
	BATCH(&w, {.id = "x2", .disposition = DISP_QUARANTINED, .reason = "refused_by_database"});
	CHECK_GET(PART, "2 1 0 0 0 1 @2");
}

/* The connection dies between the two rounds: nothing is there, and the same records count once afterwards. */
static void test_connection_lost(void)
{
	static const struct says two[] = {{.id = "k1", .reporter = 1, .sender = "84911111111"},
		{.id = "k2", .reporter = 2, .sender = NULL}};
	struct ledger_settings s = world_settings(&w);
	struct batch_part part = {.part = &w.part, .next = 2, .records = 2};
	struct filing f[2];
	struct ledger_batch b = {.parts = &part, .n_parts = 1, .filings = f, .n = 2};
	struct touched *t = NULL;
	struct control control;
	struct err e = {.text = ""};
	char pid[16];
	size_t n = 0;
	bool fenced;

	wipe();
	arena_reset(w.arena);
	(void)snprintf(pid, sizeof(pid), "%s",
		pgtest_get(ledger_pg(w.l), "SELECT pg_backend_pid()::text"));
	for (size_t i = 0; i < 2; i++)
		f[i] = world_filing(&w, &two[i], (int64_t)i);
	CHECK_RC(ledger_claim(w.l, &s, &b, w.now_us, w.arena, &control, &t, &n, &fenced, &e), RC_OK,
		&e);
	CHECK_INT(n, 1);
	pgtest_do(w.c, "SELECT pg_terminate_backend(%s)", pid);
	CHECK_RC(judge_touched(&w.judge, &control, w.now_us, t, n, w.arena), RC_OK, NULL);
	CHECK_RC(ledger_settle(w.l, &s, &b, t, n, w.now_us, w.arena, &e), RC_RETRY, &e);
	CHECK(pg_broken(ledger_pg(w.l)));
	ledger_abort(w.l);
	ledger_close(w.l);
	w.l = world_ledger(&w);
	world_acquire(&w, 0, "me");
	CHECK_INT(w.part.next_offset, 0);
	CHECK_GET("SELECT count(*) FROM report_key", "0");
	BATCH(&w, two[0], two[1]);
	CHECK_GET(PART, "2 2 0 0 0 0 @2");
	CHECK_GET("SELECT string_agg(seq::text, ' ') FROM report_key", "1 1");
}

/* Nobody made the month's partition: nothing is lost, and the partition takes them over when it comes. */
static void test_month_without_a_partition(void)
{
	wipe();
	w.now_us = T0 + 100 * US_PER_DAY;
	BATCH(&w, {.id = "m1", .reporter = 1, .sender = "84911111111"});
	CHECK_GET("SELECT tableoid::regclass FROM report", "report_other");
	CHECK_GET("SELECT report_partitions('2026-12-15', 1)", "1");
	CHECK_GET("SELECT tableoid::regclass FROM report", "report_202612");
	CHECK_GET("SELECT report_partitions('2026-12-15', 1)", "0");
	CHECK_GET(
		"SELECT count(*) FILTER (WHERE tablename = 'report_202612') = count(*) FILTER"
		" (WHERE tablename = 'report') FROM pg_indexes WHERE schemaname = current_schema()",
		"t");
	BATCH(&w, {.id = "m2", .reporter = 1, .sender = "84911111111"});
	CHECK_GET("SELECT count(*) FROM report_202612", "2");
	w.now_us = T0 + HOURS(24);
}

/* A subject's number can be read back only with the keys outside the database. */
static void test_sealed(void)
{
	OWN(pg_free) struct pg_result *r = NULL;
	uint8_t key[KEY_LEN], number[64];
	struct err e = {.text = ""};

	wipe();
	BATCH(&w, {.id = "s1", .reporter = 42, .sender = "84911111111"});
	CHECK_RC(pg_run(w.c, "SELECT mac, wrapped_key, sealed FROM subject", NULL, 0, &r, &e),
		RC_OK, &e);
	struct slice mac = pg_bytes(r, 0, 0), wrapped = pg_bytes(r, 0, 1),
		     sealed = pg_bytes(r, 0, 2);
	CHECK_RC(keys_unseal(w.keys, mac, wrapped, key), RC_OK, NULL);
	CHECK_RC(unseal(key, mac, sealed, number), RC_OK, NULL);
	CHECK_SLICE(slice_of((const char *)number, sealed.len - SEAL_EXTRA), "84980000042");
	CHECK_RC(unseal(key, SLICE("0123456789abcdef"), sealed, number), RC_INVALID, NULL);
}

int main(void)
{
	if (!ledger_world_init(&w))
		return 0;
	RUN(test_first_report);
	RUN(test_ids);
	RUN(test_without_a_vote);
	RUN(test_fence);
	RUN(test_stop_and_resume);
	RUN(test_two_partitions);
	RUN(test_begin);
	RUN(test_refused);
	RUN(test_connection_lost);
	RUN(test_month_without_a_partition);
	RUN(test_sealed);
	ledger_world_done(&w);
	return check_done();
}
