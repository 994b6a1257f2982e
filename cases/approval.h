/* Private to cases: what needs two people. The first one's word waits in `approval` for the second one's about the very same thing. */
#pragma once

#include "cases/cases.h"

/* Inside the caller's transaction. *agreed: another person has asked for it within a day, whose word is used up. RC_DENIED: only the same person
 * has; RC_CONFLICT: it was less then than `size`. */
MUST_USE enum rc approval_ask(struct pg *c, const char *what, const char *of, int64_t size,
	const char *actor, int64_t now_us, struct arena *a, bool *agreed, struct err *e);
