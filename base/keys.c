/* keys: the installation's secrets as files of 32 bytes in one folder, made once and read at the start. The wrap key stays in memory
 * that is locked and left out of core files where the kernel allows it. A new wrap.key stands beside the
 * old one until everything was sealed again. Leaves out a new mac.key: it would be a new identity for every reporter. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mac.h"

#define PATH_CAP 4096

static const char *const names[] = {"mac.key", "wrap.key", "token.key"};

struct keys {
	struct mac *mac, *token;
	uint8_t wrap[KEY_LEN], old[KEY_LEN];
	bool has_old;
};

static enum rc path_of(const char *dir, const char *name, char out[PATH_CAP], struct err *e)
{
	int n = snprintf(out, PATH_CAP, "%s/%s", dir, name);

	return n < 0 || n >= PATH_CAP ? err_set(e, RC_INVALID, "%s: path too long", dir) : RC_OK;
}

static enum rc failed(const char *path, const char *what, struct err *e)
{
	char why[128];

	return err_set(e, errno == EEXIST ? RC_CONFLICT : RC_INVALID, "%s: cannot %s: %s", path,
		what, strerror_r(errno, why, sizeof(why)));
}

static enum rc write_key(const char *path, struct err *e)
{
	uint8_t key[KEY_LEN];
	size_t done = 0;
	bool ok = true;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return failed(path, "create", e);
	random_bytes(key, sizeof(key));
	while (ok && done < sizeof(key)) {
		ssize_t n = write(fd, key + done, sizeof(key) - done);

		if (n > 0)
			done += (size_t)n;
		else
			ok = n < 0 && errno == EINTR;
	}
	wipe(key, sizeof(key));
	ok = ok && fsync(fd) == 0;
	if (!ok) {
		enum rc rc = failed(path, "write", e);

		(void)close(fd);
		(void)unlink(path); /* half a key is no key */
		return rc;
	}
	return close(fd) == 0 ? RC_OK : failed(path, "close", e);
}

static enum rc sync_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	enum rc rc = ok ? RC_OK : failed(dir, "sync", e);

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

enum rc keys_create(const char *dir, struct err *e)
{
	char path[PATH_CAP];
	enum rc rc = RC_OK;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return failed(dir, "create", e);
	/* look at all before making any, so that keys of two origins are never mixed */
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(names); i++) {
		rc = path_of(dir, names[i], path, e);
		if (rc == RC_OK && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			rc = err_set(e, RC_CONFLICT, "%s: there is a key already", path);
	}
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(names); i++) {
		rc = path_of(dir, names[i], path, e);
		if (rc == RC_OK)
			rc = write_key(path, e);
	}
	return rc == RC_OK ? sync_dir(dir, e) : rc;
}

static enum rc rename_in(const char *dir, const char *from, const char *to, struct err *e)
{
	char a[PATH_CAP], b[PATH_CAP];
	enum rc rc = path_of(dir, from, a, e);

	if (rc == RC_OK)
		rc = path_of(dir, to, b, e);
	if (rc == RC_OK && rename(a, b) != 0)
		rc = failed(a, "rename", e);
	return rc;
}

/* The new key is whole on disk before it takes the old one's name; a crash in between leaves the old one in force or both. */
enum rc keys_rotate(const char *dir, struct err *e)
{
	char old[PATH_CAP], path[PATH_CAP], fresh[PATH_CAP];
	enum rc rc = path_of(dir, "wrap.old.key", old, e);

	if (rc == RC_OK)
		rc = path_of(dir, "wrap.key", path, e);
	if (rc == RC_OK)
		rc = path_of(dir, "wrap.new.key", fresh, e);
	if (rc != RC_OK)
		return rc;
	if (faccessat(AT_FDCWD, old, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, RC_CONFLICT, "%s: the last rotation is not finished", old);
	(void)unlink(fresh);
	rc = write_key(fresh, e);
	if (rc == RC_OK && link(path, old) != 0)
		rc = failed(old, "make", e);
	if (rc == RC_OK)
		rc = rename_in(dir, "wrap.new.key", "wrap.key", e);
	return rc == RC_OK ? sync_dir(dir, e) : rc;
}

enum rc keys_forget_old(const char *dir, struct err *e)
{
	char old[PATH_CAP];
	enum rc rc = path_of(dir, "wrap.old.key", old, e);

