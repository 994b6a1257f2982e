/* Private to the room: the parts of the Redis projection. projection_redis.c follows release by release; redis_full.c writes and checks
 * the whole copy. */
#pragma once

#include "blocklist/list.h"

#define COPY_KEY 64         /* room of a key: blk:<service>:<scope>:<value> */
#define COPY_TTL_AFTER_S 60 /* a net only: readers compare until themselves, the keeper removes */
#define COPY_WINDOW 8192    /* commands in flight, at most */

struct projection {
	char *url;
	int timeout_ms;
	struct redis *r; /* NULL: not connected */
};

#define GEN_KEY SLICE("blk:gen")
#define STREAM_KEY SLICE("blk:changes")

/* One command and its answer. A failure ends the connection: WATCH and MULTI go with it, and the next call begins anew. */
MUST_USE enum rc copy_do(struct projection *p, const struct slice *argv, size_t argc,
	struct redis_reply *out, struct err *e);
/* The text at a key; anything else that is there reads as nothing. */
MUST_USE enum rc copy_get(
	struct projection *p, struct slice key, struct redis_reply *out, struct err *e);
/* Queues a command; when COPY_WINDOW are in flight the answers of the older half are taken, so that the server never stands still for
 * us. The first error answer is the failure. */
MUST_USE enum rc copy_send(
	struct projection *p, const struct slice *argv, size_t argc, struct err *e);
/* Takes all answers but the last `keep`. */
MUST_USE enum rc copy_drain(struct projection *p, size_t keep, struct err *e);
MUST_USE enum rc copy_connect(struct projection *p, struct err *e);
/* RC_INVALID: a server that throws entries away, or is too old. Asked when the connection is made, and by every sweep. */
MUST_USE enum rc copy_suits(struct projection *p, struct err *e);
/* EXEC and what it says. RC_CONFLICT: what was watched was touched, or a part of it failed; then blk:gen is gone. */
MUST_USE enum rc copy_exec(struct projection *p, struct err *e);
void copy_drop(struct projection *p);
#define ARGV(...)                            \
	(const struct slice[]){__VA_ARGS__}, \
		sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice)

size_t copy_key(const struct entry *e, char out[COPY_KEY]);
/* SET blk:… action|case|until|release, with its net. */
MUST_USE enum rc copy_set(struct projection *p, const struct entry *e, struct err *e2);
#define GEN_TEXT 192
struct slice gen_format(const struct list_mark *m, char out[GEN_TEXT]);
MUST_USE enum rc gen_parse(struct slice s, struct list_mark *out); /* RC_NONE: no mark of ours */

/* projection_ops */
MUST_USE enum rc copy_rebuild(struct projection *p, struct pg *c, struct err *e);
MUST_USE enum rc copy_sweep(struct projection *p, struct pg *c, struct err *e);
