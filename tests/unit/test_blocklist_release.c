/* The keeper's release on a real PostgreSQL: what it writes holds together after any course of events. Skipped without
 * KHIEN_TEST_PG. */
#include <pthread.h>

#include "tests/unit/listtest.h"

static const char *entry_of(const char *value)
{
	static char text[2][256];
	static int turn;
	struct pg_result *r = NULL;
	struct pg_param p = pg_p_str(value);
	struct err e;
	char *out = text[turn++ % 2];

	pgtest_need(pg_run(pg,
			    "SELECT service || ' ' || action || ' ' || origin || ' ' || release "
			    "FROM entry WHERE value = $1",
			    &p, 1, &r, &e),
		&e, "entry");
	(void)snprintf(out, sizeof(text[0]), "%s", pg_rows(r) > 0 ? pg_text(r, 0, 0).ptr : "");
	pg_free(r);
	return out;
}

#define A "84912345678"
#define B "84912345679"

static void test_a_block_and_its_end(void)
{
	fresh();
	CHECK(!make(&wide, false).made);
	wish(A, 0, "auto:scam", "bar", 60, 0.9);
	struct release_out out = make(&wide, false);

	CHECK(out.made);
	CHECK_INT(out.added, 1);
	CHECK_INT(out.mark.release, 1);
	CHECK_INT(out.mark.count, 1);
	CHECK_STR(entry_of(A), "0 bar auto:scam 1");
	check_list();
	CHECK_STR(pgtest_get(pg, "SELECT state FROM wish"), "admitted");
	CHECK_STR(pgtest_get(pg, "SELECT state FROM action"), "admitted");
	CHECK_STR(pgtest_get(pg, "SELECT state || version FROM case_file"), "enforced2");
	CHECK_STR(pgtest_get(pg,
			  "SELECT split_part(lines, E'\\n', 2) FROM audit WHERE what = 'release'"),
		pgtest_get(pg,
			"SELECT 'add number/8491*****78 sms bar ' || id || ' "
			"until=2026-09-21T14:14:20Z' FROM case_file"));
	CHECK(!make(&wide, false).made);
	now += 59 * US_PER_S + 999999;
	CHECK(!make(&wide, false).made);
	now++;
	out = make(&wide, false);
	CHECK(out.made);
	CHECK_INT(out.removed, 1);
	CHECK_INT(out.mark.count, 0);
	check_list();
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM wish"), "0");
	CHECK_STR(pgtest_get(pg, "SELECT state FROM action"), "ended");
	/* of a scam case nobody has decided: people look */
	CHECK_STR(pgtest_get(pg, "SELECT state || coalesce(outcome, '') FROM case_file"),
		"verifying");
	CHECK(!make(&wide, false).made);
}

/* A block's time is over: what a person had decided closes as upheld, a nuisance case as expired. */
static void test_how_a_case_ends(void)
{
	fresh();
	wish(A, 1, "auto:nuisance", "bar", 60, 0.9);
	wish(B, 1, "auto:scam", "bar", 60, 0.9);
	(void)make(&wide, false);
	pgtest_do(pg,
		"UPDATE case_file SET settled_at = opened_at, settled_how = 'single'"
		" WHERE class = 1");
	now += 60 * US_PER_S;
	(void)make(&wide, false);
	CHECK_STR(pgtest_get(pg,
			  "SELECT string_agg(class || ' ' || state || ' ' || outcome, ', ' "
			  "ORDER BY class) FROM case_file"),
		"0 closed expired, 1 closed upheld");
}

