/* A copy is only as good as what was read back from it: every file has its hash, and a file too many is as wrong as one that is missing. */
#include "keep/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_CAP 4096
#define FILES_MAX 5000000u
#define PIECE ((size_t)1 << 20)

static enum rc failed(const char *path, const char *what, struct err *e)
{
	char why[128];

	return err_set(e, errno == ENOSPC ? RC_LIMIT : RC_INVALID, "%s: cannot %s: %s", path, what,
		strerror_r(errno, why, sizeof(why)));
}

static enum rc join(char out[PATH_CAP], const char *a, const char *b, struct err *e)
{
	int n = snprintf(out, PATH_CAP, "%s/%s", a, b);

	return n < 0 || n >= PATH_CAP ? err_set(e, RC_INVALID, "%s: path too long", a) : RC_OK;
}

void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->at[i].path);
	free(t->at);
	*t = (struct tree){0};
}

static enum rc put(struct tree *t, const char *path, int64_t size, struct err *e)
{
	if (t->count == t->room) {
		size_t room = t->room == 0 ? 1024 : t->room * 2;
		struct tree_file *at = room > FILES_MAX ? NULL : realloc(t->at, room * sizeof(*at));
		if (at == NULL)
			return err_set(e, RC_LIMIT, "%s: too many files", path);
		t->at = at;
		t->room = room;
	}
	char *copy = strdup(path);
	if (copy == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	t->at[t->count++] = (struct tree_file){.path = copy, .size = size};
	t->bytes += size;
	return RC_OK;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = end != NULL ? strlen(end) : 0;

	return m > 0 && n >= m && strcmp(name + n - m, end) == 0;
}

/* One folder: its files into t, its folders into todo. */
static enum rc look(const char *top, const char *at, const char *skip, struct tree *t,
	struct tree *todo, struct err *e)
{
	char folder[PATH_CAP], path[PATH_CAP], below[PATH_CAP];
	struct stat st;
	enum rc rc = join(folder, top, at, e);

	if (rc != RC_OK)
		return rc;
	DIR *d = opendir(folder);
	if (d == NULL)
		return failed(folder, "read", e);
	for (struct dirent *f; rc == RC_OK && (f = readdir(d)) != NULL;) {
		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
			ends_with(f->d_name, skip))
			continue;
		rc = join(path, folder, f->d_name, e);
		if (rc == RC_OK && *at != '\0')
			rc = join(below, at, f->d_name, e);
		else if (rc == RC_OK)
			(void)snprintf(below, sizeof(below), "%s", f->d_name);
		if (rc == RC_OK && lstat(path, &st) != 0)
			rc = failed(path, "look at", e);
		if (rc != RC_OK)
			break;
		if (S_ISDIR(st.st_mode))
			rc = put(todo, below, 0, e);
		else if (S_ISREG(st.st_mode))
			rc = put(t, below, st.st_size, e);
	}
	(void)closedir(d);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

enum rc tree_list(const char *top, const char *skip, struct tree *out, struct err *e)
{
	struct tree t = {0}, todo = {0};
	enum rc rc = look(top, "", skip, &t, &todo, e);

	for (size_t i = 0; rc == RC_OK && i < todo.count; i++)
		rc = look(top, todo.at[i].path, skip, &t, &todo, e);
	tree_done(&todo);
	if (rc != RC_OK) {
		tree_done(&t);
		return rc;
	}
	if (t.count > 0)
		qsort(t.at, t.count, sizeof(*t.at), by_path);
	*out = t;
	return RC_OK;
}

enum rc make_dirs(const char *path, unsigned mode, struct err *e)
{
	char at[PATH_CAP];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(at))
		return err_set(e, RC_INVALID, "%s: no folder's name", path);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(at, path, i);
		at[i] = '\0';
		if (mkdir(at, i == len ? mode : 0755) != 0 && errno != EEXIST)
			return failed(at, "make", e);
	}
	return RC_OK;
}

