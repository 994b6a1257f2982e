/* What each loop of this process says of itself, for /readyz and the log: one slot per loop, set by its owner, read by all. */
#pragma once

#include "base/base.h"

struct health_slot;

/* A named slot, in state "starting". At most 128 in a process; over that the last one is shared. */
struct health_slot *health_slot(const char *name, int index);
/* Sets the state; logs once per change. cause may be NULL. */
void health_ok(struct health_slot *s);
void health_bad(struct health_slot *s, const char *cause);
/* A loop that ended on purpose no longer counts. */
void health_gone(struct health_slot *s);
