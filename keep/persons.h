/* Private to keep: forgetting one person, shared by the verb and by restores, and the lists of who was forgotten. */
#pragma once

#include "keep/keep.h"

/* Mapping, key and content of whoever has this MAC, as far as they were stored up to at_us. Inside the caller's transaction. *reports says how
 * many lost their content; -1: there was nobody. */
MUST_USE enum rc person_forget(struct pg *c, struct slice mac, int64_t at_us, const char *actor,
	const char *why, int64_t *reports, struct err *e);
/* One line onto every list of the configuration; RC_INVALID when not all of them took it. */
MUST_USE enum rc erasures_append(
	const struct conf *c, struct slice mac, int64_t at_us, struct err *e);
/* Replays the lines of a file. RC_NONE: there is no such file; RC_INVALID: a line that is none. */
MUST_USE enum rc erasures_replay(struct pg *c, const char *path, int64_t *erased, struct err *e);