	if (rc == RC_OK && unlink(old) != 0)
		rc = errno == ENOENT ? err_set(e, RC_NONE, "%s: there is none", old)
				     : failed(old, "remove", e);
	return rc == RC_OK ? sync_dir(dir, e) : rc;
}

enum rc key_create(const char *path, struct err *e)
{
	return write_key(path, e);
}

enum rc key_read(const char *path, uint8_t key[KEY_LEN], struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, KEY_LEN);
	enum rc rc = file_read(path, true, &b, e);
	if (rc == RC_LIMIT || (rc == RC_OK && b.len != KEY_LEN))
		rc = err_set(
			e, RC_INVALID, "%s: a key is a file of exactly %d bytes", path, KEY_LEN);
	if (rc == RC_OK)
		memcpy(key, b.ptr, KEY_LEN);
	if (b.ptr != NULL)
		wipe(b.ptr, b.room);
	return rc;
}

static enum rc read_key(const char *dir, const char *name, uint8_t key[KEY_LEN], struct err *e)
{
	char path[PATH_CAP];
	enum rc rc = path_of(dir, name, path, e);

	return rc == RC_OK ? key_read(path, key, e) : rc;
}

static struct keys *keys_new(void)
{
	void *p = mmap(NULL, sizeof(struct keys), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)mlock(
		p, sizeof(struct keys)); /* both are courtesies: small limits must not stop us */
	(void)madvise(p, sizeof(struct keys), MADV_DONTDUMP);
	return p;
}

void keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	mac_free(k->mac);
	mac_free(k->token);
	wipe(k, sizeof(*k));
	(void)munmap(k, sizeof(*k));
}

enum rc keys_open(const char *dir, struct keys **out, struct err *e)
{
	OWN(keys_free) struct keys *k = keys_new();
	uint8_t key[KEY_LEN];
	enum rc rc;

	if (k == NULL)
		return err_set(e, RC_LIMIT, "%s: out of memory", dir);
	rc = read_key(dir, "mac.key", key, e);
	if (rc == RC_OK && (k->mac = mac_new(key)) == NULL)
		rc = err_set(e, RC_LIMIT, "%s: out of memory", dir);
	if (rc == RC_OK)
		rc = read_key(dir, "token.key", key, e);
	if (rc == RC_OK && (k->token = mac_new(key)) == NULL)
		rc = err_set(e, RC_LIMIT, "%s: out of memory", dir);
	if (rc == RC_OK)
		rc = read_key(dir, "wrap.key", k->wrap, e);
	if (rc == RC_OK) {
		rc = read_key(dir, "wrap.old.key", k->old, e);
		k->has_old = rc == RC_OK;
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	wipe(key, sizeof(key));
	if (rc == RC_OK)
		*out = TAKE(k);
	return rc;
}

void keys_mac(const struct keys *k, const char *domain, struct slice s, uint8_t out[MAC_LEN])
{
	uint8_t full[SHA256_LEN];

	mac_of(k->mac, domain, s, full);
	memcpy(out, full, MAC_LEN);
}

void keys_token_mac(const struct keys *k, struct slice token, uint8_t out[SHA256_LEN])
{
	mac_of(k->token, "token", token, out);
}

void keys_seal(const struct keys *k, struct slice aad, struct slice s, uint8_t *out)
{
	seal(k->wrap, aad, s, out);
}

bool keys_have_old(const struct keys *k)
{
	return k->has_old;
}

enum rc keys_unseal_by(
	const struct keys *k, struct slice aad, struct slice s, uint8_t *out, bool *by_old)
{
	enum rc rc = unseal(k->wrap, aad, s, out);
	bool old = rc == RC_INVALID && k->has_old;

	if (old)
		rc = unseal(k->old, aad, s, out);
	if (rc == RC_OK && by_old != NULL)
		*by_old = old;
	return rc;
}

enum rc keys_unseal(const struct keys *k, struct slice aad, struct slice s, uint8_t *out)
{
	return keys_unseal_by(k, aad, s, out, NULL);
}
