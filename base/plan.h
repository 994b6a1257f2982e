/* The number plan: which digits there are, of what class, and whose. It is data (etc/numbers/), loaded whole or not at all, and
 * immutable afterwards: any thread may ask. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum number_class {
	NUM_MOBILE,
	NUM_FIXED,
	NUM_TOLLFREE,
	NUM_PREMIUM,
	NUM_VOIP,
	NUM_FOREIGN,
	NUM_SHORT,
	NUM_EMERGENCY,
	NUM_OWN_SERVICE,
	NUM_NAME,
	NUM_UNKNOWN
};

const char *number_class_name(enum number_class c); /* "mobile", "fixed" … "unknown" */

struct plan;

/* Reads plan.csv, short.csv, old_prefixes.csv and portability.csv of `dir`; own_carrier names the carrier that we are. RC_INVALID
 * with every "file:line: what" in `c`. */
struct complaints;
MUST_USE enum rc plan_load(const char *dir, const char *own_carrier, struct complaints *c,
	struct plan **out, struct err *e);
void plan_free(struct plan *p);
OWNER(plan_free, struct plan);
