/* Redis over hiredis (0.14 and 1.x): one blocking connection with a time-out for each answer. The server
 * is a cache and not trusted: what it may answer is bounded in elements, bytes and time, and after any
 * failure the connection is dead, because a late reply would answer the next command. No TLS in 0.14: a
 * local tunnel serves for it. */
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "wire/redis.h"

#define REPLY_ELEMENTS 1048576
#define REPLY_BYTES (64UL * 1024 * 1024)
#define SEND_AT_BYTES (64 * 1024)
#define DEFAULT_PORT 6379
#define DEFAULT_TIMEOUT_MS 2000

#if HIREDIS_MAJOR >= 1
typedef size_t element_count; /* hiredis changed this type with 1.0 */
#else
typedef int element_count;
#endif

struct redis {
	redisContext *ctx;
	redisReply *last; /* what redis_reply views borrow */
	char where[128];  /* host and port, for causes; never the password */
	int timeout_ms;
	size_t pending;
	bool dead;
	/* Bounds of one reply: hiredis makes its arrays through these. */
	redisReplyObjectFunctions make;
	const redisReplyObjectFunctions *plain;
	size_t elements, bytes;
};

/* --- bounds */

static void *bounded_array(const redisReadTask *task, element_count n)
{
	struct redis *r = task->privdata;

	if ((size_t)n > REPLY_ELEMENTS - r->elements)
		return NULL; /* hiredis calls it out of memory */
	r->elements += (size_t)n;
	return r->plain->createArray(task, n);
}

static void *bounded_string(const redisReadTask *task, char *text, size_t len)
{
	struct redis *r = task->privdata;

	if (len > REPLY_BYTES - r->bytes)
		return NULL;
	r->bytes += len;
	return r->plain->createString(task, text, len);
}

static void bound(struct redis *r)
{
	r->plain = r->ctx->reader->fn;
	r->make = *r->plain;
	r->make.createArray = bounded_array;
	r->make.createString = bounded_string;
	r->ctx->reader->fn = &r->make;
	r->ctx->reader->privdata = r;
}

/* --- sending and receiving */

static enum rc dead(struct redis *r, const char *why, struct err *e)
{
	r->dead = true;
	return err_set(e, RC_RETRY, "redis: %s: %s", r->where, why);
}

static enum rc broken(struct redis *r, struct err *e)
{
	bool late = r->ctx->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);

	return dead(r, late ? "no answer in time" : r->ctx->errstr, e);
}

static enum rc alive(struct redis *r, struct err *e)
{
	return r->dead ? dead(r, "the connection is dead", e) : RC_OK;
}

/* Writes what is queued, all of it or one piece. */
static enum rc push(struct redis *r, bool all, struct err *e)
{
	int64_t end_us = clk_system.mono_us(&clk_system) + r->timeout_ms * INT64_C(1000);
	int done = 0;

	do {
		if (redisBufferWrite(r->ctx, &done) != REDIS_OK)
			return broken(r, e);
		if (!done && clk_system.mono_us(&clk_system) > end_us)
			return dead(r, "does not read in time", e);
	} while (all && !done);
	return RC_OK;
}

static enum rc append(struct redis *r, const struct slice *argv, size_t argc, const char **texts,
	size_t *lens, struct err *e)
{
	if (texts == NULL || lens == NULL)
		return dead(r, "out of memory", e);
	for (size_t i = 0; i < argc; i++) {
		texts[i] = argv[i].ptr != NULL ? argv[i].ptr : "";
		lens[i] = argv[i].len;
	}
	if (redisAppendCommandArgv(r->ctx, (int)argc, texts, lens) != REDIS_OK)
		return dead(r, "out of memory", e);
	r->pending++;
	return RC_OK;
}

enum rc redis_send(struct redis *r, const struct slice *argv, size_t argc, struct err *e)
{
	const char *few_texts[64], **texts;
	size_t few_lens[64], *lens;
	enum rc rc = alive(r, e);

	assert(argc > 0 && argc < INT32_MAX);
	if (rc != RC_OK)
		return rc;
	if (argc <= ARRAY_LEN(few_texts)) {
		rc = append(r, argv, argc, few_texts, few_lens, e);
	} else {
		texts = reallocarray(NULL, argc, sizeof(const char *));
		lens = reallocarray(NULL, argc, sizeof(*lens));
		rc = append(r, argv, argc, texts, lens, e);
		free(texts);
		free(lens);
	}
	if (rc == RC_OK && sdslen(r->ctx->obuf) > SEND_AT_BYTES)
		rc = push(r, false, e);
	return rc;
}

