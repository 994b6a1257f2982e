/* The only place that knows libmicrohttpd: an epoll thread pool, bodies gathered up to a cap, connections suspended while somebody else makes the
 * answer. Leaves out routes and rights. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "api/http.h"

#define MAX_HEADERS 8
#define PER_CONNECTION_BYTES (16 * 1024)

enum stage { GATHERING, TOO_LARGE, WAITING, READY };

struct exchange {
	struct http *http;
	struct MHD_Connection *conn;
	const char *method;
	char *path;
	struct buf body;
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
};

struct http {
	struct http_options o;
	struct MHD_Daemon *daemon;
	int port;
};

struct slice x_method(const struct exchange *x)
{
	return slice_str(x->method);
}

struct slice x_path(const struct exchange *x)
{
	return slice_str(x->path);
}

struct slice x_query(const struct exchange *x, const char *name)
{
	return slice_str(MHD_lookup_connection_value(x->conn, MHD_GET_ARGUMENT_KIND, name));
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

bool x_loopback(const struct exchange *x)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (info == NULL || info->client_addr == NULL)
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
	MHD_add_response_header(r, "X-Request-Id", x->request_id);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	pthread_mutex_lock(&x->lock);
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
	answer(x, status, type, MHD_create_response_from_fd64(size, fd));
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

static struct exchange *exchange_new(
	struct http *h, struct MHD_Connection *conn, const char *url, const char *method)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->http = h;
	x->conn = conn;
	x->method = method;
	x->path = strdup(url);
	pthread_mutex_init(&x->lock, NULL);
	buf_init(&x->body, h->o.body_cap);
	set_request_id(x);
	if (x->path == NULL) {
		free(x);
		return NULL;
	}
	return x;
}

static enum MHD_Result send_response(struct exchange *x)
{
	enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)x->status, x->response);

	MHD_destroy_response(x->response);
	x->response = NULL;
	return ok;
}

static enum MHD_Result dispatch(struct exchange *x)
{
	x->inside_handler = true;
	if (x->stage == TOO_LARGE)
		http_problem(x, 413, "Content Too Large", "the body may have at most %zu bytes",
			x->http->o.body_cap);
	else {
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
		*state = exchange_new(arg, conn, url, method);
		return *state != NULL ? MHD_YES : MHD_NO;
	}
	if (*size > 0) {
		if (x->stage == GATHERING) {
			buf_add(&x->body, slice_of(data, *size));
			if (x->body.failed)
				x->stage = TOO_LARGE;
		}
		*size = 0;
		return MHD_YES;
	}
	if (x->stage == READY)
		return send_response(x);
	if (x->stage == WAITING)
		return MHD_YES;
	return dispatch(x);
}

static void on_end(
	void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode how)
{
	struct exchange *x = *state;

	(void)arg, (void)conn, (void)how;
	if (x == NULL)
		return;
	if (x->response != NULL)
		MHD_destroy_response(x->response);
	buf_done(&x->body);
	pthread_mutex_destroy(&x->lock);
	free(x->kept);
	free(x->path);
	free(x);
	*state = NULL;
}

static PRINTF(2, 0) void on_log(void *arg, const char *fmt, va_list ap)
{
	char line[512];

	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	log_debug("api", "http: %s", line);
}

static enum rc listen_address(
	const struct http_options *o, struct sockaddr_storage *out, struct err *e)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM},
			*found;
	char port[8];

	snprintf(port, sizeof(port), "%d", o->port);
	if (getaddrinfo(o->host, port, &hints, &found) != 0)
		return err_set(e, RC_INVALID, "api.listen: no such address: %s", o->host);
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return RC_OK;
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
		unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ERROR_LOG | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
		h->daemon = MHD_start_daemon(flags, (uint16_t)o->port, NULL, NULL, on_request, h,
			MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_SOCK_ADDR, &address,
			MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_THREAD_POOL_SIZE,
			(unsigned)o->threads, MHD_OPTION_CONNECTION_LIMIT,
			(unsigned)o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
			(unsigned)o->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
			(size_t)PER_CONNECTION_BYTES, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
			MHD_OPTION_END);
		if (h->daemon == NULL)
			rc = err_set(e, RC_FATAL, "cannot listen on %s:%d", o->host, o->port);
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

void http_stop(struct http *h)
{
	if (h == NULL)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}
