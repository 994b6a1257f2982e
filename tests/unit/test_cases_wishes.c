/* From votes to wishes, cases and actions on a real PostgreSQL: what is wished for, held, withdrawn, and what is left alone because
 * nothing changed or somebody else has decided meanwhile. The keeper's part is played by plain statements. Skipped without
 * KHIEN_TEST_PG. */
#include "tests/unit/ledger_world.h"

static struct ledger_world w;

#define SCAMMER "84911111111"
#define S US_PER_S

#define GET(sql) pgtest_get(w.c, sql)
#define CHECK_GET(sql, want) CHECK_STR(GET(sql), want)

static void wipe(const char *mode)
{
	pgtest_do(w.c,
		"TRUNCATE report, report_key, quarantine, subject, vote, standing, outcome, "
		"case_file,"
		" action, outbox, wish, dirty, protected, audit_pending;"
		" DELETE FROM sender WHERE id <> 0; DELETE FROM part; DELETE FROM audit");
	w.now_us = T0 + HOURS(12);
	world_control(&w, mode);
	world_acquire(&w, 0, "me");
}

static const char wish_sql[] = "SELECT coalesce(string_agg(origin || ' ' || state || "
			       "coalesce(nullif('/' || reason, '/'), '') || ' '"
			       " || detail || ' ' || coalesce(extract(epoch FROM until - "
			       "decided_at)::int::text, '-'), ', '"
			       " ORDER BY origin), '') FROM wish";
static const char action_sql[] =
	"SELECT coalesce(string_agg(class || ' ' || rung || ' ' || action || ' ' || state ||"
	" coalesce(nullif('/' || reason, '/'), ''), ', ' ORDER BY class, decided_at, id), '') FROM "
	"action";
#define AUDIT "SELECT string_agg(lines, '' ORDER BY id) FROM audit WHERE what = 'batch'"
static const char audit_sql[] = AUDIT;
static const char case_sql[] = "SELECT string_agg(class || ' ' || state || ' ' || rung || ' ' || "
			       "reports, ', ' ORDER BY class, opened_at,"
			       " state) FROM case_file";

/* n scam calls by reporters first … first+n-1 at `at` seconds and later, the first `yes` of them matched. */
static void accuse(const char *sender, int first, int n, int yes, int64_t at)
{
	struct says says[32];
	static char ids[1000][16]; /* one for every report of all tests */
	static size_t serial;

	for (int i = 0; i < n; i++) {
		char *id = ids[serial];
		(void)snprintf(id, sizeof(ids[0]), "w%zu", serial++);
		says[i] = (struct says){.id = id,
			.reporter = first + i,
			.sender = sender,
			.at = (at + i) * S,
			.kind = KIND_LD,
			.matched = i < yes ? MATCHED_YES : MATCHED_UNCHECKED};
	}
	world_batch(&w, says, (size_t)n);
}

static void quiet(void)
{
	pgtest_do(w.c, "DELETE FROM dirty");
}

static void admit(void)
{
	pgtest_do(w.c,
		"UPDATE wish SET state = 'admitted'; UPDATE action SET state = 'admitted' WHERE "
		"state"
		" = 'wanted'; DELETE FROM dirty");
}

