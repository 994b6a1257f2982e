/* What a request's head says, read from libmicrohttpd: path, query, headers, the peer; and what of it is refused because two readers could
 * read it differently. Leaves out the body and the answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "api/http_private.h"

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

/* The peer's address as text; behind a proxy it is the proxy's. */
void x_address(const struct exchange *x, char out[64])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info != NULL ? info->client_addr : NULL;

	snprintf(out, 64, "?");
	if (a != NULL && a->sa_family == AF_INET)
		(void)inet_ntop(
			AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, out, 64);
	else if (a != NULL && a->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6,
			&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, out, 64);
}

/* Scattered, so that two processes hardly ever give the same; splitmix64, D. Lea, G. L. Steele, S. Vigna. */
static uint64_t next_id(_Atomic uint64_t *ids)
{
	uint64_t z = atomic_fetch_add(ids, UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static void hex_id(uint64_t id, char *out)
{
	for (int i = 0; i < 16; i++)
		out[i] = "0123456789abcdef"[id >> (60 - 4 * i) & 15];
	out[16] = '\0';
}

/* A caller's id is kept when it is short and harmless, else we make one. */
void request_id_set(struct exchange *x)
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
		hex_id(next_id(&x->http->ids), x->request_id);
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
	if (i < x->queries) {
		x->query[i].times++;
		return MHD_YES;
	}
	x->query[i].times = 1;
	x->query[i].name = name;
	x->query[i].value = slice_of(value != NULL ? value : "", value != NULL ? value_len : 0);
	x->queries++;
	return MHD_YES;
}

/* Names are compared as sent. */
void request_decode_query(struct exchange *x)
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

bool request_body_follows(struct exchange *x)
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