static struct redis_reply view(const redisReply *p)
{
	struct redis_reply out = {.kind = REDIS_NIL, .text = SLICE("")};

	if (p == NULL)
		return out;
	switch (p->type) {
	case REDIS_REPLY_STRING:
		out.kind = REDIS_TEXT;
		break;
	case REDIS_REPLY_STATUS:
		out.kind = REDIS_STATUS;
		break;
	case REDIS_REPLY_ERROR:
		out.kind = REDIS_ERROR;
		break;
	case REDIS_REPLY_INTEGER:
		out.kind = REDIS_INT;
		out.integer = p->integer;
		return out;
	case REDIS_REPLY_ARRAY:
		out.kind = REDIS_LIST;
		out.private_list = p;
		out.count = (size_t)p->elements;
		return out;
	default:
		return out;
	}
	out.text = slice_of(p->str, (size_t)p->len);
	return out;
}

struct redis_reply redis_item(const struct redis_reply *list, size_t i)
{
	const redisReply *p = list->private_list;

	assert(list->kind == REDIS_LIST && i < list->count);
	return view(p->element[i]);
}

static enum rc pull(struct redis *r, redisReply **out, struct err *e)
{
	int64_t end_us = clk_system.mono_us(&clk_system) + r->timeout_ms * INT64_C(1000);
	void *reply = NULL;

	r->elements = r->bytes = 0;
	for (;;) {
		if (redisGetReplyFromReader(r->ctx, &reply) != REDIS_OK)
			return broken(r, e);
		if (reply != NULL)
			break;
		if (clk_system.mono_us(&clk_system) > end_us)
			return dead(r, "no whole answer in time", e);
		if (r->ctx->reader->len > REPLY_BYTES)
			return dead(r, "an answer without end", e);
		if (redisBufferRead(r->ctx) != REDIS_OK)
			return broken(r, e);
	}
	*out = reply;
	return RC_OK;
}

enum rc redis_recv(struct redis *r, struct redis_reply *out, struct err *e)
{
	redisReply *reply = NULL;
	enum rc rc = alive(r, e);

	assert(r->dead || r->pending > 0);
	if (rc == RC_OK)
		rc = push(r, true, e);
	if (rc == RC_OK)
		rc = pull(r, &reply, e);
	if (rc != RC_OK)
		return rc;
	r->pending--;
	if (r->last != NULL)
		freeReplyObject(r->last);
	r->last = reply;
	*out = view(reply);
	return RC_OK;
}

/* What an error reply means, by its first word. */
static enum rc reply_error(
	const struct redis *r, struct slice command, struct slice text, struct err *e)
{
	static const struct {
		struct slice word;
		enum rc rc;
	} map[] = {
		{{"LOADING", 7}, RC_RETRY},
		{{"READONLY", 8}, RC_RETRY},
		{{"OOM", 3}, RC_RETRY},
		{{"MISCONF", 7}, RC_RETRY},
		{{"BUSY", 4}, RC_RETRY},
		{{"MASTERDOWN", 10}, RC_RETRY},
		{{"NOREPLICAS", 10}, RC_RETRY},
		{{"TRYAGAIN", 8}, RC_RETRY},
		{{"CLUSTERDOWN", 11}, RC_RETRY},
		{{"EXECABORT", 9}, RC_RETRY},
		{{"NOAUTH", 6}, RC_DENIED},
		{{"NOPERM", 6}, RC_DENIED},
		{{"WRONGPASS", 9}, RC_DENIED},
	};
	struct slice rest = text, word = {0};
	/* "unknown command" quotes the arguments, which can be anybody's number. */
	const char *args = memmem(text.ptr, text.len, ", with args", 11);

	(void)slice_cut(&rest, ' ', &word);
	if (args != NULL)
		text.len = (size_t)(args - text.ptr);
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (slice_eq(word, map[i].word))
			return err_set(e, map[i].rc, "redis: %s: %.*s: %.*s", r->where,
				(int)command.len, command.ptr, (int)text.len, text.ptr);
	return err_set(e, RC_INVALID, "redis: %s: %.*s: %.*s", r->where, (int)command.len,
		command.ptr, (int)text.len, text.ptr);
}

enum rc redis_do(struct redis *r, const struct slice *argv, size_t argc, struct redis_reply *out,
	struct err *e)
{
	enum rc rc;

