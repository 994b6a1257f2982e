/* Private to keep: other programs, run with a deadline and without a shell. */
#pragma once

#include "base/base.h"

#define SPAWN_ARGS 40

struct command {
	const char *argv[SPAWN_ARGS];
	int n;
	bool full; /* an argument was left out: it is not run */
};

/* `user`: as whom, when we are root and he is not; NULL: as ourselves. */
void command_init(struct command *c, const char *user, char group[16]);
void command_add(struct command *c, const char *arg);
/* Runs it to its end. stdout goes to `out` (may be NULL: to ours), the first line of stderr into the cause. RC_INVALID: it said no;
 * RC_RETRY: it could not be started, or did not end in time and was killed. */
MUST_USE enum rc command_run(
	const struct command *c, int deadline_s, struct buf *out, struct err *e);
/* Starts it and goes on; stdout and stderr go to the file. */
MUST_USE enum rc command_start(const struct command *c, const char *log, int *pid, struct err *e);
void command_end(int pid); /* SIGTERM, SIGKILL after ten seconds, and waits; 0 is fine */
