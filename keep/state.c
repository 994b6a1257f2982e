/* The state file: gathered, sealed, opened, unpacked. One seal over all of it means that a file which was cut, changed or sealed under another
 * key does not open at all. Leaves out the database, which is pgBackRest's. */
#include "keep/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/tree.h"

#define MAGIC "KHIENST1"
#define PATH_CAP 4096

static const struct slice aad = {"khien-state/1", 13};

/* Everything of the configuration that names a file or folder of the installation. The backup's own key is never among them. */
static const char *const kept[] = {"keys.dir", "policy.file", "rules.dir", "rules.homoglyphs",
	"model.file", "numbers.dir", "protected.file", "audit.heads_file", "backup.pgbackrest"};

void state_done(struct state *s)
{
	if (s->text.ptr != NULL)
		explicit_bzero(s->text.ptr, s->text.room);
	buf_done(&s->text);
}

/* ---- gathering ---- */

static enum rc add_file(struct buf *out, const char *path, unsigned mode, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, STATE_FILE_MAX);
	enum rc rc = file_read(path, false, &b, e);
	if (rc == RC_LIMIT) {
		(void)fprintf(stderr, "khien backup: %s is not taken along: larger than %zu MiB\n",
			path, STATE_FILE_MAX >> 20);
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	buf_fmt(out, "%zu %o %s\n", b.len, mode & 0777, path);
	buf_add(out, buf_slice(&b));
	if (b.ptr != NULL)
		explicit_bzero(b.ptr, b.room);
	return out->failed
		? err_set(e, RC_LIMIT, "the state is larger than %zu MiB", STATE_MAX >> 20)
		: RC_OK;
}

static enum rc add_path(struct buf *out, const char *path, struct err *e)
{
	char one[PATH_CAP];
	struct tree t = {0};
	struct stat st;
	enum rc rc = RC_OK;

	if (path[0] == '\0')
		return RC_OK;
	if (stat(path, &st) != 0)
		return errno == ENOENT
			? RC_OK /* audit heads of an engine that has never run, say */
			: err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return add_file(out, path, st.st_mode, e);
	rc = tree_list(path, NULL, &t, e);
	for (size_t i = 0; rc == RC_OK && i < t.count; i++) {
		(void)snprintf(one, sizeof(one), "%s/%s", path, t.at[i].path);
		rc = stat(one, &st) == 0 ? add_file(out, one, st.st_mode, e)
					 : err_set(e, RC_RETRY, "%s: vanished", one);
	}
	tree_done(&t);
	return rc;
}

static enum rc ask(struct pg *c, struct state *s, struct err *e)
{
	static const char sql[] =
		"SELECT (SELECT max(n) FROM schema_version), (SELECT coalesce(sum(records), 0)"
		" FROM part)::bigint, h.list, h.release, h.count, a.seq, encode(a.hash, 'hex'),"
		" current_database(), current_user,"
		" current_setting('max_connections')::int,"
		" current_setting('max_worker_processes')::int,"
		" current_setting('max_wal_senders')::int,"
		" current_setting('max_prepared_transactions')::int,"
		" current_setting('max_locks_per_transaction')::int"
		" FROM (SELECT 1) one LEFT JOIN list_head h ON true"
		" LEFT JOIN (SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1) a ON "
		"true";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	s->schema = pg_int(r, 0, 0);
	s->records = pg_int(r, 0, 1);
	(void)snprintf(
		s->list, sizeof(s->list), "%s", pg_null(r, 0, 2) ? "" : pg_text(r, 0, 2).ptr);
	s->release = pg_int(r, 0, 3);
	s->count = pg_int(r, 0, 4);
	s->audit_seq = pg_int(r, 0, 5);
	(void)snprintf(s->audit_hash, sizeof(s->audit_hash), "%s",
		pg_null(r, 0, 6) ? "" : pg_text(r, 0, 6).ptr);
	(void)snprintf(s->database, sizeof(s->database), "%s", pg_text(r, 0, 7).ptr);
	(void)snprintf(s->dsn_user, sizeof(s->dsn_user), "%s", pg_text(r, 0, 8).ptr);
	int *settings[] = {&s->pg_max_connections, &s->pg_max_workers, &s->pg_max_senders,
		&s->pg_max_prepared, &s->pg_max_locks};
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		*settings[i] = (int)pg_int(r, 0, 9 + (int)i);
	return RC_OK;
}

