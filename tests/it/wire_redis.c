/* wire/redis against a real Redis, and against a child that answers what no Redis would. Needs
 * KHIEN_TEST_REDIS, redis://host:port; says "skipped" (exit 77) without it. Uses keys of its own name.
 * The refusal of a cluster node starts a redis-server of its own, when there is one. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/check.h"
#include "wire/wire.h"

static const char *url;
static char host_port[128]; /* of the URL */

static struct redis *open_redis(void)
{
	struct redis *r = NULL;
	struct err e = {0};

	if (!CHECK_RC(redis_open(url, 2000, &r, &e), RC_OK, &e))
		exit(1);
	return r;
}

#define ARGV(...) ((const struct slice[]){__VA_ARGS__})
#define S(text) slice_str(text)

static void test_values(void)
{
	OWN(redis_close) struct redis *r = open_redis();
	struct redis_reply v, item;
	struct err e = {0};
	struct slice binary = SLICE("a\0b\r\n\xff%s%b");

	CHECK_RC(redis_do(r, ARGV(S("SET"), S("wire:k"), binary, S("EX"), S("60")), 5, &v, &e),
		RC_OK, &e);
	CHECK_INT(v.kind, REDIS_STATUS);
	CHECK_SLICE(v.text, "OK");
	CHECK_RC(redis_do(r, ARGV(S("GET"), S("wire:k")), 2, &v, &e), RC_OK, &e);
	CHECK_INT(v.kind, REDIS_TEXT);
	CHECK(slice_eq(v.text, binary));
	CHECK_RC(redis_do(r, ARGV(S("STRLEN"), S("wire:k")), 2, &v, &e), RC_OK, &e);
	CHECK_INT(v.kind, REDIS_INT);
	CHECK_INT(v.integer, binary.len);
	CHECK_RC(redis_do(r, ARGV(S("GET"), S("wire:nosuch")), 2, &v, &e), RC_OK, &e);
	CHECK_INT(v.kind, REDIS_NIL);
	CHECK_RC(redis_do(r, ARGV(S("SET"), S("wire:e"), slice_of(NULL, 0), S("EX"), S("60")), 5,
			 &v, &e),
		RC_OK, &e);
	CHECK_RC(
		redis_do(r, ARGV(S("MGET"), S("wire:k"), S("wire:nosuch"), S("wire:e")), 4, &v, &e),
		RC_OK, &e);
	CHECK_INT(v.kind, REDIS_LIST);
	CHECK_INT(v.count, 3);
	item = redis_item(&v, 0);
	CHECK(slice_eq(item.text, binary));
	CHECK_INT(redis_item(&v, 1).kind, REDIS_NIL);
	item = redis_item(&v, 2);
	CHECK(item.kind == REDIS_TEXT && item.text.len == 0);
	/* a list in a list */
	CHECK_RC(redis_do(r, ARGV(S("EVAL"), S("return {1,{2,'x'}}"), S("0")), 3, &v, &e), RC_OK,
		&e);
	item = redis_item(&v, 1);
	CHECK_INT(item.count, 2);
	CHECK_INT(redis_item(&item, 0).integer, 2);
	CHECK_SLICE(redis_item(&item, 1).text, "x");
}