static void test_strongest_and_uncovering(void)
{
	fresh();
	wish(A, 1, "auto:scam", "bar", 3600, 0.9);
	(void)make(&wide, false);
	wish(A, 1, "order:7", "bar", 0, 0);
	struct release_out out = make(&wide, false);

	CHECK_INT(out.added, 1);
	CHECK_INT(out.removed, 1);
	CHECK_STR(entry_of(A), "1 bar order:7 2");
	CHECK_STR(pgtest_get(pg,
			  "SELECT string_agg(op, ' ' ORDER BY ord) FROM change WHERE release = 2"),
		"remove add");
	check_list();
	wish(A, 1, "person:an", "label", 0, 0); /* weaker: admitted, covered, no release */
	out = make(&wide, false);
	CHECK(!out.made);
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM wish WHERE state = 'admitted'"), "3");
	drop(A, 1, "order:7");
	CHECK(make(&wide, false).made);
	CHECK_STR(entry_of(A), "1 bar auto:scam 3");
	now += 3600 * US_PER_S;
	CHECK(make(&wide, false).made);
	CHECK_STR(entry_of(A), "1 label person:an 4");
	/* the automatic wish is over, and the person's has a case of its own */
	CHECK_STR(pgtest_get(pg, "SELECT state FROM case_file WHERE class = 1"), "verifying");
	CHECK_STR(pgtest_get(pg, "SELECT state FROM case_file WHERE class = 0"), "enforced");
	check_list();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9); /* the other service is another key */
	CHECK(make(&wide, false).made);
	CHECK_STR(pgtest_get(pg,
			  "SELECT string_agg(service || action, ' ' ORDER BY service) FROM entry"),
		"0bar 1label");
	check_list();
}

static void protect(const char *low, const char *high)
{
	pgtest_do(pg,
		"INSERT INTO protected (scope, low, high, owner, reason, until, origin) VALUES "
		"('number', '%s', '%s', 'bank',"
		" 'hotline', to_timestamp(%" PRId64
		"), 'test'); INSERT INTO dirty (sender, service) SELECT sender, service FROM wish",
		low, high, now / US_PER_S + 100);
}

static void test_protected_later(void)
{
	fresh();
	mode("auto");
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	wish(B, 0, "order:1", "bar", 3600, 0);
	(void)make(&wide, false);
	protect("84912345000", "84912345999");
	struct release_out out = make(&wide, false);

	CHECK(out.made);
	CHECK_INT(out.held, 1);
	CHECK_STR(entry_of(A), "");
	CHECK_STR(entry_of(B), "0 bar order:1 1"); /* an order is no automatic block */
	CHECK_STR(pgtest_get(
			  pg, "SELECT state || ' ' || reason FROM wish WHERE origin = 'auto:scam'"),
		"held protected");
	CHECK_STR(pgtest_get(pg, "SELECT state || ' ' || reason FROM action WHERE origin = 'auto'"),
		"held protected");
	CHECK_STR(pgtest_get(pg, "SELECT state FROM case_file WHERE class = 1"), "held");
	check_list();
	now += 100 * US_PER_S; /* the protection ends by itself */
	out = make(&wide, false);
	CHECK(out.made);
	CHECK_STR(entry_of(A), "0 bar auto:scam 3");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM protected"), "0");
	CHECK_STR(pgtest_get(pg, "SELECT lines FROM audit WHERE what = 'protected.end'"),
		"unprotect number/8491*****00-8491*****99 both owner=\"bank\"\n");
	CHECK_STR(pgtest_get(pg, "SELECT state || reason FROM action WHERE origin = 'auto'"),
		"admitted");
	check_list();
	mode("review");
	protect("84912345678", "84912345678");
	(void)make(&wide, false);
	CHECK_STR(entry_of(A), "");
	now += 100 * US_PER_S;
	CHECK(!make(&wide, false).made);
	CHECK_STR(pgtest_get(
			  pg, "SELECT state || ' ' || reason FROM wish WHERE origin = 'auto:scam'"),
		"held review_mode");
	CHECK_STR(pgtest_get(pg, "SELECT state || ' ' || reason FROM action WHERE origin = 'auto'"),
		"held review_mode");
}

static void many(int from, int n, int64_t until_s)
{
	pgtest_do(pg,
		"INSERT INTO sender (scope, value, attribution, created_at) SELECT 'number', "
		"(84900000000 + i)::text, 'other',"
		" 'epoch' FROM generate_series(%d, %d) i;"
		"INSERT INTO wish (sender, service, origin, action, detail, case_id, until, basis, "
		"score, first_at, decided_at, state)"
		" SELECT id, 0, 'auto:scam', 'bar', 'bar_in', 'c-' || right('000000000000' || id, "
		"13), to_timestamp(%" PRId64 "), 'law', (id %% 1000) / 1000.0, to_timestamp(1), "
		"to_timestamp(2), 'wanted' FROM sender"
		" WHERE value BETWEEN (84900000000 + %d)::text AND (84900000000 + %d)::text;"
		"INSERT INTO dirty (sender, service) SELECT id, 0 FROM sender"
		" WHERE value BETWEEN (84900000000 + %d)::text AND (84900000000 + %d)::text",
		from, from + n - 1, now / US_PER_S + until_s, from, from + n - 1, from,
		from + n - 1);
}

