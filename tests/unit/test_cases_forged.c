/* Do not punish the victim: reports about forged callers and fake base stations open a case of their own, block nobody and hold nobody. On a real
 * PostgreSQL; skipped without KHIEN_TEST_PG. */
#include "tests/unit/ledger_world.h"

static struct ledger_world w;

#define GET(sql) pgtest_get(w.c, sql)
#define CHECK_GET(sql, want) CHECK_STR(GET(sql), want)
#define CASES                                                                                \
	"SELECT string_agg(concat_ws(' ', kind, state, outcome, rung, reports,"              \
	" first_at::time, due_at - first_at), ', ' ORDER BY kind, state, id) FROM case_file" \
	" WHERE kind <> 'reports'"
#define BLOCKED "SELECT count(*) || ' ' || (SELECT count(*) FROM action) FROM wish"
#define AUDIT "SELECT string_agg(lines, '' ORDER BY id) FROM audit WHERE what = 'batch'"

static void wipe(void)
{
	pgtest_do(w.c,
		"TRUNCATE report, report_key, quarantine, subject, vote, standing, outcome, "
		"case_file,"
		" action, outbox, wish, dirty, audit_pending; DELETE FROM sender WHERE id <> 0;"
		" DELETE FROM part; DELETE FROM audit");
	world_acquire(&w, 0, "me");
}

/* `n` reporters from `first` on, a minute apart: scam calls, or messages of a name. */
static void report(const char *sender, int first, int n, int64_t at, enum matched matched)
{
	bool forged = matched == MATCHED_NO;

	for (int i = 0; i < n; i++) {
		char id[64];

		(void)snprintf(
			id, sizeof(id), "%d/%lld/%d", first + i, (long long)at, (int)matched);
		BATCH(&w,
			{.id = id,
				.reporter = first + i,
				.sender = sender,
				.at = at + i * INT64_C(60) * US_PER_S,
				.kind = *sender == '@' ? KIND_S : KIND_LD,
				.scam = true,
				.matched = matched,
				.weightless = forged,
				.spoofed = forged,
				.reason = forged ? "no_contact" : "counted"});
	}
}

/* Scammers show a shopkeeper's number; dozens report it. Nobody was really called by it. */
static void test_forged_caller(void)
{
	wipe();
	report("84911111111", 1, 2, HOURS(1), MATCHED_NO);
	CHECK_GET(CASES, "");
	report("84911111111", 3, 20, HOURS(2), MATCHED_NO);
	CHECK_GET(CASES, "spoofed_caller open 0 22 15:13:20 02:00:00");
	CHECK_GET(BLOCKED, "0 0");
	CHECK_GET("SELECT count(*) || ' ' || sum(score) FROM standing", "1 0");
	CHECK_HAS(GET(AUDIT), " number/8491*****11 voice spoofed_caller\n");
	CHECK_GET("SELECT count(*) FROM regexp_matches((" AUDIT "), 'case.open', 'g')", "2");
	/* the first report that is read last: the case begins there */
	report("84911111111", 40, 1, HOURS(0), MATCHED_NO);
	CHECK_GET(CASES, "spoofed_caller open 0 23 14:13:20 02:00:00");
	/* one who was really called, by the shopkeeper, does not help the forgers */
	report("84911111111", 50, 1, HOURS(3), MATCHED_YES);
	CHECK_GET(BLOCKED, "0 0");
}

/* A fake base station sends in a bank's name; our SMSC never carried it. */
static void test_fake_station(void)
{
	wipe();
	report("@vietcombank", 1, 12, HOURS(1), MATCHED_NO);
	CHECK_GET(CASES, "fake_station open 0 12 15:13:20 02:00:00");
	CHECK_GET(BLOCKED, "0 0");
	CHECK_HAS(GET(AUDIT), " name/vietcombank sms fake_station\n");
}

/* A scammer's friends claim that his calls never were: what the network did carry speaks against it, and he is blocked all the same. */
static void test_no_way_out_for_a_scammer(void)
{
	wipe();
	report("84911111111", 1, 5, HOURS(1), MATCHED_YES);
	report("84911111111", 10, 6, HOURS(2), MATCHED_NO);
	CHECK_GET(CASES, "");
	CHECK_GET("SELECT string_agg(origin || ' ' || state, ',') FROM wish", "auto:scam wanted");
}

/* Earlier ones that are read later take the case away, and in the other order it never was. */
static void test_withdrawn(void)
{
	wipe();
	report("84911111111", 1, 3, HOURS(5), MATCHED_NO);
	CHECK_GET(CASES, "spoofed_caller open 0 3 19:13:20 02:00:00");
	report("84911111111", 10, 2, HOURS(4), MATCHED_YES);
	CHECK_GET(CASES, "spoofed_caller closed no_action 0 3 19:13:20 02:00:00");
	CHECK_HAS(GET(AUDIT), "case.close c-");
	/* what comes after the window of those two opens another one */
	report("84911111111", 20, 3, HOURS(300), MATCHED_NO);
	CHECK_GET(CASES,
		"spoofed_caller closed no_action 0 3 19:13:20 02:00:00,"
		" spoofed_caller open 0 6 02:13:20 02:00:00");
}

/* What people have closed stays closed until there is something new; what they hold is not taken from them. */
static void test_people(void)
{
	wipe();
	report("84911111111", 1, 3, HOURS(1), MATCHED_NO);
	pgtest_do(w.c,
		"UPDATE case_file SET state = 'closed', outcome = 'referred'"
		" WHERE kind <> 'reports'");
	report("84911111111", 10, 1, HOURS(0), MATCHED_NO);
	CHECK_GET(CASES, "spoofed_caller closed referred 0 3 15:13:20 02:00:00");
	report("84911111111", 11, 1, HOURS(4), MATCHED_NO);
	CHECK_GET(CASES,
		"spoofed_caller closed referred 0 3 15:13:20 02:00:00,"
		" spoofed_caller open 0 5 14:13:20 02:00:00");
	pgtest_do(w.c,
		"UPDATE case_file SET state = 'held' WHERE kind <> 'reports' AND state = "
		"'open'");
	report("84911111111", 20, 2, HOURS(-1), MATCHED_YES);
	CHECK_GET("SELECT string_agg(state, ' ' ORDER BY state) FROM case_file WHERE kind <> "
		  "'reports'",
		"closed held");
}

int main(void)
{
	if (!ledger_world_init(&w))
		return 0;
	RUN(test_forged_caller);
	RUN(test_fake_station);
	RUN(test_no_way_out_for_a_scammer);
	RUN(test_withdrawn);
	RUN(test_people);
	ledger_world_done(&w);
	return check_done();
}
