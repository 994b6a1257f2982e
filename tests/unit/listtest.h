/* listtest: a list on a real PostgreSQL, brought about as workers, people and the keeper do it: wishes in, releases out. For the tests of
 * the blocklist and of what follows it. */
#pragma once

#include <inttypes.h>

#include "blocklist/list.h"
#include "tests/unit/pgtest.h"

#define T0 (INT64_C(1790000000) * US_PER_S)

static struct pg *pg;
static int64_t now = T0;
static const struct caps wide = {100000, 1000000, 100000, 0.02};
static int64_t epoch = 1;

static inline void mode(const char *m)
{
	pgtest_do(pg,
		"INSERT INTO artifact VALUES ('\\x00', 'policy', '1', '{}', 'epoch') ON CONFLICT "
		"DO NOTHING;"
		" DELETE FROM control; INSERT INTO control VALUES (true, 1, '%s', false, '\\x00', "
		"'\\x00', 'epoch', 'test')",
		m);
}

static inline void fresh(void)
{
	static bool first = true;

	if (!first)
		pgtest_do(pg,
			"TRUNCATE wish, dirty, entry, release, change, admission, list_head, "
			"protected, case_file,"
			" action, audit, audit_pending, audit_chain, artifact, control;"
			" DELETE FROM sender WHERE id > 0; UPDATE keeper SET epoch = 1");
	first = false;
	now = T0;
	epoch = 1;
	struct err e;

	pgtest_do(pg, "UPDATE keeper SET epoch = 1");
	mode("auto");
	pgtest_need(list_ensure(pg, now, &e), &e, "list_ensure");
}

static inline void add_sender(const char *value)
{
	pgtest_do(pg,
		"INSERT INTO sender (scope, value, attribution, created_at) VALUES ('number', "
		"'%s', 'other', 'epoch')"
		" ON CONFLICT DO NOTHING",
		value);
}

/* A wish as a worker or a person writes it, with its case and action. until_s from now; 0: open-ended. */
static inline void wish(const char *value, int service, const char *origin, const char *action,
	int64_t until_s, double score)
{
	char until[64] = "NULL";
	bool automatic = strncmp(origin, "auto:", 5) == 0;

	add_sender(value);
	if (until_s != 0)
		(void)snprintf(until, sizeof(until), "to_timestamp(%" PRId64 ")",
			now / US_PER_S + until_s);
	pgtest_do(pg,
		"INSERT INTO case_file (id, sender, service, class, first_at, due_at, opened_at)"
		" SELECT 'c-' || right('0000000000' || id, 11) || '%d%d', id, %d, %d, "
		"to_timestamp(1), to_timestamp(1),"
		" to_timestamp(1) FROM sender WHERE value = '%s' ON CONFLICT DO NOTHING;"
		"INSERT INTO wish (sender, service, origin, action, detail, case_id, until, basis, "
		"score, first_at, decided_at,"
		" state) SELECT s.id, %d, '%s', '%s', 'bar_in', c.id, %s, 'law', %f, "
		"to_timestamp(1), to_timestamp(%" PRId64
		"), 'wanted' FROM sender s JOIN case_file c ON c.sender = s.id AND c.service = %d "
		"AND c.class = %d WHERE value = '%s'"
		" ON CONFLICT (sender, service, origin) DO UPDATE SET action = excluded.action, "
		"until = excluded.until,"
		" score = excluded.score, decided_at = excluded.decided_at, state = 'wanted', "
		"reason = '';"
		"INSERT INTO action (case_id, sender, service, class, origin, rung, action, "
		"decided_at, until, state, basis,"
		" recorded_at) SELECT w.case_id, w.sender, w.service, %d, '%s', 3, 'bar_in', "
		"w.decided_at, w.until, 'wanted', 'law',"
		" to_timestamp(1) FROM wish w JOIN sender s ON s.id = w.sender WHERE s.value = "
		"'%s' AND service = %d"
		" AND w.origin = '%s' ON CONFLICT DO NOTHING;"
		"INSERT INTO dirty (sender, service) SELECT id, %d FROM sender WHERE value = '%s'",
		service, strcmp(origin, "auto:scam") == 0, service,
		strcmp(origin, "auto:scam") == 0, value, service, origin, action, until, score,
		now / US_PER_S, service, strcmp(origin, "auto:scam") == 0, value,
		strcmp(origin, "auto:scam") == 0, automatic ? "auto" : origin, value, service,
		origin, service, value);
}

