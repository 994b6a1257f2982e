/* The audit chain on a real PostgreSQL: it holds, and an edit, a deletion, an insertion, a reordering, a cut tail and a chain made
 * anew are each seen. Skipped without KHIEN_TEST_PG. */
#include <inttypes.h>

#include "audit/audit.h"
#include "tests/unit/pgtest.h"

static struct pg *pg;

static void append(const char *what, const char *lines)
{
	struct err e;

	pgtest_need(
		audit_append(pg, INT64_C(1790000000123456), "keeper", what, slice_str(lines), &e),
		&e, "append");
}

static int64_t chain(uint8_t head[SHA256_LEN], size_t want)
{
	int64_t seq = -1;
	size_t chained = 99;
	struct err e;

	pgtest_do(pg, "BEGIN");
	CHECK_RC(audit_chain(pg, &seq, head, &chained, &e), RC_OK, &e);
	CHECK_INT(chained, want);
	pgtest_need(pg_commit(pg, &e), &e, "commit");
	return seq;
}

static void test_known_hash(void)
{
	/* sha256(32 zero bytes || "1\n2026-09-21T14:13:20.123456Z\nkeeper\nrelease\nadd a\nremove b"), computed elsewhere */
	static const char want[] =
		"f46290aee3e26bf2b42d784df2c8f1c0b80a6db06dd71bb6f70dcb80f5ee5db5";
	uint8_t head[SHA256_LEN];
	char hex[65];

	append("release", "add a\nremove b");
	CHECK_INT(chain(head, 1), 1);
	for (int i = 0; i < SHA256_LEN; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", head[i]);
	CHECK_STR(hex, want);
	CHECK_INT(chain(head, 0), -1); /* nothing waits: untouched */
}

static void verify(int64_t known, const uint8_t *hash, enum rc want, const char *why)
{
	int64_t links = 0;
	struct err e = {0};

	CHECK_RC(audit_verify(pg, known, hash, &links, &e), want, &e);
	if (want != RC_OK)
		CHECK_HAS(e.text, why);
}

static void test_attacks(void)
{
	static const struct {
		const char *sql, *why;
		bool outside; /* only a head kept elsewhere shows it */
	} cases[] = {
		{"UPDATE audit SET lines = lines || ' ' WHERE id = 4", "link 4 does not hold",
			false},
		{"UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 2",
			"link 2 does not hold", false},
		{"UPDATE audit SET actor = 'person:x' WHERE id = 3", "link 3 does not hold", false},
		{"DELETE FROM audit_chain WHERE id = 5; DELETE FROM audit WHERE id = 5",
			"link 5 is missing", false},
		{"ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_id_fkey; DELETE FROM audit "
		 "WHERE id = 5",
			"link 5: its row 5 is missing", false},
		{"INSERT INTO audit (at, actor, what, lines) VALUES ('epoch', 'x', 'y', 'z')",
			"is in no link", false},
		{"UPDATE audit_chain SET seq = 1000 WHERE id = 3; UPDATE audit_chain SET seq = 3 "
		 "WHERE id = 4;"
		 " UPDATE audit_chain SET seq = 4 WHERE id = 3",
			"link 3 does not hold", false},
		{"DELETE FROM audit_chain WHERE id >= 8; DELETE FROM audit WHERE id >= 8",
			"before the kept link 10", true},
		{"UPDATE audit SET lines = 'another' WHERE id = 6; DELETE FROM audit_chain;"
		 " INSERT INTO audit_pending SELECT id FROM audit",
			"is not the one whose hash was kept", true},
	};
	uint8_t head[SHA256_LEN], other[SHA256_LEN];

	for (int i = 2; i <= 10; i++)
		append("batch", "case.open c-7k3q9w2m4x5zt");
	CHECK_INT(chain(head, 9), 10);
	verify(0, NULL, RC_OK, "");
	verify(10, head, RC_OK, "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].sql);
		pgtest_do(
			pg, "CREATE TABLE a2 AS TABLE audit; CREATE TABLE c2 AS TABLE audit_chain");
		pgtest_do(pg, "%s", cases[i].sql);
		if (strstr(cases[i].sql, "audit_pending") != NULL)
			(void)chain(other, 10); /* as its owner could */
		verify(0, NULL, cases[i].outside ? RC_OK : RC_INVALID, cases[i].why);
		verify(10, head, RC_INVALID, cases[i].why);
		pgtest_do(pg,
			"TRUNCATE audit, audit_chain; INSERT INTO audit OVERRIDING SYSTEM VALUE "
			"SELECT * FROM a2;"
			"INSERT INTO audit_chain SELECT * FROM c2; DROP TABLE a2, c2");
	}
	verify(10, head, RC_OK, "");
}

/* More rows than one piece holds, and rows larger than a piece. */
static void test_pieces(void)
{
	uint8_t head[SHA256_LEN];
	int64_t links = 0;
	struct err e;

	pgtest_do(pg,
		"WITH a AS (INSERT INTO audit (at, actor, what, lines) SELECT 'epoch', 'x', 'y', "
		"CASE WHEN i %% 1500 = 7"
		" THEN repeat('a', 9000000) ELSE 'b' END FROM generate_series(1, 4500) i RETURNING "
		"id)"
		" INSERT INTO audit_pending SELECT id FROM a");
	(void)chain(head, 4500);
	CHECK_RC(audit_verify(pg, 0, NULL, &links, &e), RC_OK, &e);
	CHECK_INT(links, 4510);
}

int main(void)
{
	pg = pgtest_begin();
	if (pg == NULL)
		return 0;
	RUN(test_known_hash);
	RUN(test_attacks);
	RUN(test_pieces);
	pgtest_end(pg);
	return check_done();
}
