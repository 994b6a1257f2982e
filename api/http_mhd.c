/* The server behind libmicrohttpd: an epoll thread pool, bodies gathered up to a cap, connections suspended while somebody else makes the
 * answer; start and stop. What a head says is http_request.c's, how it is answered http_answer.c's. Leaves out routes and rights.
 *
 * While a connection is suspended the library neither touches nor ends it, so an exchange that is LATER stays valid until it is answered. */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http_private.h"

#define SPARE_FILES 256 /* for everything that is not a client */

/* ---- a request's way ---- */

/* What answer() wrote in another thread is seen here. The library's own locks see to that already; this one says so to whoever reads
 * or checks. */
static void after_answer(struct exchange *x)
{
	pthread_mutex_lock(&x->lock);
	pthread_mutex_unlock(&x->lock);
}

static void exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	after_answer(x);
	if (x->response != NULL)
		MHD_destroy_response(x->response);
	atomic_fetch_sub(&x->http->gathered, x->body.len);
	buf_done(&x->body);
	pthread_mutex_destroy(&x->lock);
	shared_free(x->piece);
	free(x->kept);
	free(x->query_text);
	free(x->path);
	atomic_fetch_sub(&x->http->in_flight, 1);
	free(x);
}

static struct exchange *exchange_new(
	struct http *h, struct MHD_Connection *conn, const char *url, const char *method)
{
	struct exchange *x = malloc(sizeof(*x));

	if (x == NULL)
		return NULL;
	memset(x, 0, offsetof(struct exchange, header));
	atomic_fetch_add(&h->in_flight, 1);
	x->http = h;
	x->conn = conn;
	x->method = method;
	x->path = strdup(url);
	pthread_mutex_init(&x->lock, NULL);
	buf_init(&x->body, h->o.body_cap);
	request_id_set(x);
	if (x->path == NULL) {
		exchange_free(x);
		return NULL;
	}
	return x;
}

static enum MHD_Result send_response(struct exchange *x)
{
	x->http->o.done(x->http->o.arg, x, x->status);
	enum MHD_Result ok = refusal_queue(x) ? MHD_YES : MHD_NO;

	MHD_destroy_response(x->response);
	x->response = NULL;
	return ok;
}

/* The head is here. What can be refused by it is refused before a byte of the body is read; the library then closes the connection. */
static enum MHD_Result on_head(struct exchange *x)
{
	x->inside_handler = true;
	request_decode_query(x);
	bool body = request_body_follows(x);
	bool answered = answer_refusal(x) || (body && !x->http->o.admit(x->http->o.arg, x));
	x->inside_handler = false;
	return answered ? send_response(x) : MHD_YES;
}

static enum MHD_Result on_body(struct exchange *x, struct slice piece)
{
	struct http *h = x->http;

	if (x->stage == GATHERING) {
		size_t all = atomic_fetch_add(&h->gathered, piece.len) + piece.len;
		buf_add(&x->body, piece);
		if (!x->body.failed && all <= h->o.bodies_cap)
			return MHD_YES;
		x->refuse = x->body.failed ? 413 : 503;
		x->stage = REFUSING;
		atomic_fetch_sub(&h->gathered, x->body.len + (x->body.failed ? piece.len : 0));
		buf_done(&x->body);
	}
	/* An answer must wait for the end of the body, so the end must come. */
	x->discarded += piece.len;
	return x->discarded <= h->o.body_cap ? MHD_YES : MHD_NO;
}

static enum MHD_Result dispatch(struct exchange *x)
{
	x->inside_handler = true;
	if (!answer_refusal(x)) {
		x->stage = WAITING;
		x->http->o.dispatch(x->http->o.arg, x);
	}
	pthread_mutex_lock(&x->lock);
	x->inside_handler = false;
	bool ready = x->stage == READY;
	if (!ready)
		MHD_suspend_connection(x->conn);
	pthread_mutex_unlock(&x->lock);
	return ready ? send_response(x) : MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct exchange *x = *state;

	(void)version;
	if (x == NULL) {
		*state = x = exchange_new(arg, conn, url, method);
		return x != NULL ? on_head(x) : MHD_NO;
	}
	if (*size > 0) {
		struct slice piece = slice_of(data, *size);
		*size = 0;
		return on_body(x, piece);
	}
	if (x->stage == READY) {
		after_answer(x);
		return send_response(x);
	}
	if (x->stage == WAITING)
		return MHD_YES;
	return dispatch(x);
}