static inline void drop(const char *value, int service, const char *origin)
{
	pgtest_do(pg,
		"WITH x AS (DELETE FROM wish w USING sender s WHERE w.sender = s.id AND s.value = "
		"'%s' AND w.service = %d"
		" AND w.origin = '%s' RETURNING w.sender, w.service) INSERT INTO dirty (sender, "
		"service) SELECT * FROM x",
		value, service, origin);
}

static inline struct release_out make(const struct caps *caps, bool kill)
{
	struct release_out out = {0};
	struct err e = {0};

	CHECK_RC(release_make(pg, epoch, now, caps, kill, &out, &e), RC_OK, &e);
	return out;
}

/* What must hold after every release. */
static inline void check_list(void)
{
	struct pg_result *r = NULL;
	struct digest sum = {{0}}, sms = {{0}};
	struct err e;
	int64_t n_sms = 0;

	pgtest_need(
		pg_run(pg, "SELECT " ENTRY_COLUMNS " FROM entry", NULL, 0, &r, &e), &e, "entries");
	int rows = pg_rows(r);

	for (int i = 0; i < rows; i++) {
		struct entry one = entry_of_row(r, i, 0);

		digest_add(&sum, &one);
		if (one.service == SERVICE_SMS) {
			digest_add(&sms, &one);
			n_sms++;
		}
	}
	pg_free(r);
	pgtest_need(pg_run(pg, "SELECT count, digest, sms_count, sms_digest FROM list_head", NULL,
			    0, &r, &e),
		&e, "head");
	CHECK_INT(pg_int(r, 0, 0), rows);
	CHECK_INT(pg_int(r, 0, 2), n_sms);
	struct digest head = digest_of_bytes(pg_bytes(r, 0, 1));
	struct digest head_sms = digest_of_bytes(pg_bytes(r, 0, 3));

	pg_free(r);
	CHECK(digest_same(&sum, &head));
	CHECK(digest_same(&sms, &head_sms));
	/* the log alone leads to the same list */
	CHECK_STR(pgtest_get(pg,
			  "SELECT count(*) FROM (SELECT scope, value, service, action, case_id, "
			  "until, basis,"
			  " sum(CASE op WHEN 'add' THEN 1 ELSE -1 END) n FROM change GROUP BY "
			  "1,2,3,4,5,6,7 HAVING"
			  " sum(CASE op WHEN 'add' THEN 1 ELSE -1 END) <> 0) x FULL JOIN entry e "
			  "USING (scope, value, service)"
			  " WHERE (e.action, e.case_id, e.basis) IS DISTINCT FROM (x.action, "
			  "x.case_id, x.basis)"
			  " OR e.until IS DISTINCT FROM x.until OR x.n <> 1"),
		"0");
	CHECK_STR(pgtest_get(pg,
			  "SELECT count(*) FROM release r WHERE added <> (SELECT count(*) FROM "
			  "change c WHERE c.release = r.n"
			  " AND op = 'add') OR removed <> (SELECT count(*) FROM change c WHERE "
			  "c.release = r.n AND op = 'remove')"),
		"0");
	CHECK_STR(pgtest_get(pg, "SELECT max(n) - count(*) FROM release HAVING count(*) > 0"), "0");
	CHECK_STR(pgtest_get(pg, "SELECT count(*) FROM audit_pending"), "0");
}
