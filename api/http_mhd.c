/* The only place that knows libmicrohttpd: an epoll thread pool, bodies gathered up to a cap, connections suspended while somebody else makes the
 * answer. What is ambiguous about a request's length is refused, because a proxy in front may read it otherwise. Leaves out routes and rights.
 *
 * While a connection is suspended the library neither touches nor ends it, so an exchange that is LATER stays valid until it is answered. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http.h"

#define MAX_HEADERS 8
#define MAX_QUERY 16
#define PER_CONNECTION_BYTES (16 * 1024)
#define SPARE_FILES 256 /* for everything that is not a client */

enum stage { GATHERING, REFUSING, WAITING, READY };

struct exchange {
	struct http *http;
	struct MHD_Connection *conn;
	const char *method;
	char *path;
	struct buf body;
	size_t discarded;
	char request_id[64];
	void *kept;
	struct exchange *next;
	_Atomic enum stage stage;
	bool inside_handler; /* answered before the dispatcher returned: no resume needed */
	pthread_mutex_t lock;
	struct MHD_Response *response;
	int status;
	struct {
		char name[32], value[200];
	} header[MAX_HEADERS];
	size_t headers;
	struct {
		const char *name;
		struct slice value;
		int times;
	} query[MAX_QUERY];
	size_t queries;
	char *query_text; /* the decoded values */
	const char *bad;  /* why the request is refused with 400 */
	int refuse;       /* 413 or 503 */
};

struct http {
	struct http_options o;
	struct MHD_Daemon *daemon;
	int port;
	_Atomic bool quiet;
	_Atomic int in_flight;
	_Atomic size_t gathered;
};

struct slice x_method(const struct exchange *x)
{
	return slice_str(x->method);
}

struct slice x_path(const struct exchange *x)
{
	return slice_str(x->path);
}

int x_query(const struct exchange *x, const char *name, struct slice *out)
{
	for (size_t i = 0; i < x->queries; i++)
		if (strcmp(x->query[i].name, name) == 0) {
			*out = x->query[i].value;
			return x->query[i].times;
		}
	return 0;
}

struct slice x_header(const struct exchange *x, const char *name)
{
	return slice_str(MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, name));
}

struct slice x_body(const struct exchange *x)
{
	return buf_slice(&x->body);
}

const char *x_request_id(const struct exchange *x)
{
	return x->request_id;
}

void x_keep(struct exchange *x, void *state)
{
	free(x->kept);
	x->kept = state;
}

void *x_kept(const struct exchange *x)
{
	return x->kept;
}

struct exchange **x_next(struct exchange *x)
{
	return &x->next;
}

/* Behind a proxy on this machine everybody would look local. */
bool x_loopback(const struct exchange *x)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (info == NULL || info->client_addr == NULL || x_header(x, "Forwarded").ptr != NULL ||
		x_header(x, "X-Forwarded-For").ptr != NULL)
		return false;
	if (info->client_addr->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)info->client_addr;
		return (ntohl(a->sin_addr.s_addr) >> 24) == 127;
	}
	if (info->client_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const void *)info->client_addr;
		return IN6_IS_ADDR_LOOPBACK(&a->sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&a->sin6_addr) && a->sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

