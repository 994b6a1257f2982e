/* The list for machines: whole as a snapshot, or what changed since a release. A snapshot is written to an unlinked file first, so that a failure in the
 * middle is a 503 and never a cut list that looks whole. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "api/private.h"

struct sink {
	int fd;
	gzFile gz; /* NULL: plain */
	struct buf piece;
	bool failed;
};

static void sink_flush(struct sink *s)
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

static bool sink_put(void *arg, struct slice piece)
{
	struct sink *s = arg;

	if (s->gz != NULL) {
		if (piece.len > 0 &&
			gzwrite(s->gz, piece.ptr, (unsigned)piece.len) != (int)piece.len)
			s->failed = true;
		return !s->failed;
	}
	buf_add(&s->piece, piece);
	if (s->piece.len >= 256 * 1024)
		sink_flush(s);
	return !s->failed && !s->piece.failed;
}

/* An unlinked temporary file, or -1. */
static int scratch_file(void)
{
	const char *dir = getenv("TMPDIR");
	char path[256];

	snprintf(path, sizeof(path), "%s/khien-snapshot-XXXXXX",
		dir != NULL && *dir != '\0' ? dir : "/tmp");
	int fd = mkstemp(path);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static bool wants_gzip(const struct exchange *x)
{
	struct slice accept = x_header(x, "Accept-Encoding");

	for (struct slice one; slice_cut(&accept, ',', &one);)
		if (slice_eq_nocase(slice_trim(one), SLICE("gzip")))
			return true;
	return false;
}

static void etag_of(const struct list_mark *m, int service, bool gzip, char out[96])
{
	snprintf(out, 96, "\"%.36s-%lld-%d%s\"", m->list, (long long)m->release, service,
		gzip ? "-gz" : "");
}

static enum rc write_snapshot(struct pg *pg, int service, int64_t now_s, bool gzip, struct sink *s,
	struct list_mark *mark, struct err *e)
{
	s->fd = scratch_file();
	if (s->fd < 0)
		return err_set(e, RC_RETRY, "no room for a snapshot file");
	if (gzip) {
		int copy = dup(s->fd);
		s->gz = copy >= 0 ? gzdopen(copy, "wb1") : NULL;
		if (s->gz == NULL)
			return err_set(e, RC_RETRY, "out of memory");
	}
	enum rc rc = feed_snapshot(pg, service, now_s, sink_put, s, mark, e);
	if (s->gz != NULL && gzclose(TAKE(s->gz)) != Z_OK)
		s->failed = true;
	if (rc == RC_OK && s->piece.len > 0)
		sink_flush(s);
	if (rc == RC_OK && (s->failed || s->piece.failed))
		rc = err_set(e, RC_RETRY, "the snapshot file could not be written");
	return rc;
}

void handle_snapshot(struct api *a, struct pg *pg, struct exchange *x)
{
	struct list_mark mark = {0};
	struct sink s = {.fd = -1};
	struct err e = {0};
	bool gzip = wants_gzip(x);
	struct stat st;
	char etag[96];
	int64_t synced;
	int service;

	if (!arg_service(x, &service))
		return;
	if (mirror_mark(a->mirror, &mark, &synced)) {
		etag_of(&mark, service, gzip, etag);
		if (slice_eq(x_header(x, "If-None-Match"), slice_str(etag))) {
			x_set_header(x, "ETag", etag);
			http_answer(x, 304, NULL, SLICE(""));
			return;
		}
	}
	buf_init(&s.piece, 4u << 20);
	enum rc rc = write_snapshot(
		pg, service, a->s.clk->now_us(a->s.clk) / US_PER_S, gzip, &s, &mark, &e);
	buf_done(&s.piece);
	if (rc == RC_OK && fstat(s.fd, &st) != 0)
		rc = err_set(&e, RC_RETRY, "the snapshot file cannot be read");
	if (rc != RC_OK) {
		if (s.gz != NULL)
			gzclose(s.gz);
		if (s.fd >= 0)
			close(s.fd);
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
		return;
	}
	etag_of(&mark, service, gzip, etag);
	x_set_header(x, "ETag", etag);
	if (gzip)
		x_set_header(x, "Content-Encoding", "gzip");
	x_set_header(x, "Vary", "Accept-Encoding");
	http_answer_file(x, 200, "application/x-ndjson", s.fd, (uint64_t)st.st_size);
}

void handle_changes(struct api *a, struct pg *pg, struct exchange *x)
{
	struct slice list = x_query(x, "list");
	int64_t after, wait_s, synced;
	struct list_mark mark = {0};
	struct err e = {0};
	char name[64];
	int service;

	if (!arg_service(x, &service) || !arg_int(x, "after", 0, INT64_MAX, 0, &after) ||
		!arg_int(x, "wait", 0, 60, 0, &wait_s))
		return;
	if (list.ptr == NULL || list.len == 0 || list.len >= sizeof(name)) {
		http_problem(x, 400, "Bad Request",
			"list: the uuid of the list that you follow is needed; take it from "
			"/v1/feed/snapshot");
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)list.len, list.ptr);
	if (wait_s > 0 && !request_of(x)->waited && !a->stopping &&
		mirror_mark(a->mirror, &mark, &synced) && strcmp(mark.list, name) == 0 &&
		mark.release == after) {
		api_wait_for_release(a, x, after, wait_s * 1000);
		return;
	}
	BUF_OWN struct buf b;
	buf_init(&b, 64u << 20);
	enum rc rc = feed_changes(pg, name, after, service, &b, &mark, &e);
	if (rc == RC_CONFLICT) {
		BUF_OWN struct buf gone;
		buf_init(&gone, 4096);
		buf_fmt(&gone,
			"{\"type\":\"about:blank\",\"title\":\"Gone\",\"status\":410,\"detail\":"
			"\"release %lld of this list cannot be followed "
			"from; start with a "
			"snapshot\",\"start\":\"/v1/feed/"
			"snapshot\",\"list\":\"%s\",\"release\":%lld}\n",
			(long long)after, mark.list, (long long)mark.release);
		http_answer(x, 410, "application/problem+json", buf_slice(&gone));
	} else if (rc != RC_OK) {
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
	} else {
		http_answer(x, 200, "application/json", buf_slice(&b));
	}
}

void handle_exempt(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	(void)a;
	buf_init(&b, 1u << 20);
	enum rc rc = feed_exempt(pg, &b, &e);
	if (rc != RC_OK)
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}
