/* Private to cases: a case that a person's decision has locked. */
#pragma once

#include "cases/cases.h"

struct held_case {
	char state[12], outcome[12];
	enum life_state at;
	int64_t sender, version;
	enum service service;
	enum report_class cls;
	char scope[8], attribution[16], merged_into[24];
	bool is_protected, by_person,
		ordered; /* by_person: a person's wish stands; ordered: an order's */
};

/* Locks sender and case in everybody's order and reads them. RC_CONFLICT: the version is another one. */
MUST_USE enum rc case_hold(struct pg *c, const struct decision *d, int64_t now_us, struct arena *a,
	struct held_case *out, struct err *e);
/* The step of the table that the event means now. RC_INVALID, RC_DENIED. */
MUST_USE enum rc case_may(const struct decision *d, struct slice event, const struct held_case *k,
	const struct life_step **out, struct err *e);
/* case_step and its audit line. `more` is JSON. */
MUST_USE enum rc case_go(struct pg *c, const struct decision *d, const struct life_step *s,
	const struct held_case *k, const char *more, int64_t now_us, struct arena *a,
	struct decided_case *out, struct err *e);
/* A time that the active policy says: $1 what, $2 now. */
MUST_USE enum rc case_time(
	struct pg *c, const char *sql, int64_t what, int64_t now_us, int64_t *out, struct err *e);
/* Wishes end, reports are to hear `status`. */
MUST_USE enum rc case_undo(struct pg *c, const struct decision *d, const struct life_step *s,
	const char *status, int64_t now_us, struct arena *a, struct err *e);
MUST_USE enum rc case_found(struct pg *c, const struct decision *d, const struct life_step *s,
	int64_t now_us, struct arena *a, struct err *e);