static void test_caps_over_releases(void)
{
	static const struct caps shipped = {200, 350, 100, 0.02};
	static const struct {
		int64_t later_s;
		int more, made, added, held, overflow;
	} steps[] = {
		{0, 250, 1, 100, 0, 150}, /* growth; nobody marks the rest dirty again */
		{0, 0, 1, 100, 50, 0},    /* the hour is full */
		{0, 0, 0, 0, 0, 0}, {1800, 10, 0, 0, 10, 0}, /* still */
		{1800, 160, 1, 100, 0, 60},                  /* an hour later */
		{0, 0, 1, 50, 10, 0},                        /* the day is full */
		{86400 - 3600, 5, 1, 5, 0, 0},               /* a day after the first ones */
	};

	fresh();
	int at = 0, held = 0, listed = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		CHECK_CASE("step %zu", i);
		now += steps[i].later_s * US_PER_S;
		if (steps[i].more > 0)
			many(at, steps[i].more, 1000000);
		at += steps[i].more;
		struct release_out out = make(&shipped, false);

		CHECK_INT(out.made, steps[i].made);
		CHECK_INT(out.added, steps[i].added);
		CHECK_INT(out.held, steps[i].held);
		CHECK_INT(out.overflow, steps[i].overflow);
		held += out.held;
		listed += out.added;
		check_list();
	}
	CHECK_INT(held, 70);
	CHECK_STR(pgtest_get(pg,
			  "SELECT count(*) FROM wish WHERE state = 'held' AND reason = 'cap_hour'"),
		"60");
	CHECK_STR(pgtest_get(pg,
			  "SELECT count(*) FROM wish WHERE state = 'held' AND reason = 'cap_day'"),
		"10");
	CHECK_INT(listed + held, at);
	/* no held one of the first wave was more urgent than an admitted one */
	CHECK_STR(pgtest_get(pg,
			  "SELECT count(*) FROM wish h JOIN wish a ON h.score > a.score JOIN "
			  "sender sh ON sh.id = h.sender JOIN sender sa"
			  " ON sa.id = a.sender WHERE h.state = 'held' AND a.state = 'admitted' "
			  "AND sh.value < '84900000250'"
			  " AND sa.value < '84900000250'"),
		"0");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM wish WHERE state = 'wanted'"), "0");
	/* a person's wish passes a full day */
	wish(A, 0, "person:an", "bar", 0, 0);
	CHECK_INT(make(&shipped, false).added, 1);
}

static void test_kill_switch(void)
{
	fresh();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	wish(B, 0, "order:1", "bar", 0, 0);
	CHECK_INT(make(&wide, true).added, 1);
	CHECK_STR(entry_of(A), "");
	CHECK(!make(&wide, true).made);
	drop(B, 0, "order:1"); /* an unblock is no addition */
	CHECK_INT(make(&wide, true).removed, 1);
	CHECK_INT(make(&wide, false).added, 1); /* off: who waited comes, though nobody marked it */
	CHECK_STR(entry_of(A), "0 bar auto:scam 3");
	wish(A, 0, "auto:scam", "bar", 7200, 0.9);
	CHECK_INT(make(&wide, true).added, 1); /* a longer term of what is listed */
	check_list();
}

/* Wishes of the time when the mode was auto are no blocks after it. */
static void test_mode_changed_since(void)
{
	fresh();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	CHECK(!make(&wide, true).made); /* the kill switch keeps it waiting */
	mode("review");
	struct release_out out = make(&wide, false);

	CHECK(!out.made);
	CHECK_INT(out.held, 1);
	CHECK_STR(entry_of(A), "");
	CHECK_STR(pgtest_get(pg, "SELECT state || ' ' || reason FROM wish"), "held review_mode");
	CHECK_STR(pgtest_get(pg, "SELECT state || ' ' || reason FROM action"), "held review_mode");
	CHECK_STR(pgtest_get(pg, "SELECT state FROM case_file"), "held");
}

