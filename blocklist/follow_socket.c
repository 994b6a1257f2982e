/* The answering side of a followed list: one thread, a handful of local clients, poll. A client that sends no whole line within its room is
 * cut off; one that does not read its answers, too. */
#include "blocklist/follow_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 256
#define ASK_MAX 128

struct client {
	char line[ASK_MAX];
	size_t len;
};
struct follow_socket {
	pthread_t thread;
	pthread_mutex_t lock;
	const struct follow_list *list;
	const char *service;         /* that the list is of; "": both */
	int64_t synced_us, stale_us; /* synced 0: never */
	struct sockaddr_un at;
	int wake;
	struct pollfd fds[2 + CLIENTS]; /* the listener, the wake-up, the clients */
	struct client clients[CLIENTS];
	nfds_t n;
};

void follow_socket_lock(struct follow_socket *s)
{
	if (s != NULL)
		pthread_mutex_lock(&s->lock);
}

void follow_socket_unlock(struct follow_socket *s)
{
	if (s != NULL)
		pthread_mutex_unlock(&s->lock);
}

void follow_socket_synced(struct follow_socket *s, int64_t mono_us)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->synced_us = mono_us;
	pthread_mutex_unlock(&s->lock);
}

/* ---- answers */

static bool list_known(const struct follow_socket *s)
{
	return s->synced_us != 0 && s->list->mark.list[0] != '\0' &&
		clk_system.mono_us(&clk_system) - s->synced_us <= s->stale_us;
}

static void say_gen(const struct follow_socket *s, char *out, size_t room)
{
	char hex[65];

	digest_hex(&s->list->mark.digest, hex);
	(void)snprintf(out, room, "%s|%" PRId64 "|%" PRId64 "|%s\n", s->list->mark.list,
		s->list->mark.release, s->list->mark.count, hex);
}

/* The line is scope|value|service|action|case|until: what is behind the service. */
static void say_entry(
	const char *line, const char *service, size_t value_at, char *out, size_t room)
{
	const char *rest = line + value_at + strlen(service) + 1;
	const char *bar = strrchr(line, '|');
	uint64_t until = 0;

	if (slice_u64(slice_str(bar + 1), &until) == RC_OK && until != 0 &&
		(int64_t)until <= clk_system.now_us(&clk_system) / US_PER_S)
		(void)snprintf(out, room, "-\n");
	else
		(void)snprintf(out, room, "%s\n", rest);
}

/* As entries have it: another form of a listed number would be "not blocked". */
static bool is_canonical(enum scope scope, const char *value)
{
	size_t n = strlen(value);

	if (scope == SCOPE_NONE || n == 0)
		return false;
	return scope == SCOPE_NAME || (value[0] != '0' && strspn(value, "0123456789") == n);
}

/* False: not a question. `ask` is cut in place. */
static bool answer(struct follow_socket *s, char *ask, char *out, size_t room)
{
	char *scope, *value;
	const char *line;

	(void)snprintf(out, room, "?\n");
	if (strcmp(ask, "gen") == 0) {
		if (list_known(s))
			say_gen(s, out, room);
		return true;
	}
	scope = strchr(ask, '|');
	value = scope != NULL ? strchr(scope + 1, '|') : NULL;
	if (value == NULL)
		return false;
	*scope++ = '\0';
	*value++ = '\0';
	if (!is_canonical(scope_parse(slice_str(scope)), value) ||
		!service_parse(slice_str(ask), &(enum service){SERVICE_SMS}))
		return false;
	if (!list_known(s) || (s->service[0] != '\0' && strcmp(s->service, ask) != 0))
		return true;
	line = follow_list_get(s->list, scope, value, ask);
	if (line == NULL)
		(void)snprintf(out, room, "-\n");
	else
		say_entry(line, ask, strlen(scope) + strlen(value) + 2, out, room);
	return true;
}

/* False: the connection ends. */
static bool reply(struct follow_socket *s, int fd, char *ask)
{
	char out[FOLLOW_LINE + 128];

	pthread_mutex_lock(&s->lock);
	bool good = answer(s, ask, out, sizeof(out));

	pthread_mutex_unlock(&s->lock);
	if (!good)
		(void)snprintf(out, sizeof(out), "!\n");
	return send(fd, out, strlen(out), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)strlen(out) &&
		good;
}

