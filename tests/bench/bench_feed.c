/* What tests/bench/feed needs in C: "hello PORT" serves nine bytes with the same HTTP library and settings as the API, and "load PORT CONNECTIONS
 * SECONDS PATH… " asks over kept connections, one question at a time on each, and prints answers a second and the median and 99th percentile
 * in microseconds. In PATH a %d becomes a number of 0 to 999999. Everything shares this machine's cores. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define MAX_SAMPLES 4000000

/* /hello is bare; /clean and /blocked have the headers and the length of a lookup's answer: what the library and the socket take for that. */
static const char blocked[] =
	"{\"scope\":\"number\",\"value\":\"84912000000\",\"service\":\"sms\",\"action\":\"bar\","
	"\"case\":"
	"\"c-0000000000001\",\"until\":null,\"basis\":\"Decree 91/2020/ND-CP\",\"release\":1}\n";

static enum MHD_Result hello(void *arg, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	(void)arg, (void)method, (void)version, (void)data;
	if (*state == NULL) {
		*state = "";
		return MHD_YES;
	}
	*size = 0;
	bool bare = strcmp(url, "/hello") == 0, clean = strcmp(url, "/clean") == 0;
	const char *body = bare ? "hello you" : clean ? "" : blocked;
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
	if (!clean)
		MHD_add_response_header(
			r, "Content-Type", bare ? "text/plain" : "application/json");
	if (!bare) {
		MHD_add_response_header(r, "Age", "0");
		MHD_add_response_header(r, "Cache-Control", "no-store");
		MHD_add_response_header(r, "X-Request-Id", "0123456789abcdef");
		MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	}
	enum MHD_Result ok = MHD_queue_response(c, clean ? 204 : 200, r);
	MHD_destroy_response(r);
	return ok;
}

static int serve(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	if (MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC,
		    (uint16_t)port, NULL, NULL, hello, NULL, MHD_OPTION_SOCK_ADDR, &at,
		    MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_CONNECTION_LIMIT, 10000u,
		    MHD_OPTION_END) == NULL)
		return 1;
	pause();
	return 0;
}

struct asker {
	int fd;
	int64_t asked_us;
	char in[4096];
	size_t got;
};

static int64_t mono(void)
{
	return clk_system.mono_us(&clk_system);
}

static void ask(struct asker *a, const char *path, const char *token)
{
	static unsigned seed = 1;
	char request[1024], filled[256];

	seed = seed * 1664525u + 1013904223u;
	const char *mark = strstr(path, "%d");
	if (mark != NULL)
		snprintf(filled, sizeof(filled), "%.*s%06u%s", (int)(mark - path), path,
			(seed >> 8) % 1000000, mark + 2);
	else
		snprintf(filled, sizeof(filled), "%s", path);
	int n = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", filled, token);
	a->asked_us = mono();
	a->got = 0;
	if (write(a->fd, request, (size_t)n) != n)
		exit(1);
}

/* True: a whole answer is here. */
static bool answered(struct asker *a)
{
	ssize_t n = read(a->fd, a->in + a->got, sizeof(a->in) - 1 - a->got);

	if (n <= 0) {
		fprintf(stderr, "the server closed a connection: %s\n", strerror(errno));
		exit(1);
	}
	a->got += (size_t)n;
	a->in[a->got] = '\0';
	const char *body = strstr(a->in, "\r\n\r\n");
	if (body == NULL)
		return false;
	if (strncmp(a->in + 9, "20", 2) != 0) {
		fprintf(stderr, "answered: %.100s\n", a->in);
		exit(1);
	}
	const char *length = strcasestr(a->in, "\r\nContent-Length:");
	size_t want = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
	return a->got >= (size_t)(body + 4 - a->in) + want;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static void connect_to(struct asker *a, int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	a->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(a->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		exit(1);
	setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int load(int port, int connections, int seconds, const char *path)
{
	const char *token = getenv("TOKEN") != NULL ? getenv("TOKEN") : "x";
	struct asker *all = calloc((size_t)connections, sizeof(*all));
	int32_t *took = malloc(MAX_SAMPLES * sizeof(*took));
	int poll = epoll_create1(0);
	struct epoll_event events[64];
	size_t done = 0;

	for (int i = 0; i < connections; i++) {
		connect_to(&all[i], port);
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};
		epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &e);
		ask(&all[i], path, token);
	}
	int64_t start = mono(), end = start + seconds * US_PER_S;
	while (mono() < end && done < MAX_SAMPLES) {
		int n = epoll_wait(poll, events, 64, 100);
		for (int i = 0; i < n && done < MAX_SAMPLES; i++) {
			struct asker *a = events[i].data.ptr;
			if (!answered(a))
				continue;
			took[done++] = (int32_t)(mono() - a->asked_us);
			ask(a, path, token);
		}
	}
	double s = (double)(mono() - start) / (double)US_PER_S;
	qsort(took, done, sizeof(*took), by_value);
	printf("%.0f %d %d\n", (double)done / s, done > 0 ? took[done / 2] : 0,
		done > 0 ? took[done * 99 / 100] : 0);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "hello") == 0)
		return serve(atoi(argv[2]));
	if (argc == 6 && strcmp(argv[1], "load") == 0)
		return load(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv[5]);
	fprintf(stderr, "usage: bench_feed hello PORT | load PORT CONNECTIONS SECONDS PATH\n");
	return 2;
}