/* A late report moves the episode that an admitted wish stands for: what stands now is admitted too. */
static void test_an_admitted_wish_moves(void)
{
	fresh();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	(void)make(&wide, false);
	pgtest_do(pg,
		"UPDATE action SET state = 'superseded';"
		" INSERT INTO action (case_id, sender, service, class, origin, rung, action, "
		"decided_at, until, state,"
		" basis, recorded_at) SELECT case_id, sender, service, class, origin, rung, "
		"action, decided_at - interval"
		" '1 min', until - interval '1 min', 'wanted', basis, recorded_at FROM action;"
		" UPDATE wish SET until = until - interval '1 min', decided_at = decided_at - "
		"interval '1 min';"
		" INSERT INTO dirty (sender, service) SELECT sender, service FROM wish");
	(void)make(&wide, false);
	CHECK_STR(pgtest_get(pg, "SELECT string_agg(state, ' ' ORDER BY decided_at) FROM action"),
		"admitted superseded");
	check_list();
}

/* Rows of a table that were read by walking through it, from now on. */
static int64_t walked(const char *table)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p = pg_p_text(slice_str(table), a);
	struct err e;

	pgtest_do(pg, "SELECT pg_stat_force_next_flush()");
	pgtest_do(pg, "SELECT pg_stat_clear_snapshot()");
	pgtest_need(
		pg_run(pg, "SELECT pg_stat_get_tuples_returned($1::text::regclass)", &p, 1, &r, &e),
		&e, "stat");
	return pg_int(r, 0, 0);
}

/* However much there is: a release reads what it is about, and a look whether there is anything reads next to nothing. */
static void test_history_costs_nothing(void)
{
	static const char *const tables[] = {"action", "entry", "wish", "protected", "sender"};
	int64_t before[ARRAY_LEN(tables)];

	fresh();
	pgtest_do(pg,
		"INSERT INTO sender (scope, value, attribution, created_at) SELECT 'number', (10 ^ "
		"11 + i)::bigint::text, 'other', 'epoch' FROM generate_series(1, 20000) i;"
		"INSERT INTO action (case_id, sender, service, class, origin, rung, action, "
		"decided_at, state, basis, recorded_at) SELECT 'c-' || id, id, 0, 0, 'auto', 3, "
		"'bar_in', 'epoch', 'ended', '', 'epoch' FROM sender WHERE id > 0;"
		"INSERT INTO wish (sender, service, origin, action, detail, case_id, until, basis, "
		"first_at, decided_at, state) SELECT id, 1, 'person:an', 'bar', '', '', "
		"'2199-01-01', '', 'epoch', 'epoch', 'admitted' FROM sender WHERE id > 0;"
		"INSERT INTO entry SELECT scope, value, 1, id, 'bar', '', '2199-01-01', '', "
		"'person:an', 1 FROM sender WHERE id > 0;"
		"INSERT INTO protected (scope, low, high, owner, reason, until, origin) SELECT "
		"scope, value, value, '', '', '2199-01-01', 'person:an' FROM sender WHERE id > 0;"
		" ANALYZE sender; ANALYZE action; ANALYZE wish; ANALYZE entry; ANALYZE protected");
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		before[i] = walked(tables[i]);
	for (int i = 0; i < 20; i++)
		(void)make(&wide, false);
	now += 3600 * US_PER_S;
	CHECK_INT(make(&wide, false).removed, 1);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		CHECK_CASE("%s", tables[i]);
		int64_t rows = walked(tables[i]) - before[i];

		CHECK(rows < 20000);
	}
}

static void test_two_keepers(void)
{
	struct release_out out = {0};
	struct err e = {0};

	fresh();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	pgtest_do(pg, "UPDATE keeper SET epoch = 2");
	CHECK_RC(release_make(pg, 1, now, &wide, false, &out, &e), RC_CONFLICT, &e);
	CHECK_STR(e.state, "");
	CHECK(!out.made);
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM dirty"), "1");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM entry"), "0");
	epoch = 2;
	CHECK(make(&wide, false).made);
}

static void test_the_audit_is_chained_when_nothing_else_is(void)
{
	struct err e;
	int64_t links = 0;

	fresh();
	pgtest_need(audit_append(pg, now, "token:x", "read", SLICE("a\nb"), &e), &e, "append");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM audit_pending"), "1");
	CHECK(!make(&wide, false).made);
	CHECK_RC(audit_verify(pg, 0, NULL, &links, &e), RC_OK, &e);
	CHECK_INT(links, 1);
}

