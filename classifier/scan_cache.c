/* A compiled scan kept in a file, so that a second start need not compile it: bytes in a folder under the hash of all that went into them. A file
 * that is cut, damaged or of something else is as good as none. Leaves out what is in the bytes (scan_hs.c) and who cleans the folder up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "classifier/rules.h"

#define MAGIC "khien-scan-1\n"
#define HEAD (sizeof(MAGIC) - 1 + SHA256_LEN)

static void path_of(const char *dir, const uint8_t key[SHA256_LEN], char out[SCAN_CACHE_PATH])
{
	int n = snprintf(out, SCAN_CACHE_PATH, "%.900s/scan-", dir);

	for (size_t i = 0; i < SHA256_LEN && n > 0; i++)
		n += snprintf(out + n, SCAN_CACHE_PATH - (size_t)n, "%02x", key[i]);
}

bool scan_cache_get(const char *dir, const uint8_t key[SHA256_LEN], struct buf *out)
{
	char path[SCAN_CACHE_PATH];
	uint8_t sum[SHA256_LEN];

	path_of(dir, key, path);
	if (file_read(path, false, out, NULL) != RC_OK || out->len < HEAD ||
		memcmp(out->ptr, MAGIC, sizeof(MAGIC) - 1) != 0)
		return false;
	sha256(slice_of(out->ptr + HEAD, out->len - HEAD), sum);
	return memcmp(out->ptr + sizeof(MAGIC) - 1, sum, SHA256_LEN) == 0;
}

struct slice scan_cache_body(const struct buf *b)
{
	return slice_of(b->ptr + HEAD, b->len - HEAD);
}

static bool write_all(int fd, struct slice s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.ptr, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = slice_of(s.ptr + n, s.len - (size_t)n);
	}
	return true;
}

void scan_cache_put(const char *dir, const uint8_t key[SHA256_LEN], struct slice body)
{
	char path[SCAN_CACHE_PATH], beside[SCAN_CACHE_PATH + 8];
	uint8_t sum[SHA256_LEN];

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return;
	path_of(dir, key, path);
	(void)snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	int fd = mkstemp(beside);
	if (fd < 0)
		return;
	sha256(body, sum);
	bool good = write_all(fd, slice_of(MAGIC, sizeof(MAGIC) - 1)) &&
		write_all(fd, slice_of((const char *)sum, SHA256_LEN)) && write_all(fd, body);
	if (close(fd) != 0 || !good || rename(beside, path) != 0)
		(void)unlink(beside);
}
