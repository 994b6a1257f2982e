/* Redis over hiredis: one connection per owner. After any time-out or error the connection is thrown away, never reused: a late reply
 * would answer the next command. Values are binary safe. */
#pragma once

#include "base/base.h"

struct redis;

enum redis_kind { REDIS_NIL, REDIS_TEXT, REDIS_INT, REDIS_LIST, REDIS_STATUS, REDIS_ERROR };

/* A borrowed view of a reply; valid until the next command or close. */
struct redis_reply {
	enum redis_kind kind;
	struct slice text; /* TEXT, STATUS, ERROR */
	int64_t integer;
	const void *private_list;
	size_t count;
};

/* url: redis://[:password@|user:password@]host:port[/db] or unix:///path[?db=N]. Refuses a Redis Cluster node with a clear error
 * (RC_INVALID). RC_RETRY when it cannot be reached, is loading, or answers READONLY. */
MUST_USE enum rc redis_open(const char *url, int timeout_ms, struct redis **out, struct err *e);
void redis_close(struct redis *r);
OWNER(redis_close, struct redis);
/* Appends one command to the outgoing pipeline: argc slices. */
MUST_USE enum rc redis_send(struct redis *r, const struct slice *argv, size_t argc, struct err *e);
/* The next reply in order. An error reply is RC_OK with kind REDIS_ERROR; RC_RETRY means that the connection is dead: close it. */
MUST_USE enum rc redis_recv(struct redis *r, struct redis_reply *out, struct err *e);
/* Send and receive one command; an error reply becomes RC_RETRY (LOADING, READONLY, OOM, MISCONF, …) or RC_INVALID (WRONGTYPE, syntax). */
MUST_USE enum rc redis_do(struct redis *r, const struct slice *argv, size_t argc,
	struct redis_reply *out, struct err *e);
struct redis_reply redis_item(const struct redis_reply *list, size_t i);
size_t redis_pending(const struct redis *r); /* commands sent and not yet received */
