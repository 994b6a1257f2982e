/* What `khien quarantine` was asked. */
#pragma once

#include "app/app.h"

struct quarantine_args {
	const char *conf, *state, *reason, *why, *file;
	int64_t limit;
	struct quarantine_place place;
};

/* False: an option is unknown or a number is none. */
bool quarantine_args(int argc, char **argv, struct quarantine_args *q);
/* "all" becomes NULL. False: there is no such state. */
bool quarantine_state(const char **state);
