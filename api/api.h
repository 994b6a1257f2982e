/* api: the HTTP edge: routes, tokens, problem+json, metrics, health, the status page. libmicrohttpd only in
 * http_mhd.c, http_request.c, http_answer.c and http_refusal.c. */
#pragma once

#include "cases/cases.h"

struct api_settings {
	const struct conf *conf;
	const struct clk *clk;
	const struct keys *keys;
	const struct plan *plan;
	bool (*ready)(struct buf *why); /* what /readyz asks; may be NULL */
	volatile int *stop;
	/* Takes a quarantined record through once more (record.ptr NULL: as it was kept) and answers one line of JSON. RC_INVALID: it would be
	 * quarantined again; RC_CONFLICT: it is not open. NULL: this process cannot. Called by several threads. */
	enum rc (*retry)(void *arg, const struct quarantine_place *place, const char *actor,
		const char *why, struct slice record, char *answer, size_t room, struct err *e);
	void *retry_arg;
	bool machines_only; /* a process of other roles: health, readiness and metrics, and no list */
	const char *
		console_dir; /* where the built console is when api.console does not say; it may be missing */
};

struct api;
/* Listens on api.listen ("127.0.0.1:8156"; port 0 picks one) and follows the list in memory. */
MUST_USE enum rc api_start(const struct api_settings *s, struct api **out, struct err *e);
int api_port(const struct api *a);
void api_stop(struct api *a); /* answers what is under way, at most 5 s */

extern const struct conf_table api_conf; /* api.listen, api.threads, api.max_connections … */
