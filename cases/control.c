/* What judges and how far the engine may go: artifacts (a policy, a set of rule packs) kept by hash, and the one row that names the
 * active ones. Every batch reads that row. Leaves out what the files mean. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases/cases.h"

#define FILES_MAX 256
#define SCRATCH_BYTES (1 << 16)

static struct slice hash_slice(const uint8_t hash[SHA256_LEN])
{
	return slice_of((const char *)hash, SHA256_LEN);
}

static enum rc copy_hash(
	struct pg_result *r, int row, int col, uint8_t out[SHA256_LEN], struct err *e)
{
	struct slice s = pg_bytes(r, row, col);

	if (s.len != SHA256_LEN)
		return err_set(e, RC_FATAL, "control: a hash of %zu bytes", s.len);
	memcpy(out, s.ptr, SHA256_LEN);
	return RC_OK;
}

enum rc control_of(struct pg_result *r, struct control *out, struct err *e)
{
	struct control k = {.kill_switch = false};

	if (pg_rows(r) == 0)
		return RC_NONE;
	k.generation = pg_int(r, 0, 0);
	struct slice mode = pg_text(r, 0, 1);
	(void)snprintf(k.mode, sizeof(k.mode), "%.*s", (int)mode.len, mode.ptr);
	k.kill_switch = pg_bool(r, 0, 2);
	enum rc rc = copy_hash(r, 0, 3, k.policy, e);
	if (rc == RC_OK)
		rc = copy_hash(r, 0, 4, k.rules, e);
	k.has_model = pg_bytes(r, 0, 5).len > 0;
	if (rc == RC_OK && k.has_model)
		rc = copy_hash(r, 0, 5, k.model, e);
	if (rc == RC_OK)
		*out = k;
	return rc;
}

const char control_read_sql[] =
	"SELECT generation, mode, kill_switch, policy, rules, model FROM control";

enum rc control_read(struct pg *c, struct control *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, control_read_sql, NULL, 0, &r, e);

	return rc == RC_OK ? control_of(r, out, e) : rc;
}

/* ---- artifacts ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static void hash_add(struct buf *all, struct slice s)
{
	buf_fmt(all, "%zu:", s.len); /* lengths keep apart what is next to each other */
	buf_add(all, s);
}

struct files {
	struct pg_array names, texts;
	struct buf all; /* what the hash is over */
};

static void files_done(struct files *f)
{
	pg_array_done(&f->names);
	pg_array_done(&f->texts);
	buf_done(&f->all);
}

static enum rc files_read(
	struct files *f, const char *kind, const char *const *paths, size_t n, struct err *e)
{
	BUF_OWN struct buf one = {0};
	enum rc rc = RC_OK;

	if (n == 0 || n > FILES_MAX)
		return err_set(
			e, RC_LIMIT, "%s: %zu files, 1 to %d can be stored", kind, n, FILES_MAX);
	buf_init(&one, BOUND_CONFIG_FILE);
	hash_add(&f->all, slice_str(kind));
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct slice name = slice_str(base_name(paths[i]));

		rc = file_read(paths[i], false, &one, e);
		if (rc == RC_NONE)
			rc = err_set(e, RC_INVALID, "%s: no such file", paths[i]);
		hash_add(&f->all, name);
		hash_add(&f->all, buf_slice(&one));
		pg_array_text(&f->names, name);
		pg_array_text(&f->texts, buf_slice(&one));
	}
	if (rc == RC_OK && f->all.failed)
		rc = err_set(e, RC_LIMIT, "%s: the files are too large together", kind);
	return rc;
}

static enum rc files_store(struct pg *c, struct files *f, const char *kind, const char *version,
	int64_t now_us, const uint8_t hash[SHA256_LEN], struct err *e)
{
	static const char sql[] =
		"INSERT INTO artifact (hash, kind, version, files, stored_at)"
		" SELECT $1, $2, $3, jsonb_object_agg(name, encode(body, 'base64')), $6"
		" FROM unnest($4::text[], $5::bytea[]) f(name, body) ON CONFLICT (hash) DO NOTHING";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_bytes(hash_slice(hash)), pg_p_str(kind), pg_p_str(version),
		pg_p_array(&f->names), pg_p_array(&f->texts), pg_p_time(now_us, a)};
	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc artifact_store(struct pg *c, const char *kind, const char *version,
	const char *const *paths, size_t n, int64_t now_us, uint8_t hash[SHA256_LEN], struct err *e)
{
	struct files f;
	uint8_t sum[SHA256_LEN];

	pg_array_init(&f.names, PG_TEXT);
	pg_array_init(&f.texts, PG_BYTEA);
	buf_init(&f.all, 8 * (size_t)BOUND_CONFIG_FILE);
	enum rc rc = files_read(&f, kind, paths, n, e);
	if (rc == RC_OK) {
		sha256(buf_slice(&f.all), sum);
		rc = files_store(c, &f, kind, version, now_us, sum, e);
	}
	if (rc == RC_OK)
		memcpy(hash, sum, SHA256_LEN);
	files_done(&f);
	return rc;
}