/* Random wishes, drops and waits: the sums stand after every release, and at the end a list built at once from the wishes is the
 * same. */
static void test_random_course(void)
{
	static const char *const origins[] = {"auto:scam", "auto:nuisance", "person:an", "order:1"};
	static const char *const actions[] = {"bar", "throttle", "label"};
	unsigned seed = 7;

	fresh();
	for (int i = 0; i < 80; i++) {
		for (int j = 0; j < 4; j++) {
			char value[16];
			unsigned pick = (seed = seed * 1664525u + 1013904223u) >> 8;

			(void)snprintf(value, sizeof(value), "8490000%04u", pick % 12);
			if (pick % 5 == 0)
				drop(value, (int)(pick / 12 % 2), origins[pick / 24 % 4]);
			else
				wish(value, (int)(pick / 12 % 2), origins[pick / 24 % 4],
					actions[pick / 96 % 3], pick / 288 % 4 * 50,
					(pick % 100) / 100.0);
			now += (pick % 30) * US_PER_S + pick % 1000000;
		}
		(void)make(&wide, i % 7 == 0);
		check_list();
	}
	pgtest_do(pg,
		"CREATE TEMP TABLE was AS SELECT scope, value, service, action, case_id, until, "
		"origin FROM entry;"
		"DELETE FROM entry; TRUNCATE change, release; UPDATE list_head SET release = 0, "
		"count = 0, digest ="
		" decode(repeat('00', 32), 'hex'), sms_count = 0, sms_digest = decode(repeat('00', "
		"32), 'hex');"
		"INSERT INTO dirty (sender, service) SELECT DISTINCT sender, service FROM wish");
	(void)make(&wide, false);
	check_list();
	pgtest_do(pg,
		"INSERT INTO was SELECT scope, value, service, action, case_id, until, origin FROM "
		"entry");
	CHECK_STR(pgtest_get(pg,
			  "SELECT count(*) FROM (SELECT 1 FROM was GROUP BY scope, value, service, "
			  "action, case_id, until,"
			  " origin HAVING count(*) <> 2) x"),
		"0");
	CHECK_STR(pgtest_get(pg, "SELECT (count(*) > 5)::text FROM entry"), "true");
}

/* ---- workers beside the keeper */

struct work {
	unsigned seed;
	int made, deadlocks;
};
static atomic_int working;

/* As a worker's batch: senders locked in the ledger's order, then wishes, dirty keys and cases of all of them. */
static enum rc batch(struct pg *c, struct work *w, struct err *e)
{
	unsigned pick = (w->seed = w->seed * 1664525u + 1013904223u) >> 8;
	char sql[2048];
	enum rc rc = pg_script(c, "BEGIN", e);