	assert(r->pending == 0 || r->dead);
	rc = redis_send(r, argv, argc, e);
	if (rc == RC_OK)
		rc = redis_recv(r, out, e);
	if (rc == RC_OK && out->kind == REDIS_ERROR)
		rc = reply_error(r, argv[0], out->text, e);
	return rc;
}

size_t redis_pending(const struct redis *r)
{
	return r->pending;
}

/* --- opening */

struct address {
	char host[256]; /* or the path of a socket */
	bool socket;
	int port;
	char user[128], password[256];
	char db[12];
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A part of a URL without its %XX; false when it is malformed, holds a NUL or has no room. */
static bool unescape(struct slice s, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '%') {
			if (i + 2 >= s.len || hex(s.ptr[i + 1]) < 0 || hex(s.ptr[i + 2]) < 0)
				return false;
			c = (char)(hex(s.ptr[i + 1]) * 16 + hex(s.ptr[i + 2]));
			i += 2;
		}
		if (c == '\0' || n + 1 >= room)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

static bool parse_number(struct slice s, uint64_t most, uint64_t *out)
{
	return slice_u64(s, out) == RC_OK && *out <= most;
}

static bool parse_db(struct slice s, struct address *a)
{
	uint64_t db = 0;

	if (s.len == 0)
		return true;
	if (!parse_number(s, 65535, &db))
		return false;
	(void)snprintf(a->db, sizeof(a->db), "%llu", (unsigned long long)db);
	return true;
}

/* The last `c` of s cuts it: what is before stays in *s. */
static bool cut_last(struct slice *s, char c, struct slice *before)
{
	const char *at = memrchr(s->ptr, c, s->len);

	if (at == NULL)
		return false;
	*before = slice_of(s->ptr, (size_t)(at - s->ptr));
	*s = slice_of(at + 1, s->len - before->len - 1);
	return true;
}

static bool parse_login(struct slice s, struct address *a)
{
	struct slice user = {0}, password = s;
	const char *colon = memchr(s.ptr, ':', s.len);

	if (colon == NULL)
		return false;
	user = slice_of(s.ptr, (size_t)(colon - s.ptr));
	password = slice_of(colon + 1, s.len - user.len - 1);
	return unescape(user, a->user, sizeof(a->user)) &&
		unescape(password, a->password, sizeof(a->password)) && a->password[0] != '\0';
}

/* host, host:port, [v6]:port */
static bool parse_host(struct slice s, struct address *a)
{
	struct slice host = s, port = SLICE("");
	uint64_t number = DEFAULT_PORT;

	if (s.len > 0 && s.ptr[0] == '[') {
		const char *end = memchr(s.ptr, ']', s.len);

		if (end == NULL)
			return false;
		host = slice_of(s.ptr + 1, (size_t)(end - s.ptr) - 1);
		s = slice_of(end + 1, s.len - host.len - 2);
		if (s.len > 0 && s.ptr[0] != ':')
			return false;
		port = s.len > 0 ? slice_of(s.ptr + 1, s.len - 1) : s;
	} else if (cut_last(&s, ':', &host)) {
		port = s;
	}
	if (port.len > 0 && (!parse_number(port, 65535, &number) || number == 0))
		return false;
	a->port = (int)number;
	return host.len > 0 && unescape(host, a->host, sizeof(a->host));
}

static bool parse_tcp(struct slice s, struct address *a)
{
	struct slice login = {0}, rest = s;

	if (cut_last(&rest, '@', &login)) {
		if (!parse_login(login, a))
			return false;
		s = rest;
	}
	rest = s;
	const char *slash = memchr(s.ptr, '/', s.len);
	if (slash != NULL) {
		rest = slice_of(s.ptr, (size_t)(slash - s.ptr));
		if (!parse_db(slice_of(slash + 1, s.len - rest.len - 1), a))
			return false;
	}
	return parse_host(rest, a);
}

static bool parse_socket(struct slice s, struct address *a)
{
	struct slice path = s;

	a->socket = true;
	if (cut_last(&s, '?', &path) &&
		(!slice_starts(s, SLICE("db=")) || !parse_db(slice_of(s.ptr + 3, s.len - 3), a)))
		return false;
	return path.len > 1 && path.ptr[0] == '/' && unescape(path, a->host, sizeof(a->host));
}

static enum rc parse_url(const char *url, struct address *a, struct err *e)
{
	struct slice s = slice_str(url);
	bool fine = false;

