/* What systemd is told: ready, reloading, stopping, and that the process lives, by one datagram each to the socket that the environment names.
 * Without it nothing is said. Leaves out libsystemd, of which this is all that would be used. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void app_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

/* Half of what systemd waits for; 0: it does not. */
int64_t app_watchdog_us(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	int64_t us = 0;

	return text != NULL && slice_i64(slice_str(text), &us) == RC_OK && us > 0 ? us / 2 : 0;
}

/* Beside an installed program, else where it was built. */
static const char *shared_dir(const char *name, const char *built, char dir[4200])
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return built;
	exe[n] = '\0';
	char *last = strrchr(exe, '/');
	if (last == NULL)
		return built;
	*last = '\0';
	(void)snprintf(dir, 4200, "%s/../share/khien/%s", exe, name);
	return access(dir, R_OK | X_OK) == 0 ? dir : built;
}

const char *app_sql_dir(void)
{
	static char dir[4200];

	return shared_dir("sql", KHIEN_SQL_DIR, dir);
}

const char *app_console_dir(void)
{
	static char dir[4200];

	return shared_dir("console", KHIEN_CONSOLE_DIR, dir);
}
