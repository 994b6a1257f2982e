/* What another policy, pack or model would have decided: docs/replay.md. */
#pragma once

#include "base/base.h"
#include "wire/wire.h"

struct replay_settings {
	int64_t from, to, now;                            /* decisions in [from, to) */
	const char *policy_file, *rules_dir, *model_file; /* NULL: the active one */
	const char *homoglyphs;                           /* beside rules_dir */
	bool (*put)(void *arg, struct slice line);        /* a difference: one JSON object and LF */
	void *arg;
	const volatile int *stop; /* may be NULL */
};
struct replay_done {
	char policy[64], rules[512], model[128];
	size_t reports, senders;
	size_t judged_again, label_changed; /* texts */
	size_t was, would, same;            /* episodes */
	size_t blocked, freed, changed;     /* senders, per service and class */
	size_t protected_hit;               /* of those that would have been blocked */
	size_t upheld, overturned;          /* of those, whose case people have closed since */
};
/* In one read-only transaction of `pg`, sender after sender; memory does not grow with the span. RC_INVALID: a file is wrong. */
MUST_USE enum rc engine_replay(
	struct pg *pg, const struct replay_settings *s, struct replay_done *out, struct err *e);