static void write_head(struct state *s)
{
	struct buf *b = &s->text;

	buf_fmt(b,
		"{\"made_us\":%" PRId64 ",\"schema\":%" PRId64 ",\"records\":%" PRId64
		",\"release\":%" PRId64 ",\"count\":%" PRId64 ",\"audit_seq\":%" PRId64
		",\"list\":\"%s\",\"audit_hash\":\"%s\",\"max_connections\":%d,"
		"\"max_workers\":%d,\"max_senders\":%d,\"max_prepared\":%d,\"max_locks\":%d,",
		s->made_us, s->schema, s->records, s->release, s->count, s->audit_seq, s->list,
		s->audit_hash, s->pg_max_connections, s->pg_max_workers, s->pg_max_senders,
		s->pg_max_prepared, s->pg_max_locks);
	const char *texts[][2] = {{"stanza", s->stanza}, {"conf", s->conf_path},
		{"pgbackrest", s->pgbackrest}, {"database", s->database}, {"user", s->dsn_user}};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		buf_fmt(b, "\"%s\":", texts[i][0]);
		buf_json(b, slice_str(texts[i][1]));
		buf_add(b, i + 1 < ARRAY_LEN(texts) ? SLICE(",") : SLICE("}\n"));
	}
}

enum rc state_gather(const struct conf *c, struct state *out, struct err *e)
{
	OWN(pg_close) struct pg *pg = NULL;
	struct pg_options o = {.dsn = conf_text(c, "database.dsn"), .name = "khien-backup"};
	char path[PATH_CAP];
	enum rc rc = pg_open(&o, &pg, e);

	*out = (struct state){.made_us = clk_system.now_us(&clk_system)};
	buf_init(&out->text, STATE_MAX);
	(void)snprintf(out->stanza, sizeof(out->stanza), "%s", conf_text(c, "backup.stanza"));
	(void)snprintf(out->pgbackrest, PATH_CAP, "%s", conf_text(c, "backup.pgbackrest"));
	if (realpath(conf_path(c), path) == NULL)
		return err_set(e, RC_INVALID, "%s: %s", conf_path(c), strerror(errno));
	(void)snprintf(out->conf_path, PATH_CAP, "%s", path);
	if (rc == RC_OK)
		rc = ask(pg, out, e);
	if (rc == RC_OK)
		write_head(out);
	if (rc == RC_OK)
		rc = add_path(&out->text, path, e);
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(kept); i++)
		rc = add_path(&out->text, conf_text(c, kept[i]), e);
	for (size_t i = 0; rc == RC_OK && i < conf_count(c, "backup.include"); i++)
		rc = add_path(&out->text, conf_at(c, "backup.include", i), e);
	for (size_t i = 0; rc == RC_OK && i < conf_count(c, "privacy.erasure_files"); i++)
		rc = add_path(&out->text, conf_at(c, "privacy.erasure_files", i), e);
	buf_add(&out->text, SLICE("end\n"));
	if (rc == RC_OK && out->text.failed)
		rc = err_set(e, RC_LIMIT, "the state is larger than %zu MiB", STATE_MAX >> 20);
	if (rc != RC_OK)
		state_done(out);
	return rc;
}

/* ---- storing and loading ---- */

