/* Private to the keeper: what the leader does besides releases, each in its own time, and none of it able to hold up a release. */
#pragma once

#include <pthread.h>
#include <time.h>

#include "engine/engine.h"
#include "engine/head.h"

struct chores {
	struct engine_settings s;
	pthread_mutex_t lock; /* over protected_file */
	char protected_file[4096];
	int reload; /* atomic: 1 when the file is to be read at once */
	int64_t slow_at_us, head_at_us, gauges_at_us;
	int64_t audit_seq;                /* last head written */
	int64_t dirty_id, dirty_since_us; /* the oldest dirty key, and since when it is that */
	int64_t outbox_id, outbox_since_us;
	char orders_far[ORDERS_FAR];
	struct executors_seen executed;
	struct timespec registry_at
		[2]; /* of the files of brandnames and of the Do-Not-Call list, as loaded */
	bool busy;   /* releases follow one another: what can wait, does */
	/* the leader's, as of this tick; policy NULL: none could be loaded */
	const struct policy *policy;
	const struct control *control;
};

void chores_init(struct chores *c, const struct engine_settings *s);
/* Another thread: the protected list is read again from this file. */
void chores_reload(struct chores *c, const char *protected_file);
/* A new leader: everything is due. */
void chores_begin(struct chores *c);
/* Does what is due. A failure is logged, counted and told, the others are done all the same. */
/* forget.c: what came beside the reports and is over, a bounded part of it. */
MUST_USE enum rc forget_facts(
	const struct engine_settings *s, struct pg *pg, int64_t now_us, struct err *e);
MUST_USE enum rc chores_tick(struct chores *c, struct pg *pg, int64_t mono_us);

/* The head of the audit chain to syslog, where another machine may collect it. */
void to_syslog(long long seq, const char *hash);