static bool serve(struct follow_socket *s, int fd, struct client *c)
{
	ssize_t n = recv(fd, c->line + c->len, sizeof(c->line) - c->len, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->len += (size_t)n;
	for (char *end; (end = memchr(c->line, '\n', c->len)) != NULL;) {
		*end = '\0';
		if (end > c->line && end[-1] == '\r')
			end[-1] = '\0';
		if (!reply(s, fd, c->line))
			return false;
		c->len -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->len);
	}
	return c->len < sizeof(c->line);
}

/* ---- clients */

static void welcome(struct follow_socket *s)
{
	int fd = accept4(s->fds[0].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE ||
			errno == ENFILE) /* it would be ready at once, again and again */
			(void)poll(NULL, 0, 10);
		return;
	}
	if (s->n == ARRAY_LEN(s->fds)) {
		(void)close(fd);
		return;
	}
	s->clients[s->n - 2].len = 0;
	s->fds[s->n++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void hang_up(struct follow_socket *s, nfds_t i)
{
	(void)close(s->fds[i].fd);
	s->n--;
	s->fds[i] = s->fds[s->n];
	s->clients[i - 2] = s->clients[s->n - 2];
}

static void *run(void *arg)
{
	struct follow_socket *s = arg;

	while (poll(s->fds, s->n, -1) >= 0 || errno == EINTR) {
		if (s->fds[1].revents != 0)
			break;
		for (nfds_t i = s->n; i-- > 2;)
			if (s->fds[i].revents != 0 && !serve(s, s->fds[i].fd, &s->clients[i - 2]))
				hang_up(s, i);
		if (s->fds[0].revents != 0)
			welcome(s);
	}
	return NULL;
}

/* ---- the socket */

/* A socket that nobody listens on any more is taken away; one that lives is not. */
static enum rc listen_at(struct follow_socket *s, struct err *e)
{
	const struct sockaddr *at = (const struct sockaddr *)&s->at;
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, RC_RETRY, "socket: %s", strerror(errno));
	s->fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	if (lstat(s->at.sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || connect(fd, at, sizeof(s->at)) == 0)
			return err_set(e, RC_INVALID, "%s: is in use", s->at.sun_path);
		(void)unlink(s->at.sun_path);
	}
	if (bind(fd, at, sizeof(s->at)) != 0 || listen(fd, 64) != 0)
		return err_set(e, RC_INVALID, "%s: %s", s->at.sun_path, strerror(errno));
	return RC_OK;
}

static void drop(struct follow_socket *s)
{
	for (nfds_t i = 0; i < s->n; i++)
		if (s->fds[i].fd >= 0)
			(void)close(s->fds[i].fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

enum rc follow_socket_open(const char *path, const struct follow_list *list, const char *service,
	int stale_s, struct follow_socket **out, struct err *e)
{
	struct follow_socket *s;

	if (path == NULL)
		return RC_OK;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	pthread_mutex_init(&s->lock, NULL);
	s->list = list;
	s->service = service;
	s->stale_us = stale_s * US_PER_S;
	s->n = 2;
	s->fds[0].fd = -1;
	s->fds[1] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
	s->at.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(s->at.sun_path)) {
		drop(s);
		return err_set(e, RC_INVALID, "%s: too long for a socket", path);
	}
	memcpy(s->at.sun_path, path, strlen(path));
	enum rc rc = listen_at(s, e);

	if (rc == RC_OK && pthread_create(&s->thread, NULL, run, s) != 0) {
		(void)unlink(path);
		rc = err_set(e, RC_RETRY, "no thread");
	}
	if (rc != RC_OK) {
		drop(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void follow_socket_close(struct follow_socket *s)
{
	uint64_t one = 1;

	if (s == NULL)
		return;
	(void)!write(s->fds[1].fd, &one, sizeof(one));
	pthread_join(s->thread, NULL);
	(void)unlink(s->at.sun_path);
	drop(s);
}