static enum rc sync_folder_of(const char *path, struct err *e)
{
	char folder[PATH_CAP];
	const char *last = strrchr(path, '/');

	(void)snprintf(folder, sizeof(folder), "%.*s", last != NULL ? (int)(last - path) : 1,
		last != NULL ? path : ".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;
	enum rc rc = good ? RC_OK : failed(folder, "sync", e);

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static bool write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

enum rc file_write_new(const char *path, unsigned mode, struct slice s, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return err_set(e, errno == EEXIST ? RC_CONFLICT : RC_INVALID, "%s: %s", path,
			strerror(errno));
	bool good = write_all(fd, s.ptr, s.len) && fsync(fd) == 0;
	enum rc rc = good ? RC_OK : failed(path, "write", e);

	if (close(fd) != 0 && rc == RC_OK)
		rc = failed(path, "close", e);
	if (rc != RC_OK)
		(void)unlink(path);
	return rc == RC_OK ? sync_folder_of(path, e) : rc;
}

/* Reads to the end, hashing; what was read goes to `to` when it is not -1. */
static enum rc pump(const char *path, int from, int to, const char *to_path,
	uint8_t sum[SHA256_LEN], int64_t *size, struct err *e)
{
	OWN(sha256_free) struct sha256 *h = sha256_new();
	char *piece = malloc(PIECE);
	enum rc rc = h != NULL && piece != NULL ? RC_OK : err_set(e, RC_LIMIT, "out of memory");

	*size = 0;
	while (rc == RC_OK) {
		ssize_t n = read(from, piece, PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = failed(path, "read", e);
		if (n <= 0)
			break;
		sha256_add(h, slice_of(piece, (size_t)n));
		*size += n;
		if (to >= 0 && !write_all(to, piece, (size_t)n))
			rc = failed(to_path, "write", e);
	}
	if (rc == RC_OK)
		sha256_end(h, sum);
	free(piece);
	return rc;
}

enum rc tree_sum(const char *path, uint8_t sum[SHA256_LEN], int64_t *size, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return failed(path, "read", e);
	enum rc rc = pump(path, fd, -1, NULL, sum, size, e);
	(void)close(fd);
	return rc;
}

static enum rc copy_one(const char *from, const char *to, struct tree_file *f, struct err *e)
{
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1;
	enum rc rc = in >= 0 && fstat(in, &st) == 0 ? RC_OK : failed(from, "read", e);

	if (rc == RC_OK) {
		out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (out < 0)
			rc = failed(to, "write", e);
	}
	if (rc == RC_OK)
		rc = pump(from, in, out, to, f->sum, &f->size, e);
	if (rc == RC_OK && getuid() == 0 && fchown(out, st.st_uid, st.st_gid) != 0)
		rc = failed(to, "give away", e);
	if (rc == RC_OK && (fchmod(out, st.st_mode & 0777) != 0 || fsync(out) != 0))
		rc = failed(to, "write", e);
	if (in >= 0)
		(void)close(in);
	if (out >= 0 && close(out) != 0 && rc == RC_OK)
		rc = failed(to, "close", e);
	return rc;
}

/* The folder that a file of the copy lies in: made like the original's. */
static enum rc folder_for(const char *top, const char *to, const char *path, struct err *e)
{
	char ours[PATH_CAP], theirs[PATH_CAP], below[PATH_CAP];
	struct stat st;

	for (size_t i = 0;; i++) {
		if (path[i] == '\0')
			return RC_OK;
		if (path[i] != '/')
			continue;
		(void)snprintf(below, sizeof(below), "%.*s", (int)i, path);
		enum rc rc = join(ours, to, below, e);
		if (rc == RC_OK)
			rc = join(theirs, top, below, e);
		if (rc != RC_OK)
			return rc;
		if (mkdir(ours, 0700) != 0) {
			if (errno == EEXIST)
				continue;
			return failed(ours, "make", e);
		}
		if (stat(theirs, &st) != 0 || chmod(ours, st.st_mode & 0777) != 0 ||
			(getuid() == 0 && chown(ours, st.st_uid, st.st_gid) != 0))
			return failed(ours, "make", e);
	}
}

enum rc tree_copy(const char *top, const char *to, struct tree *t, struct err *e)
{
	char from[PATH_CAP], path[PATH_CAP];
	struct stat st;
	enum rc rc = make_dirs(to, 0750, e);

	if (rc == RC_OK && getuid() == 0 && stat(top, &st) == 0 &&
		chown(to, st.st_uid, st.st_gid) != 0)
		rc = failed(to, "give away", e);
	t->bytes = 0;
	for (size_t i = 0; rc == RC_OK && i < t->count; i++) {
		rc = join(from, top, t->at[i].path, e);
		if (rc == RC_OK)
			rc = join(path, to, t->at[i].path, e);
		if (rc == RC_OK)
			rc = folder_for(top, to, t->at[i].path, e);
		if (rc == RC_OK)
			rc = copy_one(from, path, &t->at[i], e);
		t->bytes += t->at[i].size;
	}
	return rc == RC_OK ? sync_folder_of(path, e) : rc;
}

void tree_write(const struct tree *t, const char *prefix, struct buf *out)
{
	for (size_t i = 0; i < t->count; i++) {
		buf_hex(out, t->at[i].sum, SHA256_LEN);
		buf_fmt(out, "  %s%s\n", prefix, t->at[i].path);
	}
}

/* ---- checking ---- */

static enum rc check_one(
	const char *top, struct slice line, char *name, int64_t *bytes, struct err *e)
{
	char path[PATH_CAP], hex[SHA256_LEN * 2 + 1];
	uint8_t sum[SHA256_LEN];
	int64_t size = 0;
	BUF_OWN struct buf got;

	buf_init(&got, sizeof(hex));
	if (line.len < 67 || line.len - 66 >= PATH_CAP || memcmp(line.ptr + 64, "  ", 2) != 0)
		return err_set(e, RC_INVALID, "%s: the manifest has a line that is none", top);
	(void)snprintf(hex, sizeof(hex), "%.64s", line.ptr);
	(void)snprintf(name, PATH_CAP, "%.*s", (int)(line.len - 66), line.ptr + 66);
	enum rc rc = join(path, top, name, e);
	if (rc == RC_OK)
		rc = tree_sum(path, sum, &size, e);
	if (rc != RC_OK)
		return rc;
	buf_hex(&got, sum, sizeof(sum));
	if (got.failed || strcmp(got.ptr, hex) != 0)
		return err_set(e, RC_INVALID, "%s: is not what was copied (%lld bytes)", path,
			(long long)size);
	*bytes += size;
	return RC_OK;
}

enum rc tree_check(const char *top, struct slice manifest, const char *const *own, size_t n_own,
	int64_t *bytes, struct err *e)
{
	struct tree there = {0};
	char name[PATH_CAP];
	size_t lines = 0, expected = 0;
	enum rc rc = tree_list(top, NULL, &there, e);

	*bytes = 0;
	for (struct slice line; rc == RC_OK && slice_line(&manifest, &line); lines++)
		rc = check_one(top, line, name, bytes, e);
	for (size_t i = 0; rc == RC_OK && i < there.count; i++)
		for (size_t k = 0; k < n_own; k++)
			expected += strcmp(there.at[i].path, own[k]) == 0;
	if (rc == RC_OK && lines == 0)
		rc = err_set(e, RC_INVALID, "%s: the manifest is empty", top);
	if (rc == RC_OK && there.count != lines + expected)
		rc = err_set(e, RC_INVALID, "%s: holds %zu files, the manifest names %zu", top,
			there.count - expected, lines);
	tree_done(&there);
	return rc;
}
