/* engine: the worker loop (one batch: decode, judge, settle) and the keeper loop (one leader: releases, audit chain, projections, outbox
 * relay). Threads share nothing that changes; each loop ends when *stop becomes non-zero. */
#pragma once

#include "cases/cases.h"
#include "classifier/classifier.h"
#include "ingest/ingest.h"

struct engine_settings {
	const struct conf *conf;
	const struct clk *clk;
	const struct keys *keys;
	const struct plan *plan;
	const char *instance; /* "host-pid", unique */
	volatile int *stop;
};

static inline bool engine_stopping(const struct engine_settings *s)
{
	return __atomic_load_n(s->stop, __ATOMIC_RELAXED) != 0;
}

/* What judges right now: a pack and policy loaded by hash from the ledger, shared by workers, swapped between batches. */
struct judge;

struct worker;
MUST_USE enum rc worker_start(
	const struct engine_settings *s, int index, struct worker **out, struct err *e);
void worker_join(struct worker *w); /* after *stop */

struct keeper;
MUST_USE enum rc keeper_start(const struct engine_settings *s, struct keeper **out, struct err *e);
/* After SIGHUP: the protected list is read again, from the file that the fresh configuration names. k may be NULL. */
void keeper_reload(struct keeper *k, const struct conf *fresh);
void keeper_join(struct keeper *k);

/* First start: stores and activates the configured policy and packs when nothing is active. With `force` (SIGHUP, `khien activate`) makes the
 * configured files the active ones. */
MUST_USE enum rc engine_activate(const struct engine_settings *s, bool force, struct err *e);

/* Waits for the database and its schema; with `activate` sees to it that something is active (engine_activate without force). RC_OK also when
 * *stop came first. RC_INVALID: the schema or the configured files are wrong and will stay wrong. sql_dir: of the schema's files. */
MUST_USE enum rc engine_prepare(
	const struct engine_settings *s, const char *sql_dir, bool activate, struct err *e);

/* Takes a quarantined record through again, its kept bytes or edited ones. RC_INVALID: it would be quarantined again (nothing was changed),
 * or it cannot be; RC_CONFLICT: it is not open, or try again; RC_NONE: there is none. */
struct retry_order {
	struct quarantine_place place;
	struct slice edited; /* ptr NULL: the kept bytes */
	const char *actor, *why;
};
struct retry_answer {
	enum disposition disposition;
	char reason[64];
};
MUST_USE enum rc engine_retry(const struct engine_settings *s, const struct retry_order *o,
	struct retry_answer *out, struct err *e);

/* The same, answered as one line of JSON; what api_settings.retry wants, with the engine's settings as `arg`. */
MUST_USE enum rc engine_retry_json(void *settings, const struct quarantine_place *place,
	const char *actor, const char *why, struct slice record, char *answer, size_t room,
	struct err *e);

/* Health of the loops, for /readyz: true when every part is able to work; `why` lists what is not. */
bool engine_ready(struct buf *why);

/* ---- what another policy, pack or model would have decided: docs/replay.md ---- */
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

/* The watch window of the file (name,from,to,policy) that now_us is in; name "": none. RC_INVALID: complaints. */
MUST_USE enum rc watch_read(const char *path, int64_t now_us, struct complaints *c, char name[64],
	char policy[600], struct err *e);

extern const struct conf_table
	engine_conf; /* mode, workers, batch.records, batch.linger_ms, policy.file, rules.dir … */