bool x_gone(const struct exchange *x)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	char c;

	if (info == NULL)
		return true;
	ssize_t n = recv(info->connect_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void x_set_header(struct exchange *x, const char *name, const char *value)
{
	if (x->headers == MAX_HEADERS)
		return;
	snprintf(x->header[x->headers].name, sizeof(x->header[0].name), "%s", name);
	snprintf(x->header[x->headers].value, sizeof(x->header[0].value), "%s", value);
	x->headers++;
}

/* Takes the response; wakes the connection when the handler has already returned. */
static void answer(struct exchange *x, int status, const char *type, struct MHD_Response *r)
{
	if (r == NULL) { /* out of memory: an empty body is still an answer */
		r = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
		status = 500;
	}
	if (type != NULL)
		MHD_add_response_header(r, "Content-Type", type);
	for (size_t i = 0; i < x->headers; i++)
		MHD_add_response_header(r, x->header[i].name, x->header[i].value);
	bool cached = false;
	for (size_t i = 0; i < x->headers; i++)
		cached = cached || strcmp(x->header[i].name, "Cache-Control") == 0;
	if (!cached) /* answers name people's numbers */
		MHD_add_response_header(r, "Cache-Control", "no-store");
	if (x->http->quiet)
		MHD_add_response_header(r, "Connection", "close");
	MHD_add_response_header(r, "X-Request-Id", x->request_id);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	pthread_mutex_lock(&x->lock);
	assert(x->response == NULL && x->stage != READY);
	x->response = r;
	x->status = status;
	x->stage = READY;
	bool resume = !x->inside_handler;
	struct MHD_Connection *conn = x->conn;
	pthread_mutex_unlock(&x->lock);
	if (resume)
		MHD_resume_connection(conn);
}

void http_answer(struct exchange *x, int status, const char *type, struct slice body)
{
	answer(x, status, type,
		MHD_create_response_from_buffer(
			body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY));
}

void http_answer_file(struct exchange *x, int status, const char *type, int fd, uint64_t size)
{
	struct MHD_Response *r = MHD_create_response_from_fd64(size, fd);

	if (r == NULL)
		close(fd);
	answer(x, status, type, r);
}

static void release_shared(void *s)
{
	shared_free(s);
}

void http_answer_shared(struct exchange *x, int status, const char *type, struct shared *body)
{
	struct slice text = shared_text(body);
	struct shared *kept = shared_keep(body);
	struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback_cls(
		text.len, (void *)(uintptr_t)text.ptr, release_shared, kept);

	if (r == NULL)
		shared_free(kept);
	answer(x, status, type, r);
}

void http_problem(struct exchange *x, int status, const char *title, const char *fmt, ...)
{
	BUF_OWN struct buf b;
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	buf_init(&b, 4096);
	buf_fmt(&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", title,
		status);
	buf_json(&b, slice_str(detail));
	buf_add(&b, SLICE(",\"request_id\":"));
	buf_json(&b, slice_str(x->request_id));
	buf_add(&b, SLICE("}\n"));
	http_answer(x, status, "application/problem+json", buf_slice(&b));
}

/* A caller's id is kept when it is short and harmless, else we make one. */
static void set_request_id(struct exchange *x)
{
	struct slice given = x_header(x, "X-Request-Id");
	bool fine = given.len > 0 && given.len < sizeof(x->request_id);

	for (size_t i = 0; fine && i < given.len; i++)
		fine = (given.ptr[i] >= '0' && given.ptr[i] <= '9') ||
			(given.ptr[i] >= 'a' && given.ptr[i] <= 'z') ||
			(given.ptr[i] >= 'A' && given.ptr[i] <= 'Z') || given.ptr[i] == '-' ||
			given.ptr[i] == '_';
	if (fine)
		snprintf(x->request_id, sizeof(x->request_id), "%.*s", (int)given.len, given.ptr);
	else
		snprintf(x->request_id, sizeof(x->request_id), "%016llx",
			(unsigned long long)random_u64());
}

/* ---- what a request must not be ---- */

static enum MHD_Result take_query(void *arg, enum MHD_ValueKind kind, const char *name,
	size_t name_len, const char *value, size_t value_len)
{
	struct exchange *x = arg;
	size_t i = 0;

	(void)kind, (void)name_len;
	while (i < x->queries && strcmp(x->query[i].name, name) != 0)
		i++;
	if (i == MAX_QUERY) {
		x->bad = "the query has too many parameters";
		return MHD_NO;
	}
	x->query[i].times++;
	if (i < x->queries)
		return MHD_YES;
	x->query[i].name = name;
	x->query[i].value = slice_of(value != NULL ? value : "", value != NULL ? value_len : 0);
	x->queries++;
	return MHD_YES;
}

/* Values are decoded here, strictly: the library would cut them at an encoded NUL. Names are compared as sent. */
static void decode_query(struct exchange *x)
{
	size_t room = 0;

	MHD_get_connection_values_n(x->conn, MHD_GET_ARGUMENT_KIND, take_query, x);
	for (size_t i = 0; i < x->queries; i++)
		room += x->query[i].value.len + 1;
	x->query_text = malloc(room + 1);
	if (x->query_text == NULL) {
		x->bad = "out of memory";
		return;
	}
	char *at = x->query_text;
	for (size_t i = 0; i < x->queries && x->bad == NULL; i++) {
		struct slice *v = &x->query[i].value;
		const char *why;
		if (!http_decode(*v, at, v->len + 1, &why)) {
			x->bad = why;
			x->queries = 0; /* what was not decoded is not to be seen */
			return;
		}
		*v = slice_str(at);
		at += v->len + 1;
	}
}

struct lengths {
	int content_length, transfer_encoding;
	const char *coding;
};

static enum MHD_Result count_lengths(void *arg, enum MHD_ValueKind kind, const char *name,
	size_t name_len, const char *value, size_t value_len)
{
	struct lengths *n = arg;
	struct slice key = slice_of(name, name_len);

	(void)kind, (void)value_len;
	if (slice_eq_nocase(key, SLICE("Content-Length")))
		n->content_length++;
	else if (slice_eq_nocase(key, SLICE("Transfer-Encoding"))) {
		n->transfer_encoding++;
		n->coding = value;
	}
	return MHD_YES;
}

/* True: a body follows. Sets x->bad or x->refuse when it must not be read. */
static bool body_follows(struct exchange *x)
{
	struct slice length = x_header(x, "Content-Length");
	struct lengths n = {0};
	uint64_t bytes = 0;

	MHD_get_connection_values_n(x->conn, MHD_HEADER_KIND, count_lengths, &n);
	if (n.content_length + n.transfer_encoding > 1)
		x->bad = "the length of the body is told more than once";
	else if (n.transfer_encoding == 1 &&
		!slice_eq_nocase(slice_str(n.coding), SLICE("chunked")))
		x->bad = "the only Transfer-Encoding is chunked";
	else if (n.content_length == 1 && slice_u64(length, &bytes) != RC_OK)
		x->bad = "Content-Length is a whole number";
	else if (bytes > x->http->o.body_cap)
		x->refuse = 413;
	return n.transfer_encoding > 0 || bytes > 0;
}

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
	free(x->kept);
	free(x->query_text);
	free(x->path);
	atomic_fetch_sub(&x->http->in_flight, 1);
	free(x);
}

