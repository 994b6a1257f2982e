/* Watch windows: docs/clocks.md. */
#pragma once

#include "cases/cases.h"

/* The window of the file (name,from,to,policy) that now_us is in; name "": none. RC_INVALID: complaints. */
MUST_USE enum rc watch_read(const char *path, int64_t now_us, struct complaints *c, char name[64],
	char policy[600], struct err *e);
/* The keeper's share: begins and ends windows. path "": there are none. */
MUST_USE enum rc watch_tend(struct pg *pg, const char *path, int64_t now_us, struct err *e);