static void on_end(
	void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode how)
{
	struct exchange *x = *state;

	(void)arg, (void)conn;
	if (x != NULL)
		x->http->o.ended(x->http->o.arg, x, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	exchange_free(x);
	*state = NULL;
}

/* Nothing is decoded behind our back: http_decode does it, and refuses. */
static size_t leave_encoded(void *arg, struct MHD_Connection *conn, char *s)
{
	(void)arg, (void)conn;
	return strlen(s);
}

static PRINTF(2, 0) void on_log(void *arg, const char *fmt, va_list ap)
{
	char line[512];

	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	log_debug("api", "http: %s", line);
}

/* ---- start and stop ---- */

static enum rc listen_address(
	const struct http_options *o, struct sockaddr_storage *out, struct err *e)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM},
			*found;
	size_t len = strlen(o->host);
	char port[8], host[128];

	snprintf(port, sizeof(port), "%d", o->port);
	bool bracketed = len > 2 && o->host[0] == '[' && o->host[len - 1] == ']';
	snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? len - 2 : len),
		o->host + (bracketed ? 1 : 0));
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return err_set(e, RC_INVALID, "api.listen: no such address: %s", o->host);
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return RC_OK;
}

/* Every connection is a file. The library, once out of files, lowers its limit for good: it must not come to that. */
static int connections_allowed(int wanted)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return wanted;
	rlim_t need = (rlim_t)wanted + SPARE_FILES;
	if (l.rlim_cur < need) {
		l.rlim_cur = l.rlim_max < need ? l.rlim_max : need;
		(void)setrlimit(RLIMIT_NOFILE, &l);
		(void)getrlimit(RLIMIT_NOFILE, &l);
	}
	if (l.rlim_cur >= need)
		return wanted;
	int allowed = l.rlim_cur > 2 * SPARE_FILES ? (int)(l.rlim_cur - SPARE_FILES)
						   : (int)(l.rlim_cur / 2);
	log_warn("api", "api.max_connections is %d, but the limit of open files allows only %d",
		wanted, allowed);
	return allowed;
}

static struct MHD_Daemon *start_daemon(struct http *h, const struct sockaddr_storage *address)
{
	const struct http_options *o = &h->o;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
		MHD_USE_ERROR_LOG | (address->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0u);

	return MHD_start_daemon(flags, (uint16_t)o->port, NULL, NULL, on_request, h,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_SOCK_ADDR, address,
		MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_UNESCAPE_CALLBACK,
		leave_encoded, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_THREAD_POOL_SIZE,
		(unsigned)o->threads, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)connections_allowed(o->max_connections), MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)o->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)PER_CONNECTION_BYTES, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u,
		MHD_OPTION_END);
}

enum rc http_start(const struct http_options *o, struct http **out, struct err *e)
{
	struct sockaddr_storage address = {0};
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	h->o = *o;
	atomic_init(&h->ids, random_u64());
	enum rc rc = listen_address(o, &address, e);
	if (rc == RC_OK) {
		errno = 0;
		h->daemon = start_daemon(h, &address);
		if (h->daemon == NULL)
			rc = err_set(e, RC_FATAL, "cannot listen on %s:%d: %s", o->host, o->port,
				errno != 0 ? strerror(errno) : "not possible");
	}
	if (rc != RC_OK) {
		free(h);
		return rc;
	}
	h->port = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	*out = h;
	return RC_OK;
}

int http_port(const struct http *h)
{
	return h->port;
}

void http_quiesce(struct http *h)
{
	if (h == NULL)
		return;
	h->quiet = true;
	int listening = MHD_quiesce_daemon(h->daemon);
	if (listening >= 0)
		close(listening);
}

void http_stop(struct http *h, int wait_for_ms)
{
	if (h == NULL)
		return;
	for (int waited = 0; waited < wait_for_ms && atomic_load(&h->in_flight) > 0; waited += 5)
		wait_ms(5, NULL);
	MHD_stop_daemon(h->daemon);
	free(h);
}
