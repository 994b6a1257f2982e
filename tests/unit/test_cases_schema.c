/* The schema, control and tokens on a real PostgreSQL: twice, two at once, changed, newer, interrupted; what was stored by hash comes
 * back; who may ask. Skipped without KHIEN_TEST_PG. */
#include <pthread.h>

#include "cases/cases.h"
#include "tests/unit/pgtest.h"

#define SQL_DIR SOURCE_DIR "/sql"
#define NOW INT64_C(1790000000000000) /* 2026-09-21T14:13:20Z */

static struct pg *c;

static void fresh(void)
{
	pgtest_do(c, "DROP SCHEMA %s CASCADE; CREATE SCHEMA %s", pgtest_schema, pgtest_schema);
}

static const char *count_versions(void)
{
	return pgtest_get(c, "SELECT count(*) FROM schema_version");
}

static void test_migrate(void)
{
	struct err e = {.text = ""};
	int applied = -1;

	fresh();
	CHECK_RC(schema_check(c, SQL_DIR, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "run khien migrate");
	CHECK_RC(schema_migrate(c, SQL_DIR, NOW, &applied, &e), RC_OK, &e);
	CHECK(applied >= 3);
	CHECK_STR(pgtest_get(c,
			  "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE "
			  "relname ~"
			  "'^report_20\\d{4}$' AND relnamespace = current_schema()::regnamespace"),
		"report_202609 report_202610 report_202611");
	CHECK_RC(schema_check(c, SQL_DIR, &e), RC_OK, &e);
	CHECK_RC(schema_migrate(c, SQL_DIR, NOW + 31 * US_PER_DAY, &applied, &e), RC_OK, &e);
	CHECK_INT(applied, 0);
	CHECK_STR(pgtest_get(c, "SELECT to_regclass('report_202612') IS NOT NULL"), "t");
	pgtest_do(c, "UPDATE schema_version SET sum = '\\x00' WHERE n = 2");
	CHECK_RC(schema_check(c, SQL_DIR, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "another content");
	CHECK_RC(schema_migrate(c, SQL_DIR, NOW, &applied, &e), RC_INVALID, &e);
}

static void *migrate(void *arg)
{
	struct pg *mine = pgtest_open();
	struct err e = {.text = ""};

	CHECK_RC(schema_migrate(mine, SQL_DIR, NOW, arg, &e), RC_OK, &e);
	pg_close(mine);
	return NULL;
}

static void test_two_at_once(void)
{
	int applied[3] = {-1, -1, -1};
	pthread_t thread[3];

	fresh();
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, migrate, &applied[i]) == 0);
	for (int i = 0; i < 3; i++)
		(void)pthread_join(thread[i], NULL);
	CHECK_INT(applied[0] + applied[1] + applied[2], atoi(count_versions()));
}