static enum rc write_file(const char *dir, struct slice name, struct slice text, struct err *e)
{
	char path[512];

	/* The name comes from the database: it may not lead out of the folder. */
	if (name.len == 0 || name.len > 200 || name.ptr[0] == '.' ||
		memchr(name.ptr, '/', name.len) != NULL || memchr(name.ptr, '\0', name.len) != NULL)
		return err_set(e, RC_INVALID, "artifact: a file name that is none");
	(void)snprintf(path, sizeof(path), "%s/%.*s", dir, (int)name.len, name.ptr);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	while (text.len > 0) {
		ssize_t n = write(fd, text.ptr, text.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		text = slice_of(text.ptr + n, text.len - (size_t)n);
	}
	if (close(fd) != 0 || text.len > 0)
		return err_set(e, RC_RETRY, "%s: not written whole: %s", path, strerror(errno));
	return RC_OK;
}

enum rc artifact_fetch(struct pg *c, const uint8_t hash[SHA256_LEN], const char *dir, struct err *e)
{
	static const char sql[] = "SELECT f.key, decode(f.value, 'base64') FROM artifact,"
				  " jsonb_each_text(files) f WHERE hash = $1 ORDER BY 1";
	struct pg_param p[] = {pg_p_bytes(hash_slice(hash))};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc == RC_OK && pg_rows(r) == 0)
		rc = err_set(e, RC_NONE, "artifact: nothing is stored under this hash");
	if (rc == RC_OK && mkdir(dir, 0700) != 0 && errno != EEXIST)
		rc = err_set(e, RC_RETRY, "%s: %s", dir, strerror(errno));
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		rc = write_file(dir, pg_text(r, i, 0), pg_bytes(r, i, 1), e);
	return rc;
}

enum rc people_terms_store(
	struct pg *c, const uint8_t policy[SHA256_LEN], const struct people_terms *t, struct err *e)
{
	static const char sql[] =
		"INSERT INTO policy_people VALUES ($1, make_interval(secs => $2::float8),"
		" make_interval(secs => $3::float8), make_interval(secs => $4::float8),"
		" make_interval(secs => $5::float8), $6) ON CONFLICT (policy) DO NOTHING";
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_bytes(hash_slice(policy)),
		pg_p_int(t->confirmed_s[CLASS_SCAM], a),
		pg_p_int(t->confirmed_s[CLASS_NUISANCE], a), pg_p_int(t->appeal_automatic_s, a),
		pg_p_int(t->appeal_confirmed_s, a), pg_p_bool(t->appeal_working)};
	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

/* ---- activation ---- */

static enum rc write_control(struct pg *c, const char *mode, const uint8_t policy[SHA256_LEN],
	const uint8_t rules[SHA256_LEN], const uint8_t *model, int64_t now_us, const char *actor,
	struct arena *a, struct err *e)
{
	static const char sql[] = "INSERT INTO control AS k (generation, mode, policy, rules, "
				  "activated_at, activated_by, model)"
				  " VALUES (1, $1, $2, $3, $4, $5, $6) ON CONFLICT (one) DO UPDATE"
				  " SET generation = k.generation + 1, mode = excluded.mode, "
				  "policy = excluded.policy,"
				  " rules = excluded.rules, activated_at = excluded.activated_at,"
				  " activated_by = excluded.activated_by, model = excluded.model";
	struct pg_param p[] = {pg_p_str(mode), pg_p_bytes(hash_slice(policy)),
		pg_p_bytes(hash_slice(rules)), pg_p_time(now_us, a), pg_p_str(actor),
		model != NULL ? pg_p_bytes(hash_slice(model)) : pg_p_none()};

	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc control_activate(struct pg *c, const char *mode, const uint8_t policy[SHA256_LEN],
	const uint8_t rules[SHA256_LEN], const uint8_t *model, int64_t now_us, const char *actor,
	struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(SCRATCH_BYTES);
	BUF_OWN struct buf lines;

	buf_init(&lines, 1024);
	buf_fmt(&lines, "activate mode=%s policy=", mode);
	buf_hex(&lines, policy, SHA256_LEN);
	buf_fmt(&lines, " rules=");
	buf_hex(&lines, rules, SHA256_LEN);
	buf_fmt(&lines, " model=");
	if (model != NULL)
		buf_hex(&lines, model, SHA256_LEN);
	else
		buf_fmt(&lines, "none");
	if (a == NULL || lines.failed)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = write_control(c, mode, policy, rules, model, now_us, actor, a, e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "activate", buf_slice(&lines), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc control_kill_switch(
	struct pg *c, bool on, int64_t now_us, const char *actor, bool *changed, struct err *e)
{
	static const char sql[] = "UPDATE control SET kill_switch = $1, generation = generation + 1"
				  " WHERE kill_switch <> $1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_bool(on)};
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc == RC_OK && pg_affected(r) == 1)
		rc = audit_append(c, now_us, actor, "kill-switch",
			on ? SLICE("kill-switch on\n") : SLICE("kill-switch off\n"), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	*changed = pg_affected(r) == 1;
	return RC_OK;
}