static struct exchange *exchange_new(
	struct http *h, struct MHD_Connection *conn, const char *url, const char *method)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	atomic_fetch_add(&h->in_flight, 1);
	x->http = h;
	x->conn = conn;
	x->method = method;
	x->path = strdup(url);
	pthread_mutex_init(&x->lock, NULL);
	buf_init(&x->body, h->o.body_cap);
	set_request_id(x);
	if (x->path == NULL) {
		exchange_free(x);
		return NULL;
	}
	return x;
}

static enum MHD_Result send_response(struct exchange *x)
{
	x->http->o.done(x->http->o.arg, x, x->status);
	enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)x->status, x->response);

	MHD_destroy_response(x->response);
	x->response = NULL;
	return ok;
}

/* True: answered, without a look at what is asked. */
static bool refused(struct exchange *x)
{
	if (x->bad != NULL)
		http_problem(x, 400, "Bad Request", "%s", x->bad);
	else if (x->refuse == 413)
		http_problem(x, 413, "Content Too Large", "the body may have at most %zu bytes",
			x->http->o.body_cap);
	else if (x->refuse == 503) {
		x_set_header(x, "Retry-After", "1");
		http_problem(x, 503, "Service Unavailable",
			"too many bodies are being received at once");
	} else
		return false;
	return true;
}

/* The head is here. What can be refused by it is refused before a byte of the body is read; the library then closes the connection. */
static enum MHD_Result on_head(struct exchange *x)
{
	x->inside_handler = true;
	decode_query(x);
	bool body = body_follows(x);
	bool answered = refused(x) || (body && !x->http->o.admit(x->http->o.arg, x));
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
	if (!refused(x)) {
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
	(void)arg, (void)conn, (void)how;
	exchange_free(*state);
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