	if (slice_starts(s, SLICE("redis://")))
		fine = parse_tcp(slice_of(s.ptr + 8, s.len - 8), a);
	else if (slice_starts(s, SLICE("unix://")))
		fine = parse_socket(slice_of(s.ptr + 7, s.len - 7), a);
	else if (slice_starts(s, SLICE("rediss://")))
		return err_set(e, RC_INVALID,
			"redis: TLS (rediss://) is not built in; use a local tunnel and redis://");
	if (fine)
		return RC_OK;
	/* The URL is not shown: it may hold a password. */
	return err_set(e, RC_INVALID,
		"redis: the address is not redis://[user:password@]host:port[/db] or "
		"unix:///path[?db=N]");
}

static enum rc connect_to(struct redis *r, const struct address *a, struct err *e)
{
	struct timeval tv = {r->timeout_ms / 1000, (r->timeout_ms % 1000) * 1000};

	if (a->socket)
		(void)snprintf(r->where, sizeof(r->where), "%.120s", a->host);
	else
		(void)snprintf(r->where, sizeof(r->where), "%.110s:%d", a->host, a->port);
	r->ctx = a->socket ? redisConnectUnixWithTimeout(a->host, tv)
			   : redisConnectWithTimeout(a->host, a->port, tv);
	if (r->ctx == NULL)
		return dead(r, "out of memory", e);
	if (r->ctx->err != 0)
		return dead(r, r->ctx->errstr, e);
	if (redisSetTimeout(r->ctx, tv) != REDIS_OK)
		return broken(r, e);
	if (!a->socket)
		(void)redisEnableKeepAlive(r->ctx);
	bound(r);
	return RC_OK;
}

static enum rc login(struct redis *r, const struct address *a, struct err *e)
{
	struct slice argv[3] = {SLICE("AUTH"), slice_str(a->user), slice_str(a->password)};
	struct redis_reply reply;

	if (a->password[0] == '\0')
		return RC_OK;
	if (a->user[0] != '\0')
		return redis_do(r, argv, 3, &reply, e);
	argv[1] = argv[2];
	return redis_do(r, argv, 2, &reply, e);
}

/* A cluster node would answer for a part of the keys only. A user who may not ask goes on. */
static enum rc refuse_cluster(struct redis *r, struct err *e)
{
	static const struct slice argv[] = {{"INFO", 4}, {"cluster", 7}};
	static const char sign[] = "cluster_enabled:1";
	struct redis_reply reply;
	enum rc rc = redis_do(r, argv, 2, &reply, e);

	if (rc == RC_DENIED || rc == RC_INVALID)
		return RC_OK;
	if (rc == RC_OK && reply.kind == REDIS_TEXT &&
		memmem(reply.text.ptr, reply.text.len, sign, sizeof(sign) - 1) != NULL)
		return err_set(e, RC_INVALID,
			"redis: %s is a node of a Redis Cluster, which is not supported: name "
			"single servers, each holds a full copy",
			r->where);
	return rc;
}

/* PING is refused while the server loads its data or has lost its master. */
static enum rc greet(struct redis *r, struct err *e)
{
	struct slice ping = SLICE("PING");
	struct redis_reply reply;
	enum rc rc = redis_do(r, &ping, 1, &reply, e);

	return rc == RC_DENIED && !slice_starts(reply.text, SLICE("NOAUTH")) ? RC_OK : rc;
}

enum rc redis_open(const char *url, int timeout_ms, struct redis **out, struct err *e)
{
	OWN(redis_close) struct redis *r = calloc(1, sizeof(*r));
	struct address a = {0};
	struct redis_reply reply;
	struct sigaction was;
	enum rc rc = r != NULL ? parse_url(url, &a, e) : err_set(e, RC_RETRY, "out of memory");

	/* hiredis writes without MSG_NOSIGNAL: a server that hangs up must not end the process. */
	if (sigaction(SIGPIPE, NULL, &was) == 0 && was.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
	if (rc == RC_OK) {
		r->timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS;
		rc = connect_to(r, &a, e);
	}
	if (rc == RC_OK)
		rc = login(r, &a, e);
	if (rc == RC_OK)
		rc = greet(r, e);
	if (rc == RC_OK && a.db[0] != '\0') {
		struct slice argv[2] = {SLICE("SELECT"), slice_str(a.db)};

		rc = redis_do(r, argv, 2, &reply, e);
	}
	if (rc == RC_OK)
		rc = refuse_cluster(r, e);
	if (rc == RC_OK)
		*out = TAKE(r);
	return rc;
}

void redis_close(struct redis *r)
{
	if (r == NULL)
		return;
	if (r->last != NULL)
		freeReplyObject(r->last);
	if (r->ctx != NULL)
		redisFree(r->ctx);
	free(r);
}
