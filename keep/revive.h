/* Private to keep: what happens in a restored database before anybody may connect to it. */
#pragma once

#include "keep/state.h"

/* A new lineage, fences raised, erasures replayed, then the invariants: nothing missing in the books, the audit chain whole and holding the
 * head that was kept outside, the list's count and digest, and at least what the state saw. RC_INVALID: one of them does not hold. */
MUST_USE enum rc revive(struct pg *c, const struct state *s, const struct restore_order *o,
	struct restore_done *out, struct err *e);
