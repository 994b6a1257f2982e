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
	bool machines_only; /* a process of other roles: health, readiness and metrics, and no list */
};

struct api;
/* Listens on api.listen ("127.0.0.1:8156"; port 0 picks one) and follows the list in memory. */
MUST_USE enum rc api_start(const struct api_settings *s, struct api **out, struct err *e);
int api_port(const struct api *a);
void api_stop(struct api *a); /* answers what is under way, at most 5 s */

extern const struct conf_table api_conf; /* api.listen, api.threads, api.max_connections … */
