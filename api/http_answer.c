/* Answers by libmicrohttpd: a text, a file, one text for many, and streams that go on piece by piece. An answer is given once, by whoever holds
 * the exchange; a connection that is suspended meanwhile is woken. */
#include <assert.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http_private.h"

#define STREAM_BLOCK 4096
#define STREAM_SOCKET (64 * 1024)
#define PIECE_US \
	(30 * US_PER_S) /* who takes longer for one piece of a stream is cut off, and may come again */

static void copy_text(char *out, size_t room, const char *text)
{
	size_t n = strnlen(text, room - 1);

	memcpy(out, text, n);
	out[n] = '\0';
}

void x_set_header(struct exchange *x, const char *name, const char *value)
{
	if (x->headers == MAX_HEADERS)
		return;
	copy_text(x->header[x->headers].name, sizeof(x->header[0].name), name);
	copy_text(x->header[x->headers].value, sizeof(x->header[0].value), value);
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

bool answer_refusal(struct exchange *x)
{
	if (x->bad != NULL)
		http_problem(x, 400, "Bad Request", "%s", x->bad);
	else if (x->refuse == 413)
		http_problem(x, 413, "Content Too Large", "the body may have at most %zu bytes",
			x->http->o.body_cap);
	else if (x->refuse == 503) {
		x_set_header(x, "Retry-After", "1");
		http_problem(x, 503, "Service Unavailable",
			"more than %zu bytes of bodies are being received at once",
			x->http->o.bodies_cap);
	} else
		return false;
	return true;
}

/* ---- an answer that goes on ---- */

/* The last piece is sent: whoever takes the exchange brings the next one. The connection is suspended before it is handed over, so that it can
 * be resumed at any moment after. */
static ssize_t hand_over(struct exchange *x)
{
	MHD_suspend_connection(x->conn);
	pthread_mutex_unlock(&x->lock);
	if (!x->http->o.idle(x->http->o.arg, x))
		http_break(x);
	return 0;
}

static ssize_t read_piece(void *arg, uint64_t pos, char *to, size_t room)
{
	struct exchange *x = arg;

	(void)pos;
	pthread_mutex_lock(&x->lock);
	bool slow = x->piece != NULL && clk_system.mono_us(&clk_system) - x->piece_us > PIECE_US;
	if (x->broken_off || slow) {
		pthread_mutex_unlock(&x->lock);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (x->piece == NULL)
		return hand_over(x);
	struct slice text = shared_text(x->piece);
	size_t n = text.len - x->piece_at < room ? text.len - x->piece_at : room;
	memcpy(to, text.ptr + x->piece_at, n);
	x->piece_at += n;
	if (x->piece_at == text.len)
		shared_free(TAKE(x->piece));
	pthread_mutex_unlock(&x->lock);
	return (ssize_t)n;
}

static void set_piece(struct exchange *x, struct shared *piece)
{
	x->piece = shared_keep(piece);
	x->piece_at = 0;
	x->piece_us = clk_system.mono_us(&clk_system);
}

bool x_streams(const struct exchange *x)
{
	return x->streams;
}

/* The kernel is not to hold megabytes for each of a thousand followers, nor to try for a quarter of an hour. */
void x_bound(struct exchange *x)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	unsigned patience_ms = (unsigned)x->http->o.idle_s * 1000;
	int room = STREAM_SOCKET;

	if (info == NULL)
		return;
	(void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	(void)setsockopt(
		info->connect_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
}

void http_answer_stream(struct exchange *x, const char *type, struct shared *first)
{
	x_bound(x);
	x->streams = true;
	set_piece(x, first);
	answer(x, 200, type,
		MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_piece, x, NULL));
}

void http_push(struct exchange *x, struct shared *piece)
{
	struct MHD_Connection *conn = x->conn;

	pthread_mutex_lock(&x->lock);
	assert(x->streams && x->piece == NULL);
	set_piece(x, piece);
	pthread_mutex_unlock(&x->lock);
	MHD_resume_connection(conn);
}

void http_break(struct exchange *x)
{
	struct MHD_Connection *conn = x->conn;

	pthread_mutex_lock(&x->lock);
	x->broken_off = true;
	pthread_mutex_unlock(&x->lock);
	MHD_resume_connection(conn);
}
