/* file: reads a whole file with a bound. Everything that is checked is checked on the open file, so nobody can swap it between
 * the look and the read. Leaves out writing, which each owner does in its own careful way. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static enum rc os_error(const char *path, struct err *e)
{
	enum rc rc = errno == ENOENT || errno == ENOTDIR ? RC_NONE
		: errno == EACCES || errno == EPERM      ? RC_DENIED
							 : RC_INVALID;
	char why[128];

	return err_set(e, rc, "%s: %s", path, strerror_r(errno, why, sizeof(why)));
}

static enum rc file_fits(const char *path, int fd, bool secret, size_t cap, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return os_error(path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, RC_INVALID, "%s: not a regular file", path);
	if (secret && (st.st_mode & 077) != 0)
		return err_set(e, RC_DENIED, "%s: mode %04o lets others at a secret, want 0600",
			path, (unsigned)st.st_mode & 07777);
	if ((uint64_t)st.st_size > cap)
		return err_set(e, RC_LIMIT, "%s: larger than %zu bytes", path, cap);
	return RC_OK;
}

static enum rc read_all(const char *path, int fd, struct buf *out, struct err *e)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return os_error(path, e);
		if (n == 0)
			return RC_OK;
		buf_add(out, slice_of(chunk, (size_t)n));
		if (out->failed)
			return err_set(e, RC_LIMIT, "%s: larger than %zu bytes", path, out->cap);
	}
}

enum rc file_read(const char *path, bool secret, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum rc rc;

	buf_clear(out);
	if (fd < 0)
		return os_error(path, e);
	rc = file_fits(path, fd, secret, out->cap, e);
	if (rc == RC_OK)
		rc = read_all(path, fd, out, e);
	(void)close(fd);
	return rc;
}