	(void)snprintf(sql, sizeof(sql),
		"SELECT id FROM sender WHERE id > 0 AND hashint8(id + %u) %% 3 = 0 ORDER BY scope, "
		"value FOR NO KEY UPDATE;"
		"WITH put AS (INSERT INTO wish AS w (sender, service, origin, action, detail, "
		"case_id, basis, score, first_at,"
		" decided_at, state) SELECT id, %u, 'auto:scam', '%s', 'bar_in', 'c-' || id, 'law "
		"%u', 0.5, 'epoch', 'epoch', 'wanted'"
		" FROM sender WHERE id > 0 AND hashint8(id + %u) %% 3 = 0"
		" ON CONFLICT (sender, service, origin) DO UPDATE SET action = excluded.action, "
		"basis = excluded.basis,"
		" state = 'wanted' RETURNING sender, service) INSERT INTO dirty (sender, service) "
		"SELECT * FROM put;"
		"UPDATE case_file SET reports = reports + 1 WHERE id IN (SELECT 'c-' || id FROM "
		"sender WHERE id > 0"
		" AND hashint8(id + %u) %% 3 = 0)",
		pick % 50, pick / 64 % 2, pick / 128 % 2 == 0 ? "bar" : "label", pick % 7,
		pick % 50, pick % 50);
	if (rc == RC_OK)
		rc = pg_script(c, sql, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	pg_rollback(c);
	return rc;
}

static void *worker(void *arg)
{
	struct work *w = arg;
	struct pg *c = pgtest_open();

	for (int i = 0; i < 25; i++) {
		struct err e = {0};
		enum rc rc = batch(c, w, &e);

		w->made += rc == RC_OK;
		w->deadlocks += rc == RC_CONFLICT;
	}
	pg_close(c);
	atomic_fetch_sub(&working, 1);
	return NULL;
}

static void test_workers_beside_the_keeper(void)
{
	struct work w[2] = {{.seed = 1}, {.seed = 2}};
	pthread_t t[2];

	fresh();
	pgtest_do(pg,
		"INSERT INTO sender (scope, value, attribution, created_at) SELECT 'number', "
		"(84900000000 + i * 7919 %% 1000)::text,"
		" 'other', 'epoch' FROM generate_series(1, 60) i;"
		"INSERT INTO case_file (id, sender, service, class, first_at, due_at, opened_at) "
		"SELECT 'c-' || id, id, 0, 1,"
		" 'epoch', 'epoch', 'epoch' FROM sender WHERE id > 0");
	atomic_store(&working, 2);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&t[i], NULL, worker, &w[i]) != 0)
			exit(1);
	while (atomic_load(&working) > 0)
		(void)make(&wide, false);
	for (int i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	while (make(&wide, false).made)
		;
	CHECK_INT(w[0].deadlocks + w[1].deadlocks, 0);
	CHECK_INT(w[0].made + w[1].made, 50);
	check_list();
	CHECK_STR(
		pgtest_get(pg,
			"SELECT count(*) FROM wish w JOIN sender s ON s.id = w.sender FULL JOIN "
			"entry e USING (scope, value,"
			" service) WHERE (w.action, w.basis) IS DISTINCT FROM (e.action, e.basis)"),
		"0");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM wish WHERE state <> 'admitted'"), "0");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM dirty"), "0");
}

/* A worker has the sender and is about to say something else of it: the keeper waits for that. */
static void *make_one(void *arg)
{
	struct pg *c = pgtest_open();
	struct err e = {0};

	CHECK_RC(release_make(c, epoch, now, &wide, false, arg, &e), RC_OK, &e);
	pg_close(c);
	return NULL;
}

static void test_the_keeper_waits_for_a_worker(void)
{
	struct pg *busy = pgtest_open();
	struct release_out out = {0};
	const char *pid = pgtest_get(busy, "SELECT pg_backend_pid()");
	bool waiting = false;
	pthread_t t;

	fresh();
	wish(A, 0, "auto:scam", "bar", 3600, 0.9);
	pgtest_do(busy, "BEGIN; SELECT FROM sender WHERE value = '" A "' FOR NO KEY UPDATE");
	if (pthread_create(&t, NULL, make_one, &out) != 0)
		exit(1);
	/* asked from outside a transaction: within one the answer would stay the first one */
	for (int64_t end = clk_system.mono_us(&clk_system) + 8 * US_PER_S;
		!waiting && clk_system.mono_us(&clk_system) < end;) {
		struct pg_param p = pg_p_str(pid);
		struct pg_result *r = NULL;
		struct err e;

		pgtest_need(pg_run(pg,
				    "SELECT FROM pg_stat_activity WHERE $1::int = "
				    "ANY(pg_blocking_pids(pid))",
				    &p, 1, &r, &e),
			&e, "waiting");
		waiting = pg_rows(r) == 1;
		pg_free(r);
	}
	CHECK(waiting);
	pgtest_do(busy, "UPDATE wish SET action = 'label'; COMMIT");
	(void)pthread_join(t, NULL);
	CHECK(out.made);
	CHECK_STR(entry_of(A), "0 label auto:scam 1");
	check_list();
	pg_close(busy);
}

int main(void)
{
	pg = pgtest_begin();
	if (pg == NULL)
		return 0;
	RUN(test_a_block_and_its_end);
	RUN(test_how_a_case_ends);
	RUN(test_strongest_and_uncovering);
	RUN(test_protected_later);
	RUN(test_caps_over_releases);
	RUN(test_kill_switch);
	RUN(test_mode_changed_since);
	RUN(test_an_admitted_wish_moves);
	RUN(test_history_costs_nothing);
	RUN(test_two_keepers);
	RUN(test_the_audit_is_chained_when_nothing_else_is);
	RUN(test_random_course);
	RUN(test_workers_beside_the_keeper);
	RUN(test_the_keeper_waits_for_a_worker);
	pgtest_end(pg);
	return check_done();
}
