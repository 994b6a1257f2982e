/* The whole list as a file of JSON lines, plain or gzipped, out of the list in memory. Everybody who asks for the same kind while one is
 * being made, or soon after, is sent the same file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* ---- making ---- */

/* On RC_OK out->fd is the caller's. */
static enum rc make(struct api *a, int service, bool gzip, struct form *out, struct err *e)
{
	OWN(mirror_unpin) const struct table *t = list_pinned(a, NULL);
	OWN(scratch_free) struct scratch *s = scratch_new(gzip);
	int64_t now_s = a->s.clk->now_us(a->s.clk) / US_PER_S;

	if (t == NULL)
		return err_set(e, RC_RETRY, "the list in memory is unknown or stale");
	if (s == NULL || !feed_snapshot(t, service, now_s, scratch_put, s))
		return err_set(e, RC_RETRY, "the snapshot file could not be written");
	out->fd = scratch_end(TAKE(s), &out->size);
	if (out->fd < 0)
		return err_set(e, RC_RETRY, "the snapshot file could not be written");
	table_mark(t, -1, &out->mark);
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
	snprintf(request_of(x)->list, sizeof(request_of(x)->list), "%s", k->mark.list);
	request_of(x)->given = is_head(x) ? 0 : k->mark.release;
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

	(void)pg;
	if (!arg_service(x, &service) || !arg_consumer(x, request_of(x)->consumer))
		return;
	bool gzip = wants_gzip(x), current = mirror_fresh(a, &mark);
	struct form *k = &a->snapshots->form[1 + service][gzip];
	if ((current && not_modified(x, &mark, service)) ||
		sent_or_waits(a, x, k, service, gzip, current ? &mark : NULL))
		return;
	enum rc rc = make(a, service, gzip, &fresh, &e);
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

bool mirror_fresh(const struct api *a, struct list_mark *mark)
{
	int64_t synced;

	return mirror_mark(a->mirror, mark, &synced) && api_mono(a) - synced < US_PER_S;
}