static void test_errors(void)
{
	OWN(redis_close) struct redis *r = open_redis();
	struct redis_reply v;
	struct err e = {0};

	CHECK_RC(redis_do(r, ARGV(S("SET"), S("wire:s"), S("x"), S("EX"), S("60")), 5, &v, &e),
		RC_OK, &e);
	CHECK_RC(redis_do(r, ARGV(S("INCR"), S("wire:s")), 2, &v, &e), RC_INVALID, &e);
	CHECK_RC(redis_do(r, ARGV(S("LPUSH"), S("wire:s"), S("1")), 3, &v, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "LPUSH: WRONGTYPE");
	CHECK_RC(redis_do(r, ARGV(S("NOSUCH"), S("84912345678")), 2, &v, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "unknown command");
	CHECK(strstr(e.text, "84912345678") == NULL);
	static const struct {
		const char *word;
		enum rc rc;
	} cases[] = {
		{"LOADING", RC_RETRY},
		{"READONLY", RC_RETRY},
		{"OOM", RC_RETRY},
		{"MISCONF", RC_RETRY},
		{"NOAUTH", RC_DENIED},
		{"ERR", RC_INVALID},
		{"READONLYX", RC_INVALID},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char script[64];

		CHECK_CASE("%s", cases[i].word);
		(void)snprintf(script, sizeof(script), "return {err='%s no'}", cases[i].word);
		CHECK_RC(redis_do(r, ARGV(S("EVAL"), S(script), S("0")), 3, &v, &e), cases[i].rc,
			&e);
	}
	/* A pipeline hands an error over as an answer. */
	CHECK_RC(redis_send(r, ARGV(S("INCR"), S("wire:s")), 2, &e), RC_OK, &e);
	CHECK_RC(redis_recv(r, &v, &e), RC_OK, &e);
	CHECK_INT(v.kind, REDIS_ERROR);
}

static void test_pipeline(void)
{
	OWN(redis_close) struct redis *r = open_redis();
	struct redis_reply v;
	struct err e = {0};
	char *big = malloc(1 << 20);
	struct slice many[1000];

	memset(big, 'x', 1 << 20);
	/* 20 MB each way before the first answer is taken. */
	for (int i = 0; i < 20; i++)
		CHECK_RC(redis_send(r, ARGV(S("ECHO"), slice_of(big, 1 << 20)), 2, &e), RC_OK, &e);
	CHECK_RC(redis_send(r, ARGV(S("PING")), 1, &e), RC_OK, &e);
	CHECK_INT(redis_pending(r), 21);
	for (int i = 0; i < 20; i++) {
		CHECK_RC(redis_recv(r, &v, &e), RC_OK, &e);
		CHECK_INT(v.text.len, 1 << 20);
	}
	CHECK_RC(redis_recv(r, &v, &e), RC_OK, &e);
	CHECK_SLICE(v.text, "PONG");
	CHECK_INT(redis_pending(r), 0);
	/* More arguments than fit on the stack. */
	many[0] = S("EXISTS");
	for (size_t i = 1; i < ARRAY_LEN(many); i++)
		many[i] = S("wire:nosuch");
	CHECK_RC(redis_do(r, many, ARRAY_LEN(many), &v, &e), RC_OK, &e);
	CHECK_INT(v.integer, 0);
	/* WATCH, MULTI, EXEC as the projection uses them. */
	CHECK_RC(redis_do(r, ARGV(S("WATCH"), S("wire:w")), 2, &v, &e), RC_OK, &e);
	CHECK_RC(redis_send(r, ARGV(S("MULTI")), 1, &e), RC_OK, &e);
	CHECK_RC(redis_send(r, ARGV(S("SET"), S("wire:w"), S("1"), S("EX"), S("60")), 5, &e), RC_OK,
		&e);
	CHECK_RC(redis_send(r, ARGV(S("EXEC")), 1, &e), RC_OK, &e);
	for (int i = 0; i < 3; i++)
		CHECK_RC(redis_recv(r, &v, &e), RC_OK, &e);
	CHECK_INT(v.kind, REDIS_LIST);
	CHECK_INT(v.count, 1);
	free(big);
}

static void test_lost(void)
{
	OWN(redis_close) struct redis *r = open_redis(), *other = open_redis();
	struct redis_reply v;
	struct err e = {0};
	char id[24];

	CHECK_RC(redis_do(r, ARGV(S("CLIENT"), S("ID")), 2, &v, &e), RC_OK, &e);
	(void)snprintf(id, sizeof(id), "%lld", (long long)v.integer);
	CHECK_RC(redis_do(other, ARGV(S("CLIENT"), S("KILL"), S("ID"), S(id)), 4, &v, &e), RC_OK,
		&e);
	CHECK_RC(redis_do(r, ARGV(S("PING")), 1, &v, &e), RC_RETRY, &e);
	CHECK_RC(redis_do(r, ARGV(S("PING")), 1, &v, &e), RC_RETRY, &e);
	CHECK_HAS(e.text, host_port);
}

static void test_time_out(void)
{
	OWN(redis_close) struct redis *r = NULL;
	struct redis_reply v;
	struct err e = {0};

	CHECK_RC(redis_open(url, 100, &r, &e), RC_OK, &e);
	CHECK_RC(redis_do(r, ARGV(S("BLPOP"), S("wire:nosuch"), S("1")), 3, &v, &e), RC_RETRY, &e);
	CHECK_HAS(e.text, "in time");
	/* The late answer must not be the next command's. */
	CHECK_RC(redis_do(r, ARGV(S("PING")), 1, &v, &e), RC_RETRY, &e);
}

static void test_open(void)
{
	OWN(redis_close) struct redis *admin = open_redis();
	struct redis_reply v;
	struct err e = {0};
	char text[300];
	static const struct {
		const char *url, *cause;
	} wrong[] = {
		{"", "address"},
		{"localhost:6379", "address"},
		{"redis://", "address"},
		{"redis://:6379", "address"},
		{"redis://h:0", "address"},
		{"redis://h:70000", "address"},
		{"redis://h:6379/x", "address"},
		{"redis://user@h:6379", "address"},
		{"redis://user:@h:6379", "address"},
		{"redis://u:p%zz@h:6379", "address"},
		{"redis://u:p%00@h:6379", "address"},
		{"redis://[::1", "address"},
		{"redis://[::1]x", "address"},
		{"unix://relative", "address"},
		{"unix:///path?x=1", "address"},
		{"rediss://h:6379", "TLS"},
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct redis *r = NULL;

		CHECK_CASE("%s", wrong[i].url);
		CHECK_RC(redis_open(wrong[i].url, 100, &r, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, wrong[i].cause);
		CHECK(r == NULL);
	}
	CHECK_CASE("users");
	CHECK_RC(redis_do(admin,
			 ARGV(S("ACL"), S("SETUSER"), S("wire:u"), S("reset"), S("on"),
				 S(">p@s/s:w%d"), S("~*"), S("+get"), S("+select"), S("+client")),
			 10, &v, &e),
		RC_OK, &e);
	struct {
		const char *login, *db;
		enum rc rc;
	} logins[] = {
		/* This user may neither PING nor INFO. */
		{"wire%3Au:p%40s%2Fs%3Aw%25d@", "/3", RC_OK},
		{"wire%3au:p@s/s:w%25d@", "", RC_OK},
		{"wire%3Au:wrong@", "", RC_DENIED},
		{"", "/2", RC_OK},
		{"", "/", RC_OK},
		{"", "/999", RC_INVALID},
	};
	for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
		OWN(redis_close) struct redis *r = NULL;

		(void)snprintf(text, sizeof(text), "redis://%s%s%s", logins[i].login, host_port,
			logins[i].db);
		CHECK_CASE("%s", text);
		CHECK_RC(redis_open(text, 1000, &r, &e), logins[i].rc, &e);
		CHECK(strstr(e.text, "wrong") == NULL);
		if (i == 0 && r != NULL)
			CHECK_RC(redis_do(r, ARGV(S("CONFIG"), S("GET"), S("*")), 3, &v, &e),
				RC_DENIED, &e);
	}
	CHECK_RC(redis_do(admin, ARGV(S("ACL"), S("DELUSER"), S("wire:u")), 3, &v, &e), RC_OK, &e);
	struct redis *r = NULL;
	CHECK_RC(redis_open("redis://127.0.0.1:1", 200, &r, &e), RC_RETRY, &e);
	CHECK_HAS(e.text, "127.0.0.1:1");
	CHECK_RC(redis_open("unix:///nonexistent/socket", 200, &r, &e), RC_RETRY, &e);
	CHECK(r == NULL);
}

/* --- servers that are none */

static int listen_on(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 4) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		exit(1);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Answers the greeting, then sends `text` (again and again with `endless`) and hangs up or waits. */
static void fake(int listener, const char *text, bool endless, bool wait, int slow_ms)
{
	static const char greeting[] = "+PONG\r\n$20\r\n# Cluster\r\nno: 000\r\n\r\n";
	char in[4096];
	int fd = accept(listener, NULL, NULL);

	(void)signal(SIGPIPE, SIG_DFL); /* ends the child */
	(void)alarm(20);
	(void)!read(fd, in, sizeof(in));
	(void)!write(fd, greeting, 7);
	(void)!read(fd, in, sizeof(in));
	(void)!write(fd, greeting + 7, sizeof(greeting) - 8);
	(void)!read(fd, in, sizeof(in));
	do {
		if (slow_ms > 0) {
			for (const char *p = text; *p != '\0'; p++)
				(void)!(write(fd, p, 1) + usleep((useconds_t)slow_ms * 1000));
		} else {
			(void)!write(fd, text, strlen(text));
		}
	} while (endless);
	if (wait)
		(void)!read(fd, in, sizeof(in));
	_exit(0);
}

static void test_hostile(void)
{
	static const struct {
		const char *name, *text, *cause;
		bool endless, wait;
		int slow_ms;
	} cases[] = {
		{"hangs up", "", "closed", false, false, 0},
		{"says nothing", "", "in time", false, true, 0},
		{"half an answer", "$10\r\nabc", "in time", false, true, 0},
		{"no protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error", false, true,
			0},
		{"2^31 elements", "*2147483647\r\n", "emory", false, true, 0},
		{"more than 2^31", "*99999999999\r\n", "", false, true, 0},
		{"negative", "*-5\r\n", "", false, true, 0},
		{"large lists in a list",
			"*1000000\r\n*1000000\r\n*1000000\r\n*1000000\r\n*1000000\r\n*1000000\r\n",
			"emory", false, true, 0},
		{"deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
			"", false, true, 0},
		{"bulk too long", "$2147483648\r\n", "", false, true, 0},
		{"endless line", "+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
			"", true, true, 0},
		{"drop by drop", "$9\r\n123456789\r\n", "in time", false, true, 100},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		OWN(redis_close) struct redis *r = NULL;
		struct redis_reply v;
		struct err e = {0};
		int port = 0, listener = listen_on(&port);
		char address[64];
		pid_t child = fork();
		int64_t began = clk_system.mono_us(&clk_system);

		CHECK_CASE("%s", cases[i].name);
		if (child == 0)
			fake(listener, cases[i].text, cases[i].endless, cases[i].wait,
				cases[i].slow_ms);
		(void)close(listener);
		(void)snprintf(address, sizeof(address), "redis://127.0.0.1:%d", port);
		if (CHECK_RC(redis_open(address, 300, &r, &e), RC_OK, &e)) {
			CHECK_RC(redis_do(r, ARGV(S("GET"), S("k")), 2, &v, &e), RC_RETRY, &e);
			CHECK_HAS(e.text, cases[i].cause);
			CHECK_RC(redis_do(r, ARGV(S("GET"), S("k")), 2, &v, &e), RC_RETRY, &e);
		}
		CHECK(clk_system.mono_us(&clk_system) - began < 5 * US_PER_S);
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
}

static void test_cluster_refused(void)
{
	char dir[CHECK_PATH], port_text[16], address[64], path[CHECK_PATH * 2];
	int port = 0, listener = listen_on(&port);
	struct redis *r = NULL;
	struct err e = {0};
	enum rc rc = RC_RETRY;
	pid_t child;

	(void)close(listener);
	check_dir(dir);
	(void)snprintf(port_text, sizeof(port_text), "%d", port);
	(void)snprintf(address, sizeof(address), "redis://127.0.0.1:%d", port);
	/* The bus takes port + 10000, which may not exist. */
	child = fork();
	if (child == 0) {
		(void)!freopen("/dev/null", "w", stdout);
		(void)execlp("redis-server", "redis-server", "--port", port_text, "--bind",
			"127.0.0.1", "--cluster-enabled", "yes", "--cluster-port",
			port > 40000 ? "20001" : "0", "--dir", dir, "--save", "", (char *)NULL);
		_exit(3);
	}
	for (int i = 0; i < 500 && rc == RC_RETRY && waitpid(child, NULL, WNOHANG) == 0; i++) {
		rc = redis_open(address, 500, &r, &e);
		if (rc == RC_RETRY)
			(void)usleep(10000);
	}
	CHECK_RC(rc, RC_INVALID, &e);
	CHECK_HAS(e.text, "Redis Cluster, which is not supported");
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	(void)snprintf(path, sizeof(path), "%s/nodes.conf", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

int main(void)
{
	url = getenv("KHIEN_TEST_REDIS");
	if (url == NULL || strncmp(url, "redis://", 8) != 0) {
		printf("skipped: KHIEN_TEST_REDIS is not set\n");
		return 77;
	}
	(void)snprintf(host_port, sizeof(host_port), "%s", url + 8);
	host_port[strcspn(host_port, "/")] = '\0';
	RUN(test_values);
	RUN(test_errors);
	RUN(test_pipeline);
	RUN(test_lost);
	RUN(test_time_out);
	RUN(test_open);
	RUN(test_hostile);
	RUN(test_cluster_refused);
	return check_done();
}
