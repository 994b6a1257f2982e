/* A long answer is written to an unlinked file first, so that a failure in the middle is a 503 and never a cut text that looks whole, and a
 * slow reader holds nothing but a file. Leaves out what is written. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "api/private.h"

#define PIECE_BYTES (256 * 1024)

struct scratch {
	int fd;
	gzFile gz; /* NULL: plain */
	struct buf piece;
	bool failed;
};

/* An unlinked temporary file, or -1. */
static int scratch_file(void)
{
	const char *dir = getenv("TMPDIR");
	char path[256];

	snprintf(path, sizeof(path), "%s/khien-answer-XXXXXX",
		dir != NULL && *dir != '\0' ? dir : "/tmp");
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static gzFile zipped(int fd)
{
	int copy = dup(fd);
	gzFile gz = copy >= 0 ? gzdopen(copy, "wb1") : NULL;

	if (gz == NULL && copy >= 0)
		close(copy);
	return gz;
}

struct scratch *scratch_new(bool gzip)
{
	struct scratch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	buf_init(&s->piece, 16 * PIECE_BYTES);
	s->fd = scratch_file();
	s->failed = s->fd < 0;
	if (gzip && !s->failed)
		s->failed = (s->gz = zipped(s->fd)) == NULL;
	return s;
}

static void flush(struct scratch *s)
{
	for (size_t at = 0; at < s->piece.len && !s->failed;) {
		ssize_t n = write(s->fd, s->piece.ptr + at, s->piece.len - at);
		if (n <= 0)
			s->failed = true;
		else
			at += (size_t)n;
	}
	buf_clear(&s->piece);
}

bool scratch_put(void *arg, struct slice piece)
{
	struct scratch *s = arg;

	if (s->failed)
		return false;
	if (s->gz != NULL) {
		if (piece.len > 0 &&
			gzwrite(s->gz, piece.ptr, (unsigned)piece.len) != (int)piece.len)
			s->failed = true;
		return !s->failed;
	}
	buf_add(&s->piece, piece);
	if (s->piece.len >= PIECE_BYTES)
		flush(s);
	s->failed = s->failed || s->piece.failed;
	return !s->failed;
}

bool gunzip(struct slice packed, struct buf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.ptr, .avail_in = (uInt)packed.len};
	char piece[16 * 1024];
	int rc = Z_OK;

	if (packed.len == 0 || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return false;
	while (rc == Z_OK && !out->failed) {
		z.next_out = (Bytef *)piece;
		z.avail_out = sizeof(piece);
		rc = inflate(&z, Z_NO_FLUSH);
		if (rc == Z_OK || rc == Z_STREAM_END)
			buf_add(out, slice_of(piece, sizeof(piece) - z.avail_out));
		if (rc == Z_OK && z.avail_in == 0 && z.avail_out > 0)
			break; /* it ends early */
	}
	(void)inflateEnd(&z);
	return rc == Z_STREAM_END && !out->failed;
}

bool gzip(struct slice plain, struct buf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)plain.ptr, .avail_in = (uInt)plain.len};
	char piece[16 * 1024];
	int rc = Z_OK;

	if (deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	while (rc == Z_OK && !out->failed) {
		z.next_out = (Bytef *)piece;
		z.avail_out = sizeof(piece);
		rc = deflate(&z, Z_FINISH);
		buf_add(out, slice_of(piece, sizeof(piece) - z.avail_out));
	}
	(void)deflateEnd(&z);
	return rc == Z_STREAM_END && !out->failed;
}

int scratch_end(struct scratch *s, uint64_t *size)
{
	struct stat st;

	if (s == NULL)
		return -1;
	if (s->gz != NULL && gzclose(TAKE(s->gz)) != Z_OK)
		s->failed = true;
	flush(s);
	int fd = s->fd;
	bool good = !s->failed && fd >= 0 && fstat(fd, &st) == 0;
	buf_done(&s->piece);
	free(s);
	if (good) {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

void scratch_free(struct scratch *s)
{
	uint64_t size;
	int fd = scratch_end(s, &size);

	if (fd >= 0)
		close(fd);
}
