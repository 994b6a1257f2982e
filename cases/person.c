/* People who log in: accounts, log-in by password and one-time code, sessions. Whoever fails too often waits. Leaves out HTTP, cookies and
 * what a role may do. */
#include <stdio.h>

#include "cases/cases.h"

#define SCRATCH_BYTES (1 << 14)
#define FAILURES_OF_NAME_AND_ADDRESS 5 /* within LOCK_S, then that address waits for that name */
#define FAILURES_OF_NAME 20            /* from anywhere */
#define FAILURES_OF_ADDRESS 100        /* for anybody */
#define LOCK_S "900 seconds"
#define SESSIONS "5" /* at once, of one person; the oldest ends */

static bool name_good(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
			    (i > 0 && (name[i] == '.' || name[i] == '-' || name[i] == '_'))))
			return false;
	return len > 0 && len <= PERSON_NAME;
}

static enum rc role_good(const char *role, struct err *e)
{
	static const char *const roles[] = {
		"viewer", "analyst", "supervisor", "care", "liaison", "auditor", "admin"};

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(roles[i], role) == 0)
			return RC_OK;
	return err_set(e, RC_INVALID,
		"no such role of a person: %s; there are viewer, analyst, supervisor, care, "
		"liaison, auditor and admin",
		role);
}

/* One change with its audit entry, as one transaction. RC_NONE when it touched nothing. */
static enum rc change(struct pg *c, const char *sql, const struct pg_param *p, int n,
	const char *actor, const char *what, const char *line, int64_t now_us, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, n, &r, e);
	if (rc == RC_OK && pg_affected(r) < 1)
		rc = RC_NONE;
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, what, slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc person_create(struct pg *c, const char *name, const char *role, struct slice password,
	const char *actor, int64_t now_us, struct err *e)
{
	static const char sql[] = "INSERT INTO person (name, role, password, created_at) VALUES "
				  "($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	char hash[PASSWORD_HASH], line[160];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (!name_good(name))
		return err_set(e, RC_INVALID,
			"a person's name is 1 to %d of a-z, 0-9, dot, dash and underscore",
			PERSON_NAME);
	enum rc rc = role_good(role, e);
	if (rc == RC_OK)
		rc = password_good(password, e);
	if (rc == RC_OK)
		rc = password_hash(password, hash, e);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(line, sizeof(line), "person.create %s role=%s", name, role);
	struct pg_param p[] = {
		pg_p_str(name), pg_p_str(role), pg_p_str(hash), pg_p_time(now_us, a)};
	rc = change(c, sql, p, ARRAY_LEN(p), actor, "person.create", line, now_us, e);
	return rc == RC_NONE ? err_set(e, RC_CONFLICT, "there is a person named %s already", name)
			     : rc;
}