enum rc state_store(
	const struct state *s, const uint8_t key[KEY_LEN], const char *dir, struct err *e)
{
	char name[TIME_TEXT], path[PATH_CAP];
	size_t n = 0, len = sizeof(MAGIC) - 1 + s->text.len + SEAL_EXTRA;
	char *sealed = malloc(len);

	if (sealed == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	memcpy(sealed, MAGIC, sizeof(MAGIC) - 1);
	seal(key, aad, buf_slice(&s->text), (uint8_t *)sealed + sizeof(MAGIC) - 1);
	time_format(s->made_us - s->made_us % US_PER_S, name);
	for (const char *p = name; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			name[n++] = *p;
	name[n] = '\0';
	(void)snprintf(path, sizeof(path), "%s/" STATE_PREFIX "%s" STATE_SUFFIX, dir, name);
	enum rc rc = make_dirs(dir, 0700, e);
	if (rc == RC_OK)
		rc = file_write_new(path, 0600, slice_of(sealed, len), e);
	free(sealed);
	return rc;
}

static void copy_json(char *out, size_t room, struct json map, const char *name)
{
	struct slice s = json_text(json_get(map, name));

	(void)snprintf(out, room, "%.*s", (int)s.len, s.len > 0 ? s.ptr : "");
}

static enum rc read_head(struct state *s, struct err *e)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	struct slice rest = buf_slice(&s->text), line;
	struct json j;

	if (p == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	if (!slice_line(&rest, &line))
		return err_set(e, RC_INVALID, "no head");
	enum rc rc = json_parse(p, line, &j, e);
	if (rc != RC_OK)
		return rc;
	s->files_at = (size_t)(rest.ptr - s->text.ptr);
	s->made_us = json_int(json_get(j, "made_us"));
	s->schema = json_int(json_get(j, "schema"));
	s->records = json_int(json_get(j, "records"));
	s->release = json_int(json_get(j, "release"));
	s->count = json_int(json_get(j, "count"));
	s->audit_seq = json_int(json_get(j, "audit_seq"));
	s->pg_max_connections = (int)json_int(json_get(j, "max_connections"));
	s->pg_max_workers = (int)json_int(json_get(j, "max_workers"));
	s->pg_max_senders = (int)json_int(json_get(j, "max_senders"));
	s->pg_max_prepared = (int)json_int(json_get(j, "max_prepared"));
	s->pg_max_locks = (int)json_int(json_get(j, "max_locks"));
	copy_json(s->list, sizeof(s->list), j, "list");
	copy_json(s->audit_hash, sizeof(s->audit_hash), j, "audit_hash");
	copy_json(s->stanza, sizeof(s->stanza), j, "stanza");
	copy_json(s->conf_path, sizeof(s->conf_path), j, "conf");
	copy_json(s->pgbackrest, sizeof(s->pgbackrest), j, "pgbackrest");
	copy_json(s->database, sizeof(s->database), j, "database");
	copy_json(s->dsn_user, sizeof(s->dsn_user), j, "user");
	return RC_OK;
}

enum rc state_load(const char *path, const uint8_t key[KEY_LEN], struct state *out, struct err *e)
{
	const size_t magic = sizeof(MAGIC) - 1;
	BUF_OWN struct buf b;
	struct state s = {0};

	buf_init(&b, STATE_MAX + 1024);
	enum rc rc = file_read(path, false, &b, e);
	if (rc == RC_OK && (b.len < magic + SEAL_EXTRA || memcmp(b.ptr, MAGIC, magic) != 0))
		rc = err_set(e, RC_INVALID, "%s: is no state of a backup, or cut short", path);
	if (rc != RC_OK)
		return rc;
	struct slice sealed = slice_of(b.ptr + magic, b.len - magic);
	buf_init(&s.text, STATE_MAX);
	s.text.ptr = malloc(sealed.len);
	if (s.text.ptr == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	s.text.room = sealed.len;
	s.text.len = sealed.len - SEAL_EXTRA;
	if (unseal(key, aad, sealed, (uint8_t *)s.text.ptr) != RC_OK)
		rc = err_set(e, RC_INVALID,
			"%s: does not open: another backup key, or the file was cut or changed",
			path);
	if (rc == RC_OK)
		rc = read_head(&s, e);
	if (rc != RC_OK) {
		state_done(&s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

enum rc state_newest(const char *dir, char out[4096], struct err *e)
{
	char best[256] = "";
	DIR *d = opendir(dir);

	if (d == NULL)
		return err_set(
			e, errno == ENOENT ? RC_NONE : RC_INVALID, "%s: %s", dir, strerror(errno));
	for (struct dirent *f; (f = readdir(d)) != NULL;)
		if (strncmp(f->d_name, STATE_PREFIX, sizeof(STATE_PREFIX) - 1) == 0 &&
			strstr(f->d_name, STATE_SUFFIX) != NULL && strcmp(f->d_name, best) > 0)
			(void)snprintf(best, sizeof(best), "%s", f->d_name);
	(void)closedir(d);
	if (best[0] == '\0')
		return err_set(e, RC_NONE, "%s: holds no state of a backup", dir);
	int n = snprintf(out, PATH_CAP, "%s/%s", dir, best);
	return n < PATH_CAP ? RC_OK : err_set(e, RC_INVALID, "%s: path too long", dir);
}

/* ---- unpacking ---- */

struct packed {
	struct slice path, bytes;
	unsigned mode;
};

/* The next file; RC_NONE at the end. */
static enum rc next_file(struct slice *rest, struct packed *out, struct err *e)
{
	struct slice line, word;
	uint64_t size = 0, mode = 0;

	if (!slice_line(rest, &line))
		return err_set(e, RC_INVALID, "the state ends early");
	if (slice_eq(line, SLICE("end")))
		return RC_NONE;
	bool good = slice_cut(&line, ' ', &word) && slice_u64(word, &size) == RC_OK &&
		slice_cut(&line, ' ', &word);
	for (size_t i = 0; good && i < word.len; i++)
		mode = mode * 8 + (uint64_t)(word.ptr[i] - '0');
	if (!good || size > rest->len || line.len == 0 || line.ptr[0] != '/')
		return err_set(e, RC_INVALID, "the state has a line that is none");
	*out = (struct packed){line, slice_of(rest->ptr, size), (unsigned)mode & 0777};
	*rest = slice_of(rest->ptr + size, rest->len - size);
	return RC_OK;
}

static struct slice files_of(const struct state *s)
{
	return slice_of(s->text.ptr + s->files_at, s->text.len - s->files_at);
}

enum rc state_file(const struct state *s, const char *path, struct slice *out, struct err *e)
{
	struct slice rest = files_of(s);
	struct packed f;
	enum rc rc;

	while ((rc = next_file(&rest, &f, e)) == RC_OK)
		if (slice_eq(f.path, slice_str(path))) {
			*out = f.bytes;
			return RC_OK;
		}
	return rc == RC_NONE ? err_set(e, RC_NONE, "%s: is not in the state", path) : rc;
}

static bool same_bytes(const char *path, struct slice bytes)
{
	BUF_OWN struct buf b;
	struct err e;

	buf_init(&b, bytes.len);
	return file_read(path, false, &b, &e) == RC_OK && slice_eq(buf_slice(&b), bytes);
}

/* write: false only looks whether anything is in the way. */
static enum rc unpack(
	const struct state *s, const char *root, bool write, int *files, struct err *e)
{
	struct slice rest = files_of(s);
	char path[PATH_CAP], dir[PATH_CAP];
	struct packed f;
	enum rc rc;

	*files = 0;
	while ((rc = next_file(&rest, &f, e)) == RC_OK) {
		int n = snprintf(path, sizeof(path), "%s%.*s", root, (int)f.path.len, f.path.ptr);
		if (n >= PATH_CAP)
			return err_set(e, RC_INVALID, "%s: path too long", root);
		bool there = access(path, F_OK) == 0;
		if (there && !same_bytes(path, f.bytes))
			return err_set(e, RC_CONFLICT,
				"%s: is there already and another one; move it away", path);
		*files += 1;
		if (!write || there)
			continue;
		const char *last = strrchr(path, '/');
		(void)snprintf(dir, sizeof(dir), "%.*s", (int)(last - path), path);
		rc = dir[0] != '\0' ? make_dirs(dir, (f.mode & 077) != 0 ? 0755 : 0700, e) : RC_OK;
		if (rc == RC_OK)
			rc = file_write_new(path, f.mode, f.bytes, e);
		if (rc != RC_OK)
			return rc;
	}
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc state_unpack(const struct state *s, const char *root, int *files, struct err *e)
{
	enum rc rc = unpack(s, root, false, files, e);

	return rc == RC_OK ? unpack(s, root, true, files, e) : rc;
}