/* A file that fails leaves the ones before it whole, and itself not at all; mended, it goes on from there. */
static void test_interrupted(void)
{
	char dir[CHECK_PATH], path[CHECK_PATH];
	struct err e = {.text = ""};
	int applied;

	fresh();
	check_dir(dir);
	pgtest_do(c,
		"CREATE FUNCTION report_partitions(date, int) RETURNS int LANGUAGE sql AS 'SELECT "
		"0'");
	check_file(dir, "0001_one.sql", SLICE("CREATE TABLE one (a int);"), path);
	check_file(dir, "0002_two.sql", SLICE("CREATE TABLE two (a int); SELECT 1/0;"), path);
	check_file(dir, "README", SLICE("no migration"), path);
	CHECK_RC(schema_migrate(c, dir, NOW, &applied, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "0002_two.sql: ");
	CHECK_STR(count_versions(), "1");
	CHECK_STR(pgtest_get(c, "SELECT to_regclass('two') IS NULL"), "t");
	check_file(dir, "0002_two.sql", SLICE("CREATE TABLE two (a int);"), path);
	CHECK_RC(schema_migrate(c, dir, NOW, &applied, &e), RC_OK, &e);
	CHECK_INT(applied, 1);
	pgtest_do(c, "INSERT INTO schema_version VALUES (3, '0003_future.sql', '\\x00', 'epoch')");
	CHECK_RC(schema_check(c, dir, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "newer than this program");
	check_file(dir, "0004_gap.sql", SLICE("SELECT 1;"), path);
	CHECK_RC(schema_migrate(c, dir, NOW, &applied, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "0003 is missing");
	CHECK_RC(schema_migrate(c, "/nonexistent", NOW, &applied, &e), RC_INVALID, &e);
	static const char *const names[] = {
		"0001_one.sql", "0002_two.sql", "0004_gap.sql", "README"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%.200s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void test_control(void)
{
	char dir[CHECK_PATH], one[CHECK_PATH], two[CHECK_PATH], out[CHECK_PATH];
	uint8_t policy[SHA256_LEN], rules[SHA256_LEN], again[SHA256_LEN], model[SHA256_LEN];
	struct err e = {.text = ""};
	struct control k;
	BUF_OWN struct buf text;

	fresh();
	CHECK_RC(schema_migrate(c, SQL_DIR, NOW, NULL, &e), RC_OK, &e);
	CHECK_RC(control_read(c, &k, &e), RC_NONE, &e);
	check_dir(dir);
	check_file(dir, "a.yaml", SLICE("pack: a\n\0\xff"), one);
	check_file(dir, "b.yaml", SLICE(""), two);
	const char *const paths[] = {one, two};
	CHECK_RC(artifact_store(c, "rules", "v1", paths, 2, NOW, rules, &e), RC_OK, &e);
	CHECK_RC(artifact_store(c, "rules", "v1", paths, 2, NOW, again, &e), RC_OK, &e);
	CHECK(memcmp(rules, again, SHA256_LEN) == 0);
	CHECK_RC(artifact_store(c, "policy", "p1", paths, 1, NOW, policy, &e), RC_OK, &e);
	CHECK(memcmp(rules, policy, SHA256_LEN) != 0);
	CHECK_RC(
		control_activate(c, "review", policy, rules, NULL, NOW, "person:x", &e), RC_OK, &e);
	CHECK_RC(control_activate(c, "auto", policy, rules, NULL, NOW, "person:x", &e), RC_OK, &e);
	CHECK_RC(control_read(c, &k, &e), RC_OK, &e);
	CHECK_INT(k.generation, 2);
	CHECK_STR(k.mode, "auto");
	CHECK(memcmp(k.rules, rules, SHA256_LEN) == 0 && memcmp(k.policy, policy, SHA256_LEN) == 0);
	CHECK_RC(control_activate(c, "auto", again, policy, NULL, NOW, "x", &e), RC_OK, &e);
	memset(again, 7, sizeof(again));
	CHECK_RC(control_activate(c, "auto", again, rules, NULL, NOW, "x", &e), RC_INVALID, &e);
	CHECK_RC(control_read(c, &k, &e), RC_OK, &e);
	CHECK_INT(k.generation, 3);
	CHECK(!k.has_model);
	CHECK_RC(artifact_store(c, "model", "m1", paths, 1, NOW, model, &e), RC_OK, &e);
	CHECK_RC(control_activate(c, "auto", policy, rules, model, NOW, "x", &e), RC_OK, &e);
	CHECK_RC(control_read(c, &k, &e), RC_OK, &e);
	CHECK(k.has_model && memcmp(k.model, model, SHA256_LEN) == 0);
	CHECK_STR(pgtest_get(c, "SELECT count(*) FROM audit WHERE what = 'activate'"), "4");
	(void)snprintf(out, sizeof(out), "%.200s/out", dir);
	CHECK_RC(artifact_fetch(c, rules, out, &e), RC_OK, &e);
	CHECK_RC(artifact_fetch(c, again, out, &e), RC_NONE, &e);
	buf_init(&text, 100);
	char got[CHECK_PATH];
	(void)snprintf(got, sizeof(got), "%.200s/a.yaml", out);
	CHECK_RC(file_read(got, false, &text, &e), RC_OK, &e);
	CHECK(slice_eq(buf_slice(&text), SLICE("pack: a\n\0\xff")));
	(void)unlink(got);
	(void)snprintf(got, sizeof(got), "%.200s/b.yaml", out);
	CHECK_INT(unlink(got), 0);
	pgtest_do(c, "UPDATE artifact SET files = '{\"../evil\": \"\"}' WHERE kind = 'rules'");
	CHECK_RC(artifact_fetch(c, rules, out, &e), RC_INVALID, &e);
	(void)rmdir(out);
	(void)unlink(one);
	(void)unlink(two);
	(void)rmdir(dir);
}

static void test_tokens(void)
{
	char dir[CHECK_PATH], token[64], feed[64], path[CHECK_PATH];
	OWN(keys_free) struct keys *k = NULL;
	struct token_who who;
	struct err e = {.text = ""};
	BUF_OWN struct buf list;

	fresh();
	CHECK_RC(schema_migrate(c, SQL_DIR, NOW, NULL, &e), RC_OK, &e);
	check_dir(dir);
	CHECK_RC(keys_create(dir, &e), RC_OK, &e);
	CHECK_RC(keys_open(dir, &k, &e), RC_OK, &e);
	CHECK_RC(token_create(c, k, "ana", "analyst", 0, false, NOW, token, &e), RC_OK, &e);
	CHECK_RC(token_create(c, k, "ana", "analyst", 0, false, NOW, token, &e), RC_CONFLICT, &e);
	CHECK_RC(token_create(c, k, "bad", "root", 0, false, NOW, feed, &e), RC_INVALID, &e);
	CHECK_RC(token_create(c, k, "two words", "feed", 0, false, NOW, feed, &e), RC_INVALID, &e);
	CHECK_RC(token_create(c, k, "smsc", "feed", 60, true, NOW, feed, &e), RC_OK, &e);
	CHECK(strcmp(token, feed) != 0);
	CHECK_INT(strlen(token), 44);
	CHECK_RC(token_check(c, k, slice_str(token), NOW, &who, &e), RC_OK, &e);
	CHECK_STR(who.name, "ana");
	CHECK_STR(who.role, "analyst");
	CHECK(!who.loopback);
	CHECK_RC(token_check(c, k, slice_str(feed), NOW + 59 * US_PER_S, &who, &e), RC_OK, &e);
	CHECK(who.loopback);
	CHECK_RC(token_check(c, k, slice_str(feed), NOW + 60 * US_PER_S, &who, &e), RC_DENIED, &e);
	CHECK_HAS(e.text, "over");
	CHECK_RC(token_check(c, k, SLICE(""), NOW, &who, &e), RC_DENIED, &e);
	token[10] = token[10] == 'A' ? 'B' : 'A';
	CHECK_RC(token_check(c, k, slice_str(token), NOW, &who, &e), RC_DENIED, &e);
	CHECK_RC(token_revoke(c, "smsc", "person:x", NOW, &e), RC_OK, &e);
	CHECK_RC(token_check(c, k, slice_str(feed), NOW, &who, &e), RC_DENIED, &e);
	CHECK_RC(token_revoke(c, "nobody", "person:x", NOW, &e), RC_NONE, &e);
	buf_init(&list, 10000);
	CHECK_RC(token_list_json(c, &list, &e), RC_OK, &e);
	CHECK_STR(list.ptr,
		"[{\"name\":\"ana\",\"role\":\"analyst\",\"loopback\":false,\"created_at\":"
		"\"2026-09-21T14:13:20Z\",\"expires_at\":null,\"revoked_at\":null,\"last_used_at\":"
		"\"2026-09-21T14:13:20Z\"},{\"name\":\"smsc\",\"role\":\"feed\",\"loopback\":true,"
		"\"created_at\":\"2026-09-21T14:13:20Z\",\"expires_at\":\"2026-09-21T14:14:20Z\","
		"\"revoked_at\":\"2026-09-21T14:13:20Z\",\"last_used_at\":\"2026-09-21T14:14:19Z\"}"
		"]");
	/* the token itself is nowhere in the database */
	CHECK_STR(pgtest_get(c,
			  "SELECT bool_or(t::text LIKE '%khn_%') FROM (SELECT token::text AS t "
			  "FROM token"
			  " UNION ALL SELECT lines FROM audit) x"),
		"f");
	static const char *const names[] = {"mac.key", "wrap.key", "token.key"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%.200s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

int main(void)
{
	c = pgtest_begin();
	if (c == NULL)
		return 0;
	RUN(test_migrate);
	RUN(test_two_at_once);
	RUN(test_interrupted);
	RUN(test_control);
	RUN(test_tokens);
	pgtest_end(c);
	return check_done();
}
