/* The whole list as a file of JSON lines, plain or gzipped. It is written to an unlinked file first, so that a failure in the middle is a
 * 503 and never a cut list that looks whole, and a slow reader holds no database connection. Everybody who asks for the same kind while one
 * is being made, or soon after, is sent the same file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "api/private.h"

#define KEEP_US (10 * US_PER_S)

struct form { /* of a service and a coding */
	bool making;
	struct exchange *waiting; /* for the one that is being made */
	int fd;                   /* of the last one; -1: none */
	uint64_t size;
	struct list_mark mark;
	int64_t made_us;
};

struct snapshots {
	pthread_mutex_t lock;
	struct form form[1 + SERVICES][2];
};

struct snapshots *snapshots_new(void)
{
	struct snapshots *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	for (int i = 0; i < 1 + SERVICES; i++)
		s->form[i][0].fd = s->form[i][1].fd = -1;
	return s;
}

void snapshots_free(struct snapshots *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < 1 + SERVICES; i++)
		for (int gzip = 0; gzip < 2; gzip++)
			if (s->form[i][gzip].fd >= 0)
				close(s->form[i][gzip].fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- writing ---- */

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
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static enum rc write_all(struct pg *pg, int service, int64_t now_s, bool gzip, struct sink *s,
	struct list_mark *mark, struct err *e)
{
	s->fd = scratch_file();
	if (s->fd < 0)
		return err_set(e, RC_RETRY, "no room for a snapshot file");
	if (gzip) {
		int copy = dup(s->fd);
		s->gz = copy >= 0 ? gzdopen(copy, "wb1") : NULL;
		if (s->gz == NULL) {
			if (copy >= 0)
				close(copy);
			return err_set(e, RC_RETRY, "out of memory");
		}
	}
	enum rc rc = feed_snapshot(pg, service, now_s, sink_put, s, mark, e);
	if (s->gz != NULL && gzclose(TAKE(s->gz)) != Z_OK)
		s->failed = true;
	sink_flush(s);
	if (rc == RC_NONE || (rc == RC_OK && (s->failed || s->piece.failed)))
		return err_set(e, RC_RETRY, "the snapshot file could not be written");
	return rc;
}

/* On RC_OK out->fd is the caller's. */
static enum rc make(
	struct api *a, struct pg *pg, int service, bool gzip, struct form *out, struct err *e)
{
	struct sink s = {.fd = -1};
	struct stat st;

	buf_init(&s.piece, 4u << 20);
	enum rc rc = write_all(
		pg, service, a->s.clk->now_us(a->s.clk) / US_PER_S, gzip, &s, &out->mark, e);
	buf_done(&s.piece);
	if (rc == RC_OK && fstat(s.fd, &st) != 0)
		rc = err_set(e, RC_RETRY, "the snapshot file cannot be read");
	if (rc != RC_OK) {
		if (s.fd >= 0)
			close(s.fd);
		return rc;
	}
	out->fd = s.fd;
	out->size = (uint64_t)st.st_size;
	out->made_us = api_mono(a);
	return RC_OK;
}

/* ---- answering ---- */

/* Weak: the head tells when the list was read, and either coding has the same entries. */
static void etag_of(const struct list_mark *m, int service, char out[80])
{
	snprintf(out, 80, "W/\"%.36s-%lld-%s\"", m->list, (long long)m->release,
		service < 0 ? "all" : service_name((enum service)service));
}

static bool etag_listed(const struct exchange *x, const char *etag)
{
	struct slice list = x_header(x, "If-None-Match");

	for (struct slice one; slice_cut(&list, ',', &one);) {
		one = slice_trim(one);
		if (slice_eq(one, SLICE("*")) || slice_eq(one, slice_str(etag)) ||
			slice_eq(one, slice_str(etag + 2)))
			return true;
	}
	return false;
}

static bool wants_gzip(const struct exchange *x)
{
	struct slice accept = x_header(x, "Accept-Encoding");

	for (struct slice one; slice_cut(&accept, ',', &one);) {
		struct slice name = {0}, weight = one;
		if (!slice_cut(&weight, ';', &name))
			continue;
		weight = slice_trim(weight);
		if (slice_eq_nocase(slice_trim(name), SLICE("gzip")))
			return !slice_eq(weight, SLICE("q=0")) &&
				!slice_starts(weight, SLICE("q=0.0"));
	}
	return false;
}

static void set_headers(struct exchange *x, const struct list_mark *mark, int service)
{
	char etag[80];

	etag_of(mark, service, etag);
	x_set_header(x, "ETag", etag);
	x_set_header(x, "Vary", "Accept-Encoding");
	x_set_header(x, "Cache-Control", "private, no-cache");
}

static bool not_modified(struct exchange *x, const struct list_mark *mark, int service)
{
	char etag[80];

	etag_of(mark, service, etag);
	if (!etag_listed(x, etag))
		return false;
	set_headers(x, mark, service);
	http_answer(x, 304, NULL, SLICE(""));
	return true;
}

/* Sends a copy of the descriptor; the original stays whose it was. */
static void send(struct exchange *x, const struct form *k, int service, bool gzip)
{
	struct err e = {0};
	int fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {
		answer_failure(x, err_set(&e, RC_RETRY, "no more files can be opened"), &e);
		return;
	}
	if (not_modified(x, &k->mark, service)) {
		close(fd);
		return;
	}
	set_headers(x, &k->mark, service);
	if (gzip)
		x_set_header(x, "Content-Encoding", "gzip");
	http_answer_file(x, 200, "application/x-ndjson", fd, k->size);
}

/* True: it was sent, or waits for the one who makes it. False: the caller makes it. */
static bool sent_or_waits(struct api *a, struct exchange *x, struct form *k, int service, bool gzip,
	const struct list_mark *now)
{
	struct form copy = {.fd = -1};
	bool waits;

	pthread_mutex_lock(&a->snapshots->lock);
	bool good = k->fd >= 0 && now != NULL && strcmp(now->list, k->mark.list) == 0 &&
		now->release == k->mark.release && api_mono(a) - k->made_us < KEEP_US;
	if (good) {
		copy = *k;
		copy.fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
	}
	waits = !good && k->making;
	if (waits) {
		*x_next(x) = k->waiting;
		k->waiting = x;
	} else if (!good) {
		k->making = true;
	}
	pthread_mutex_unlock(&a->snapshots->lock);
	if (good) {
		send(x, &copy, service, gzip);
		if (copy.fd >= 0)
			close(copy.fd);
	}
	return good || waits;
}

void handle_snapshot(struct api *a, struct pg *pg, struct exchange *x)
{
	struct list_mark mark = {0};
	struct form fresh = {.fd = -1};
	struct err e = {0};
	int service;

	if (!arg_service(x, &service))
		return;
	bool gzip = wants_gzip(x), current = mirror_fresh(a, &mark);
	struct form *k = &a->snapshots->form[1 + service][gzip];
	if ((current && not_modified(x, &mark, service)) ||
		sent_or_waits(a, x, k, service, gzip, current ? &mark : NULL))
		return;
	enum rc rc = make(a, pg, service, gzip, &fresh, &e);
	pthread_mutex_lock(&a->snapshots->lock);
	struct exchange *others = k->waiting;
	int old = k->fd;
	*k = (struct form){.fd = -1};
	if (rc == RC_OK) {
		*k = fresh;
		k->fd = fcntl(fresh.fd, F_DUPFD_CLOEXEC, 0);
	}
	pthread_mutex_unlock(&a->snapshots->lock);
	if (old >= 0)
		close(old);
	*x_next(x) = others;
	for (struct exchange *next; x != NULL; x = next) {
		next = *x_next(x);
		if (rc == RC_OK)
			send(x, &fresh, service, gzip);
		else
			answer_failure(x, rc, &e);
	}
	if (fresh.fd >= 0)
		close(fresh.fd);
}