static void test_wanted(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 4, 2, 0);
	CHECK_GET(wish_sql, "");
	CHECK_GET(case_sql, "1 verifying 1 4");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
	accuse(SCAMMER, 5, 1, 0, 4);
	CHECK_GET(wish_sql, "auto:scam wanted bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in wanted");
	/* the nuisance ladder counts every vote: with five it verifies */
	/* not enforced before a release has admitted the wish */
	CHECK_GET(case_sql, "0 verifying 1 0, 1 verifying 3 5");
	CHECK_GET("SELECT string_agg(s.value || d.service, ' ') FROM dirty d JOIN sender s ON s.id "
		  "= d.sender",
		SCAMMER "1");
	CHECK_GET("SELECT w.case_id = c.id FROM wish w JOIN case_file c ON c.class = 1", "t");
	CHECK_GET(
		"SELECT w.first_at = c.first_at FROM wish w JOIN case_file c ON c.class = 1", "t");
	CHECK_HAS(GET("SELECT string_agg(lines, '') FROM audit WHERE what = 'batch'"),
		" number/8491*****11 voice scam bar_in wanted decided_at=2026-09-21T14:13:24Z"
		" until=2026-09-22T14:13:24Z\n");
	quiet();
	const char *before = GET("SELECT xmin || ' ' || ctid FROM wish");
	accuse(SCAMMER, 6, 2, 0, 10);
	CHECK_STR(GET("SELECT xmin || ' ' || ctid FROM wish"), before);
	CHECK_GET("SELECT count(*) FROM dirty", "0");
	CHECK_GET(action_sql, "1 3 bar_in wanted");
	admit();
	accuse(SCAMMER, 8, 1, 0, 20);
	CHECK_GET(case_sql, "0 verifying 1 0, 1 enforced 3 8");
	CHECK_HAS(GET("SELECT string_agg(lines, '') FROM audit WHERE what = 'batch'"),
		" number/8491*****11 voice scam verifying -> enforced\n");
	CHECK_GET(wish_sql, "auto:scam admitted bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in admitted");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
	/* one more of the five turns out to be matched: known of the decision, but no other decision */
	accuse(SCAMMER, 3, 1, 1, 3);
	CHECK_GET(action_sql, "1 3 bar_in admitted");
	CHECK_GET("SELECT matched FROM action", "3");
	CHECK_GET(wish_sql, "auto:scam admitted bar_in 86400");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
}

static void test_over(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 0);
	admit();
	w.now_us = T0 + HOURS(30);
	accuse(SCAMMER, 6, 1, 0, 90000); /* 25 h later: a second episode */
	CHECK_GET(wish_sql, "auto:scam wanted bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in ended, 1 3 bar_in wanted");
	CHECK_GET("SELECT count(*) FROM dirty", "1");
	quiet();
	w.now_us = T0 + HOURS(24 * 4);
	accuse(SCAMMER, 1, 1, 0, 90001);
	CHECK_GET(wish_sql, "");
	CHECK_GET(action_sql, "1 3 bar_in ended, 1 3 bar_in ended");
	CHECK_GET("SELECT count(*) FROM dirty", "1");
	CHECK_GET("SELECT state FROM case_file WHERE class = 1", "verifying");
}

/* Too old to be listed when it is decided: recorded, never listed. */
static void test_expired(void)
{
	wipe("auto");
	w.now_us = T0 + HOURS(100);
	accuse(SCAMMER, 1, 5, 2, 0);
	CHECK_GET(wish_sql, "");
	CHECK_GET(action_sql, "1 3 bar_in expired");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
}

static void test_held(void)
{
	static const struct {
		const char *sender, *mode, *wish, *action;
	} cases[] = {
		{SCAMMER, "review", "auto:scam held/review_mode bar_in 86400",
			"1 3 bar_in held/review_mode"},
		{"#9029", "auto", "auto:scam held/needs_person person 86400",
			"1 3 person held/needs_person"},
		{"@vietbank", "auto", "auto:scam held/needs_person person 86400",
			"1 3 person held/needs_person"},
		{"84922222222", "auto", "auto:scam held/protected bar_in 86400",
			"1 3 bar_in held/protected"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s %s", cases[i].sender, cases[i].mode);
		wipe(cases[i].mode);
		pgtest_do(w.c,
			"INSERT INTO protected (scope, low, high, owner, reason, origin) VALUES"
			" ('number', '84922222200', '84922222299', 'a bank', 'range', 'file')");
		accuse(cases[i].sender, 1, 5, 2, 0);
		CHECK_GET(wish_sql, cases[i].wish);
		CHECK_GET(action_sql, cases[i].action);
		CHECK_GET("SELECT state FROM case_file WHERE class = 1", "held");
		quiet();
		accuse(cases[i].sender, 6, 1, 0, 6);
		CHECK_GET("SELECT count(*) FROM dirty", "0");
	}
}

static void test_one_leg(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 7, 1, 0);
	CHECK_GET(wish_sql, "auto:scam held/one_leg bar -");
	CHECK_GET(action_sql, "");
	CHECK_GET("SELECT state FROM case_file WHERE class = 1", "held");
	CHECK_HAS(GET(audit_sql), "held number/8491*****11 voice scam one_leg c-");
	CHECK(strstr(GET(audit_sql), "withdrawn") == NULL);
	quiet();
	accuse(SCAMMER, 8, 1, 0, 50);
	CHECK_GET("SELECT count(*) FROM dirty", "0");
	accuse(SCAMMER, 9, 1, 1, 60);
	CHECK_GET(wish_sql, "auto:scam wanted bar_in 86400");
	CHECK_GET("SELECT decided_at FROM action", "2026-09-21 14:14:20+00");
	CHECK_GET("SELECT count(*) FROM dirty", "1");
	CHECK_HAS(GET(audit_sql), "withdrawn number/8491*****11 voice scam one_leg c-");
	CHECK_GET("SELECT count(*) FROM regexp_matches((" AUDIT "), 'held number', 'g')", "1");
	wipe("shadow");
	accuse(SCAMMER, 1, 7, 1, 0);
	CHECK_GET(wish_sql, "");
}

