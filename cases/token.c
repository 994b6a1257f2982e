/* Access tokens: made once, kept as a keyed hash, checked by it. Leaves out what a role may do: that is the HTTP edge's. */
#include <stdio.h>

#include "cases/cases.h"

#define SCRATCH_BYTES (1 << 14)
#define SECRET_BYTES 30 /* 40 characters */

static const char *const roles[] = {
	"viewer", "analyst", "supervisor", "care", "liaison", "auditor", "admin", "feed"};

static bool role_known(const char *role)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(roles[i], role) == 0)
			return true;
	return false;
}

static bool name_good(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return len > 0 && len < sizeof(((struct token_who *)0)->name);
}

void token_secret(const char prefix[5], char out[64])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t secret[SECRET_BYTES];
	char *p = out;

	random_bytes(secret, sizeof(secret));
	memcpy(p, prefix, 4);
	p += 4;
	for (size_t i = 0; i < sizeof(secret); i += 3) {
		unsigned v =
			(unsigned)secret[i] << 16 | (unsigned)secret[i + 1] << 8 | secret[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*p++ = alphabet[(v >> shift) & 63];
	}
	*p = '\0';
}

static enum rc token_insert(struct pg *c, const uint8_t mac[SHA256_LEN], const char *name,
	const char *role, int64_t ttl_s, bool loopback, int64_t now_us, struct arena *a,
	struct err *e)
{
	static const char sql[] =
		"INSERT INTO token (name, mac, role, created_at, expires_at, loopback)"
		" VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(name), pg_p_bytes(slice_of((const char *)mac, SHA256_LEN)),
		pg_p_str(role), pg_p_time(now_us, a),
		pg_p_time(ttl_s > 0 ? now_us + ttl_s * US_PER_S : TIME_NONE, a),
		pg_p_bool(loopback)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc == RC_OK && pg_affected(r) != 1)
		return err_set(e, RC_CONFLICT, "there is a token named %s already", name);
	return rc;
}

enum rc token_create(struct pg *c, const struct keys *k, const char *name, const char *role,
	int64_t ttl_s, bool loopback, int64_t now_us, char out[64], struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	uint8_t mac[SHA256_LEN];
	char token[64], line[160];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (!name_good(name))
		return err_set(e, RC_INVALID,
			"a token's name is 1 to 63 printable ASCII characters without blanks");
	if (!role_known(role))
		return err_set(e, RC_INVALID,
			"no such role: %s; there are viewer, analyst,"
			" supervisor, care, liaison, auditor, admin and feed",
			role);
	token_secret("khn_", token);
	keys_token_mac(k, slice_str(token), mac);
	(void)snprintf(line, sizeof(line), "token.create %s role=%s ttl_s=%lld loopback=%d", name,
		role, (long long)ttl_s, loopback);
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = token_insert(c, mac, name, role, ttl_s, loopback, now_us, a, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, "operator", "token.create", slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	memcpy(out, token, sizeof(token));
	return RC_OK;
}

/* Once a minute is enough to know that a token is in use. */
static enum rc token_touch(
	struct pg *c, const struct pg_param *mac, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] = "UPDATE token SET last_used_at = $2::timestamptz WHERE mac = $1"
				  " AND (last_used_at IS NULL OR last_used_at < $2::timestamptz - "
				  "interval '1 minute')";
	struct pg_param p[] = {*mac, pg_p_time(now_us, a)};

	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc token_check(struct pg *c, const struct keys *k, struct slice token, int64_t now_us,
	struct token_who *out, struct err *e)
{
	static const char sql[] = "SELECT name, role, loopback, last_used_at, person,"
				  " coalesce(expires_at <= $2, false) FROM asker WHERE mac = $1";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;
	struct token_who who = {.loopback = false};
	uint8_t mac[SHA256_LEN];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	keys_token_mac(k, token, mac);
	struct pg_param p[] = {
		pg_p_bytes(slice_of((const char *)mac, sizeof(mac))), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_DENIED, "no such token, or it was revoked");
	if (pg_bool(r, 0, 5))
		return err_set(e, RC_DENIED, "the token was valid for a time that is over");
	struct slice name = pg_text(r, 0, 0), role = pg_text(r, 0, 1);
	(void)snprintf(who.name, sizeof(who.name), "%.*s", (int)name.len, name.ptr);
	(void)snprintf(who.role, sizeof(who.role), "%.*s", (int)role.len, role.ptr);
	who.loopback = pg_bool(r, 0, 2);
	who.person = pg_bool(r, 0, 4);
	if (!who.person && (pg_null(r, 0, 3) || pg_time_us(r, 0, 3) < now_us - 60 * US_PER_S))
		rc = token_touch(c, &p[0], now_us, a, e);
	if (rc == RC_OK)
		*out = who;
	return rc;
}

static void named_time(struct buf *out, const char *name, int64_t us)
{
	char text[TIME_TEXT];

	if (us == TIME_NONE) {
		buf_fmt(out, ",\"%s\":null", name);
		return;
	}
	time_format(us, text);
	buf_fmt(out, ",\"%s\":\"%s\"", name, text);
}

enum rc token_list_json(struct pg *c, struct buf *out, struct err *e)
{
	static const char sql[] = "SELECT name, role, loopback, created_at, expires_at, revoked_at,"
				  " last_used_at FROM token ORDER BY name";
	static const char *const times[] = {
		"created_at", "expires_at", "revoked_at", "last_used_at"};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	buf_byte(out, '[');
	for (int i = 0; i < pg_rows(r); i++) {
		buf_fmt(out, "%s{\"name\":", i > 0 ? "," : "");
		buf_json(out, pg_text(r, i, 0));
		buf_fmt(out, ",\"role\":");
		buf_json(out, pg_text(r, i, 1));
		buf_fmt(out, ",\"loopback\":%s", pg_bool(r, i, 2) ? "true" : "false");
		for (int t = 0; t < (int)ARRAY_LEN(times); t++)
			named_time(out, times[t], pg_time_us(r, i, 3 + t));
		buf_byte(out, '}');
	}
	buf_byte(out, ']');
	return out->failed ? err_set(e, RC_LIMIT, "the list of tokens is too long") : RC_OK;
}

enum rc token_revoke(
	struct pg *c, const char *name, const char *actor, int64_t now_us, struct err *e)
{
	static const char sql[] =
		"UPDATE token SET revoked_at = coalesce(revoked_at, $2) WHERE name = $1";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	OWN(pg_free) struct pg_result *r = NULL;
	char line[128];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_str(name), pg_p_time(now_us, a)};
	(void)snprintf(line, sizeof(line), "token.revoke %.63s", name);
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_affected(r) != 1)
		rc = err_set(e, RC_NONE, "there is no token named %s", name);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "token.revoke", slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}