/* Whatever changes about a person ends the sessions. */
static enum rc alter(struct pg *c, const char *sql, struct pg_param value, const char *name,
	const char *actor, const char *what, const char *more, int64_t now_us, struct err *e)
{
	static const char end_sql[] =
		"UPDATE session SET ended_at = $2 WHERE person = $1 AND ended_at IS NULL";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;
	char line[160];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	(void)snprintf(line, sizeof(line), "%s %.64s%s", what, name, more);
	struct pg_param p[] = {pg_p_str(name), value};
	struct pg_param ends[] = {pg_p_str(name), pg_p_time(now_us, a)};
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_affected(r) < 1)
		rc = err_set(e, RC_NONE, "there is no person named %s", name);
	if (rc == RC_OK)
		rc = pg_run(c, end_sql, ends, ARRAY_LEN(ends), NULL, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, what, slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc person_disable(struct pg *c, const char *name, bool disabled, const char *actor,
	int64_t now_us, struct err *e)
{
	static const char sql[] = "UPDATE person SET disabled_at = $2 WHERE name = $1";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	return alter(c, sql, pg_p_time(disabled ? now_us : TIME_NONE, a), name, actor,
		disabled ? "person.disable" : "person.enable", "", now_us, e);
}

enum rc person_role(struct pg *c, const char *name, const char *role, const char *actor,
	int64_t now_us, struct err *e)
{
	static const char sql[] = "UPDATE person SET role = $2 WHERE name = $1";
	char more[32];

	(void)snprintf(more, sizeof(more), " role=%.16s", role);
	enum rc rc = role_good(role, e);
	return rc == RC_OK
		? alter(c, sql, pg_p_str(role), name, actor, "person.role", more, now_us, e)
		: rc;
}

enum rc person_password(struct pg *c, const char *name, struct slice password, const char *actor,
	int64_t now_us, struct err *e)
{
	static const char sql[] = "UPDATE person SET password = $2 WHERE name = $1";
	char hash[PASSWORD_HASH];
	enum rc rc = password_good(password, e);

	if (rc == RC_OK)
		rc = password_hash(password, hash, e);
	return rc == RC_OK
		? alter(c, sql, pg_p_str(hash), name, actor, "person.password", "", now_us, e)
		: rc;
}

/* The secret is sealed to its person. */
static struct slice seal_of(const char *name, char room[PERSON_NAME + 8])
{
	(void)snprintf(room, PERSON_NAME + 8, "totp %.*s", PERSON_NAME, name);
	return slice_str(room);
}

enum rc person_totp(struct pg *c, const struct keys *k, const char *name, bool on,
	const char *actor, int64_t now_us, char out[TOTP_TEXT], struct err *e)
{
	static const char sql[] = "UPDATE person SET totp = $2, totp_step = 0 WHERE name = $1";
	uint8_t secret[TOTP_SECRET], sealed[TOTP_SECRET + SEAL_EXTRA];
	char aad[PERSON_NAME + 8];

	random_bytes(secret, sizeof(secret));
	keys_seal(k, seal_of(name, aad), slice_of((const char *)secret, sizeof(secret)), sealed);
	struct pg_param value =
		on ? pg_p_bytes(slice_of((const char *)sealed, sizeof(sealed))) : pg_p_none();
	enum rc rc =
		alter(c, sql, value, name, actor, "person.totp", on ? " on" : " off", now_us, e);
	if (rc == RC_OK)
		totp_text(secret, out);
	return rc;
}

enum rc person_list_json(struct pg *c, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(json_agg(json_build_object('name', name, 'role', role, 'totp', "
		"totp IS NOT NULL, 'created_at', created_at, 'disabled_at', disabled_at, "
		"'last_login_at', last_login_at, 'sessions', (SELECT count(*) FROM asker a WHERE "
		"a.person AND a.name = person.name AND a.expires_at > now())) ORDER BY name), "
		"'[]')::text FROM person";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc == RC_OK)
		buf_add(out, pg_text(r, 0, 0));
	return rc == RC_OK && out->failed ? err_set(e, RC_LIMIT, "too many people") : rc;
}

/* ---- logging in */

struct account {
	bool known, disabled, wants_code;
	char role[16], hash[PASSWORD_HASH];
	uint8_t secret[TOTP_SECRET];
	int64_t last_step;
};

/* RC_LIMIT: too many failures of late. */
static enum rc held_back(
	struct pg *c, const struct login *l, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"SELECT (SELECT count(*) FROM login_failure WHERE name = $1 AND address = $2 AND "
		"at > $3::timestamptz - interval '" LOCK_S
		"'), (SELECT count(*) FROM login_failure "
		"WHERE name = $1 AND at > $3::timestamptz - interval '" LOCK_S
		"'), (SELECT count(*) FROM login_failure WHERE address = $2 AND at > "
		"$3::timestamptz - interval '" LOCK_S "')";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_text(l->name, a), pg_p_str(l->address), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_int(r, 0, 0) >= FAILURES_OF_NAME_AND_ADDRESS ||
		pg_int(r, 0, 1) >= FAILURES_OF_NAME || pg_int(r, 0, 2) >= FAILURES_OF_ADDRESS)
		return err_set(e, RC_LIMIT, "too many failed log-ins; try again in 15 minutes");
	return RC_OK;
}

static enum rc account_read(struct pg *c, const struct keys *k, struct slice name,
	struct account *out, struct arena *a, struct err *e)
{
	static const char sql[] = "SELECT role, password, totp, totp_step, disabled_at IS NOT NULL "
				  "FROM person WHERE name = $1 FOR NO KEY UPDATE";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_text(name, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	struct slice role = pg_text(r, 0, 0), hash = pg_text(r, 0, 1);
	(void)snprintf(out->role, sizeof(out->role), "%.*s", (int)role.len, role.ptr);
	(void)snprintf(out->hash, sizeof(out->hash), "%.*s", (int)hash.len, hash.ptr);
	out->last_step = pg_int(r, 0, 3);
	out->disabled = pg_bool(r, 0, 4);
	out->wants_code = !pg_null(r, 0, 2);
	out->known = true;
	struct slice sealed = pg_bytes(r, 0, 2);
	char aad[PERSON_NAME + 8], plain_name[PERSON_NAME + 1];
	(void)snprintf(plain_name, sizeof(plain_name), "%.*s", (int)name.len, name.ptr);
	if (out->wants_code &&
		(sealed.len != TOTP_SECRET + SEAL_EXTRA ||
			keys_unseal(k, seal_of(plain_name, aad), sealed, out->secret) != RC_OK))
		return err_set(
			e, RC_FATAL, "the one-time secret of %s cannot be opened", plain_name);
	return RC_OK;
}

static enum rc failed(struct pg *c, const struct login *l, const struct account *p, const char *why,
	int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] = "WITH old AS (DELETE FROM login_failure WHERE at < "
				  "$3::timestamptz - interval '1 day') "
				  "INSERT INTO login_failure (name, address, at) VALUES ($1, $2, "
				  "$3)";
	char actor[80], line[200];

	(void)snprintf(actor, sizeof(actor), "%s%.*s", p->known ? "person:" : "nobody",
		p->known ? (int)l->name.len : 0, l->name.ptr);
	(void)snprintf(line, sizeof(line), "login.failed %s from=%.64s", why, l->address);
	struct pg_param params[] = {
		pg_p_text(l->name, a), pg_p_str(l->address), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, sql, params, ARRAY_LEN(params), NULL, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "login.failed", slice_str(line), e);
	return rc;
}

static enum rc open_session(struct pg *c, const struct keys *k, const struct login *l,
	int64_t now_us, struct session_new *out, struct arena *a, struct err *e)
{
	static const char sql[] =
		"WITH mine AS (SELECT id FROM session WHERE person = $2 AND ended_at IS NULL "
		"ORDER BY id DESC OFFSET " SESSIONS " - 1), old AS (UPDATE session SET ended_at = "
		"$3 WHERE id IN (SELECT id FROM mine)), gone AS (DELETE FROM session WHERE "
		"expires_at < $3::timestamptz - interval '90 days'), seen AS (UPDATE person SET "
		"last_login_at = "
		"$3, totp_step = greatest(totp_step, $6) WHERE name = $2) INSERT INTO session "
		"(mac, "
		"person, created_at, last_used_at, idle, expires_at) VALUES ($1, $2, $3, $3, "
		"make_interval(secs => $4), $5)";
	uint8_t mac[SHA256_LEN];
	char actor[80], line[128];

	token_secret("khs_", out->token);
	keys_token_mac(k, slice_str(out->token), mac);
	out->expires_us = now_us + l->ttl_s * US_PER_S;
	struct pg_param p[] = {pg_p_bytes(slice_of((const char *)mac, sizeof(mac))),
		pg_p_text(l->name, a), pg_p_time(now_us, a), pg_p_int(l->idle_s, a),
		pg_p_time(out->expires_us, a), pg_p_int(out->step, a)};
	(void)snprintf(actor, sizeof(actor), "person:%.*s", (int)l->name.len, l->name.ptr);
	(void)snprintf(line, sizeof(line), "login from=%.64s%s", l->address,
		out->step > 0 ? " code=1" : "");
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
	return rc == RC_OK ? audit_append(c, now_us, actor, "login", slice_str(line), e) : rc;
}

/* What is wrong with what was given; NULL: nothing. */
static const char *judge(
	const struct account *p, const struct login *l, int64_t now_us, struct session_new *out)
{
	bool fits = password_fits(p->known ? p->hash : NULL, l->password);

	if (!fits)
		return "password";
	if (p->disabled)
		return "disabled";
	if (!p->wants_code)
		return l->code_needed ? "no_code_set_up" : NULL;
	if (l->code.len == 0)
		return "code_missing";
	return totp_fits(p->secret, l->code, now_us / US_PER_S, p->last_step, &out->step) ? NULL
											  : "code";
}

enum rc person_login(struct pg *c, const struct keys *k, const struct login *l, int64_t now_us,
	struct session_new *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	struct account p = {.known = false};

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	*out = (struct session_new){.step = 0};
	enum rc rc = held_back(c, l, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = account_read(c, k, l->name, &p, a, e);
	const char *wrong = rc == RC_OK ? judge(&p, l, now_us, out) : NULL;
	if (rc == RC_OK && wrong == NULL)
		rc = open_session(c, k, l, now_us, out, a, e);
	else if (rc == RC_OK && strcmp(wrong, "code_missing") != 0)
		rc = failed(c, l, &p, wrong, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	(void)snprintf(out->role, sizeof(out->role), "%s", p.role);
	if (wrong == NULL)
		return RC_OK;
	out->code_wanted = strcmp(wrong, "code_missing") == 0;
	return err_set(e, RC_DENIED, "%s",
		out->code_wanted ? "a one-time code is needed"
			: strcmp(wrong, "no_code_set_up") == 0
			? "this installation asks for one-time codes, and none is set up for you"
			: "name, password or code is wrong");
}

enum rc session_end(struct pg *c, const struct keys *k, struct slice token, const char *name,
	int64_t now_us, struct err *e)
{
	static const char sql[] =
		"UPDATE session SET ended_at = $2 WHERE mac = $1 AND ended_at IS NULL";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	uint8_t mac[SHA256_LEN];
	char actor[80];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	keys_token_mac(k, token, mac);
	(void)snprintf(actor, sizeof(actor), "person:%.64s", name);
	struct pg_param p[] = {
		pg_p_bytes(slice_of((const char *)mac, sizeof(mac))), pg_p_time(now_us, a)};
	return change(c, sql, p, ARRAY_LEN(p), actor, "logout", "logout", now_us, e);
}