/* A sender that is listed and becomes protected is off; one that is listed when the mode becomes review or shadow stays. */
static void test_listed(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 0);
	admit();
	world_control(&w, "review");
	accuse(SCAMMER, 6, 1, 0, 6);
	CHECK_GET(wish_sql, "auto:scam admitted bar_in 86400");
	world_control(&w, "shadow");
	accuse(SCAMMER, 7, 1, 0, 7);
	CHECK_GET(wish_sql, "auto:scam admitted bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in admitted");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
	CHECK_GET("SELECT state FROM case_file WHERE class = 1", "enforced");
	world_control(&w, "auto");
	pgtest_do(w.c,
		"INSERT INTO protected (scope, low, high, owner, reason, origin) VALUES ('number', "
		"'" SCAMMER "', '" SCAMMER "', 'a clinic', 'appeal', 'person:x')");
	accuse(SCAMMER, 8, 1, 0, 8);
	CHECK_GET(wish_sql, "auto:scam held/protected bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in held/protected");
	CHECK_GET("SELECT count(*) FROM dirty", "1");
	CHECK_GET("SELECT state FROM case_file WHERE class = 1", "held");
}

/* What the keeper held back by a cap stays back until a person lets it go. */
static void test_capped(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 0);
	pgtest_do(w.c,
		"UPDATE wish SET state = 'held', reason = 'cap_hour';"
		" UPDATE action SET state = 'held', reason = 'cap_hour'; DELETE FROM dirty");
	accuse(SCAMMER, 6, 1, 0, 6);
	CHECK_GET(wish_sql, "auto:scam held/cap_hour bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in held/cap_hour");
	CHECK_GET("SELECT count(*) FROM dirty", "0");
	CHECK_GET("SELECT state FROM case_file WHERE class = 1", "held");
}

/* Reports that come late move the decision; who is listed stays listed, now until the earlier end. */
static void test_moved(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 1000);
	admit();
	const char *old = GET("SELECT until FROM wish");
	accuse(SCAMMER, 6, 1, 1, 0);
	accuse(SCAMMER, 7, 1, 1, 0);
	CHECK_GET(action_sql,
		"1 3 bar_in wanted, 1 3 bar_in superseded/recomputed, 1 3 bar_in "
		"superseded/recomputed");
	CHECK_GET(wish_sql, "auto:scam admitted bar_in 86400");
	CHECK(strcmp(GET("SELECT until FROM wish"), old) < 0);
	CHECK_HAS(GET(audit_sql),
		"superseded number/8491*****11 voice scam bar_in admitted"
		" decided_at=2026-09-21T14:30:04Z");
	CHECK_GET("SELECT count(*) FROM dirty", "2");
}

