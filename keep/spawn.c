/* Runs programs by posix_spawn, never through a shell. Our own children are killed by their id when their time is over. */
#include "keep/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void command_add(struct command *c, const char *arg)
{
	if (c->n + 1 < SPAWN_ARGS)
		c->argv[c->n++] = arg;
	else
		c->full = true;
}

void command_init(struct command *c, const char *user, char group[16])
{
	const struct passwd *p = user != NULL && getuid() == 0 ? getpwnam(user) : NULL;

	*c = (struct command){0};
	if (p == NULL || p->pw_uid == 0)
		return;
	(void)snprintf(group, 16, "%u", (unsigned)p->pw_gid);
	const char *as[] = {"setpriv", "--reuid", user, "--regid", group, "--init-groups", "--"};
	for (size_t i = 0; i < ARRAY_LEN(as); i++)
		command_add(c, as[i]);
}

static const char *name_of(const struct command *c)
{
	for (int i = 0; i < c->n; i++)
		if (strcmp(c->argv[i], "--") == 0)
			return c->argv[i + 1];
	return c->argv[0];
}

/* -1 leaves that stream as it is. Standard input is empty, and the folder is /, which everybody may be in. */
static enum rc start(const struct command *c, int out_fd, int err_fd, pid_t *pid, struct err *e)
{
	posix_spawn_file_actions_t fa;
	char *const *argv = (char *const *)(uintptr_t)c->argv;

	if (c->full)
		return err_set(e, RC_LIMIT, "%s: too many arguments", name_of(c));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (out_fd >= 0)
		posix_spawn_file_actions_adddup2(&fa, out_fd, 1);
	if (err_fd >= 0)
		posix_spawn_file_actions_adddup2(&fa, err_fd, 2);
	posix_spawn_file_actions_addchdir_np(&fa, "/");
	int no = posix_spawnp(pid, c->argv[0], &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (no != 0)
		return err_set(e, RC_RETRY, "%s cannot be started: %s", name_of(c), strerror(no));
	return RC_OK;
}

static void drain(int fds[2], struct buf *to[2], int64_t until_us)
{
	struct pollfd p[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
	int open_ = 2;

	while (open_ > 0) {
		int64_t left = (until_us - clk_system.mono_us(&clk_system)) / 1000;
		char piece[8192];

		if (left <= 0 || poll(p, 2, left > 60000 ? 60000 : (int)left) < 0)
			return;
		for (int i = 0; i < 2; i++) {
			if (p[i].fd < 0 || p[i].revents == 0)
				continue;
			ssize_t n = read(p[i].fd, piece, sizeof(piece));
			if (n <= 0) {
				p[i].fd = -1;
				open_--;
			} else if (to[i] != NULL) {
				buf_add(to[i], slice_of(piece, (size_t)n));
			} else {
				(void)!write(STDOUT_FILENO, piece, (size_t)n);
			}
		}
	}
}

static bool reap(pid_t pid, int64_t until_us, int *status)
{
	static const volatile int go_on = 0;

	for (;;) {
		pid_t got = waitpid(pid, status, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return true;
		if (clk_system.mono_us(&clk_system) >= until_us)
			return false;
		wait_ms(5, &go_on);
	}
}

static enum rc judge(const struct command *c, int status, struct buf *said, struct err *e)
{
	struct slice rest = buf_slice(said), line = SLICE(""), first = SLICE("");

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return RC_OK;
	while (slice_line(&rest, &line))
		if (first.len == 0 || slice_starts(line, SLICE("ERROR")) ||
			slice_starts(line, SLICE("FATAL")))
			first = slice_trim(line);
	return err_set(e, RC_INVALID, "%s: %.*s (%s %d)", name_of(c), (int)first.len, first.ptr,
		WIFEXITED(status) ? "exit" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

enum rc command_run(const struct command *c, int deadline_s, struct buf *out, struct err *e)
{
	BUF_OWN struct buf said;
	struct buf *to[2] = {out, &said};
	int a[2], b[2], status = 0;
	pid_t pid = 0;
	int64_t until_us = clk_system.mono_us(&clk_system) + deadline_s * US_PER_S;

	buf_init(&said, 1u << 20);
	if (pipe2(a, O_CLOEXEC) != 0)
		return err_set(e, RC_RETRY, "no pipe: %s", strerror(errno));
	if (pipe2(b, O_CLOEXEC) != 0) {
		(void)close(a[0]), (void)close(a[1]);
		return err_set(e, RC_RETRY, "no pipe: %s", strerror(errno));
	}
	enum rc rc = start(c, a[1], b[1], &pid, e);
	(void)close(a[1]), (void)close(b[1]);
	if (rc == RC_OK) {
		drain((int[2]){a[0], b[0]}, to, until_us);
		if (!reap(pid, until_us, &status)) {
			command_end(pid);
			rc = err_set(
				e, RC_RETRY, "%s did not end within %d s", name_of(c), deadline_s);
		} else {
			rc = judge(c, status, &said, e);
		}
	}
	(void)close(a[0]), (void)close(b[0]);
	return rc;
}

enum rc command_start(const struct command *c, const char *log, int *pid, struct err *e)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	pid_t p = 0;

	if (fd < 0)
		return err_set(e, RC_INVALID, "%s: %s", log, strerror(errno));
	enum rc rc = start(c, fd, fd, &p, e);
	(void)close(fd);
	if (rc == RC_OK)
		*pid = p;
	return rc;
}

void command_end(int pid)
{
	int status;

	if (pid <= 0)
		return;
	(void)kill(pid, SIGTERM);
	if (reap(pid, clk_system.mono_us(&clk_system) + 10 * US_PER_S, &status))
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
}
