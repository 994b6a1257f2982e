/* Watch windows: spans of time, a holiday, in which another policy is active. The leading keeper makes it active when the window begins and goes back to
 * the one before when it ends, unless people have activated something else meanwhile. */
#include <stdio.h>

#include "classifier/classifier.h"
#include "engine/engine.h"
#include "engine/judge.h"
#include "engine/watch.h"

static const char header[] = "name,from,to,policy";

struct window {
	char name[64], policy[600];
};

static bool when_of(struct slice s, int64_t *us)
{
	char full[] = "YYYY-MM-DDT00:00:00+07:00";

	if (s.len != 10)
		return time_parse(s, us) == RC_OK;
	memcpy(full, s.ptr, 10);
	return time_parse(slice_str(full), us) == RC_OK;
}

/* A policy beside the file of windows. */
static void beside(const char *path, struct slice name, char out[600])
{
	const char *slash = strrchr(path, '/');
	int dir = slash != NULL && (name.len == 0 || name.ptr[0] != '/') ? (int)(slash - path) + 1
									 : 0;

	(void)snprintf(out, 600, "%.*s%.*s", dir, path, (int)name.len, name.ptr);
}

static void read_window(const char *path, const struct csv *r, int64_t now_us, struct complaints *c,
	struct window *now)
{
	OWN(policy_free) struct policy *p = NULL;
	int64_t from, to;
	char policy[600];
	struct err e = {.text = ""};

	if (r->field[0].len == 0 || r->field[0].len >= sizeof(now->name) ||
		!when_of(r->field[1], &from) || !when_of(r->field[2], &to) || to <= from) {
		complain(c, path, r->line,
			"a name, from and a later to (dates or RFC 3339 times) are needed");
		return;
	}
	beside(path, r->field[3], policy);
	if (policy_load(policy, c, &p, &e) != RC_OK) {
		complain(c, path, r->line, "policy: %s", e.text);
		return;
	}
	if (from > now_us || to <= now_us)
		return;
	(void)snprintf(now->name, sizeof(now->name), "%.*s", (int)r->field[0].len, r->field[0].ptr);
	memcpy(now->policy, policy, sizeof(policy));
}

enum rc watch_read(const char *path, int64_t now_us, struct complaints *c, char name[64],
	char policy[600], struct err *e)
{
	struct window now = {.name = ""};
	BUF_OWN struct buf text;
	struct csv r;
	size_t before = c->count;

	buf_init(&text, BOUND_CONFIG_FILE);
	if (file_read(path, false, &text, e) != RC_OK) {
		complain_text(c, e->text);
		return RC_INVALID;
	}
	if (csv_begin(&r, path, buf_slice(&text), header, c))
		while (csv_next(&r))
			read_window(path, &r, now_us, c, &now);
	csv_done(&r);
	if (c->count != before)
		return err_set(e, RC_INVALID, "%s: %zu errors", path, c->count - before);
	memcpy(name, now.name, sizeof(now.name));
	memcpy(policy, now.policy, sizeof(now.policy));
	return RC_OK;
}

static enum rc activate(
	struct pg *pg, const uint8_t policy[SHA256_LEN], int64_t now_us, struct err *e)
{
	struct control k;
	enum rc rc = control_read(pg, &k, e);

	if (rc != RC_OK)
		return rc;
	return control_activate(pg, k.mode, policy, k.rules, k.has_model ? k.model : NULL, now_us,
		"keeper/watch", e);
}

static enum rc tell(struct pg *pg, const char *what, const char *name, int64_t now_us,
	struct arena *a, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	buf_fmt(&b, "{\"window\":");
	buf_json(&b, slice_str(name));
	buf_byte(&b, '}');
	log_info("engine", "%s window=\"%s\"", what, name);
	return alert_raise(pg, what, "info", buf_slice(&b).ptr, now_us, a, e);
}

static enum rc begin(struct pg *pg, const char *name, const char *file, int64_t now_us,
	struct arena *a, struct err *e)
{
	OWN(policy_free) struct policy *p = NULL;
	struct complaints c;
	struct control k;
	uint8_t hash[SHA256_LEN];

	complaints_init(&c);
	enum rc rc = policy_load(file, &c, &p, e);
	complaints_done(&c);
	if (rc == RC_OK)
		rc = control_read(pg, &k, e);
	if (rc == RC_OK)
		rc = judge_store_policy(pg, p, file, now_us, hash, e);
	if (rc != RC_OK)
		return rc;
	struct pg_param q[] = {pg_p_str(name),
		pg_p_bytes(slice_of((const char *)k.policy, SHA256_LEN)),
		pg_p_bytes(slice_of((const char *)hash, SHA256_LEN))};
	rc = pg_run(pg,
		"INSERT INTO watch_state (name, before, policy) VALUES ($1, $2, $3) ON CONFLICT "
		"(one) DO"
		" UPDATE SET name = excluded.name, policy = excluded.policy",
		q, ARRAY_LEN(q), NULL, e);
	if (rc == RC_OK)
		rc = activate(pg, hash, now_us, e);
	return rc == RC_OK ? tell(pg, "watch.begin", name, now_us, a, e) : rc;
}

static enum rc end(struct pg *pg, const char *name, struct slice before, struct slice during,
	int64_t now_us, struct arena *a, struct err *e)
{
	struct control k;
	enum rc rc = control_read(pg, &k, e);

	if (rc == RC_OK && before.len == SHA256_LEN && during.len == SHA256_LEN &&
		memcmp(k.policy, during.ptr, SHA256_LEN) == 0)
		rc = activate(pg, (const uint8_t *)before.ptr, now_us, e);
	if (rc == RC_OK)
		rc = pg_run(pg, "DELETE FROM watch_state", NULL, 0, NULL, e);
	return rc == RC_OK ? tell(pg, "watch.end", name, now_us, a, e) : rc;
}

enum rc watch_tend(struct pg *pg, const char *path, int64_t now_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 16);
	OWN(pg_free) struct pg_result *r = NULL;
	struct complaints c;
	char name[64] = "", policy[600] = "", was[64];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	complaints_init(&c);
	enum rc rc = path[0] != '\0' ? watch_read(path, now_us, &c, name, policy, e) : RC_OK;
	if (rc == RC_INVALID && c.count > 0)
		err_set(e, rc, "watch windows refused, what is active stays: %.*s", (int)c.text.len,
			c.text.ptr);
	complaints_done(&c);
	if (rc == RC_OK)
		rc = pg_run(pg, "SELECT name, before, policy FROM watch_state", NULL, 0, &r, e);
	if (rc != RC_OK)
		return rc;
	bool on = pg_rows(r) > 0;
	(void)snprintf(was, sizeof(was), "%.*s", on ? (int)pg_text(r, 0, 0).len : 0,
		on ? pg_text(r, 0, 0).ptr : "");
	if (strcmp(was, name) == 0)
		return RC_OK;
	if (on) {
		struct slice before = arena_copy(a, pg_bytes(r, 0, 1)),
			     during = arena_copy(a, pg_bytes(r, 0, 2));

		rc = end(pg, was, before, during, now_us, a, e);
	}
	return rc == RC_OK && name[0] != '\0' ? begin(pg, name, policy, now_us, a, e) : rc;
}