/* A cap holds until a person lets go, also when late reports move the decision. */
static void test_capped_and_moved(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 1000);
	pgtest_do(w.c,
		"UPDATE wish SET state = 'held', reason = 'cap_day';"
		" UPDATE action SET state = 'held', reason = 'cap_day'; DELETE FROM dirty");
	accuse(SCAMMER, 6, 1, 1, 0);
	CHECK_GET(wish_sql, "auto:scam held/cap_day bar_in 86400");
}

/* What was let in as a throttle has to pass the caps again to become a bar. */
static void test_stronger(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 1000);
	admit();
	pgtest_do(w.c, "UPDATE wish SET action = 'throttle', detail = 'throttle'");
	accuse(SCAMMER, 6, 1, 1, 0);
	CHECK_GET(wish_sql, "auto:scam wanted bar_in 86400");
}

/* A floor: what was decided before it is history, what was said before it counts no more. */
static void test_floor(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 5, 2, 0);
	admit();
	pgtest_do(w.c,
		"UPDATE standing SET floor = '2026-09-21T15:00:00Z'; UPDATE action SET state = "
		"'lifted'");
	accuse(SCAMMER, 6, 1, 1, 3600);
	CHECK_GET(wish_sql, "");
	CHECK_GET(action_sql, "1 3 bar_in lifted");
	CHECK_GET("SELECT rung || ' ' || state FROM case_file WHERE class = 1", "0 open");
	CHECK_GET("SELECT floor FROM standing", "2026-09-21 15:00:00+00");
	CHECK_GET("SELECT votes FROM standing", "6");
	accuse(SCAMMER, 1, 4, 1, 12000); /* another day in Hanoi, so other votes */
	CHECK_GET(wish_sql, "auto:scam wanted bar_in 86400");
	CHECK_GET(action_sql, "1 3 bar_in lifted, 1 3 bar_in wanted");
}

static void test_closed(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 2, 0, 0);
	pgtest_do(w.c, "UPDATE case_file SET state = 'closed', outcome = 'no_action'");
	accuse(SCAMMER, 3, 1, 0, 3);
	/* it reopens, with its history and a clock that runs from the new report */
	CHECK_GET(case_sql, "1 verifying 1 3");
	CHECK_GET("SELECT count(DISTINCT case_id) FROM report", "1");
	CHECK_GET("SELECT reopened || ' ' || (outcome IS NULL) || ' ' || (due_at > first_at + "
		  "interval "
		  "'2 h') FROM case_file",
		"1 true true");
	CHECK_GET("SELECT from_state || ' ' || to_state || ' ' || actor FROM case_event",
		"closed open engine/worker-1");
	CHECK_HAS(GET(audit_sql), "case.reopen c-");
	pgtest_do(w.c, "UPDATE case_file SET state = 'appealed' WHERE state = 'verifying'");
	accuse(SCAMMER, 4, 2, 2, 4);
	CHECK_GET(
		"SELECT state || ' ' || rung FROM case_file WHERE state <> 'closed' AND class = 1",
		"appealed 3");
}

/* What the number plan says of a sender follows the plan. */
static void test_attribution_follows(void)
{
	wipe("auto");
	accuse(SCAMMER, 1, 1, 0, 0);
	pgtest_do(w.c, "UPDATE sender SET attribution = 'own', carrier = 'x' WHERE id <> 0");
	accuse(SCAMMER, 2, 1, 0, 1);
	CHECK_GET("SELECT attribution || carrier FROM sender WHERE id <> 0", "other");
	CHECK_HAS(GET(audit_sql), "sender.attribution number/8491*****11 own x -> other \n");
}

int main(void)
{
	if (!ledger_world_init(&w))
		return 0;
	RUN(test_wanted);
	RUN(test_over);
	RUN(test_expired);
	RUN(test_held);
	RUN(test_one_leg);
	RUN(test_listed);
	RUN(test_capped);
	RUN(test_moved);
	RUN(test_capped_and_moved);
	RUN(test_stronger);
	RUN(test_floor);
	RUN(test_closed);
	RUN(test_attribution_follows);
	ledger_world_done(&w);
	return check_done();
}
