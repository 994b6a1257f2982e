/* An HTTP client over libcurl: one connection per owner, one question at a time, kept open between questions. Bodies are handed over as they
 * come, unpacked. No redirect is followed, no other scheme than http and https spoken. Belongs to one thread. */
#pragma once

#include "base/base.h"

struct http;
struct http_settings {
	const char *base;          /* "https://host:port", without a path at the end */
	const char *key;           /* sent as Authorization: Bearer; may be NULL */
	const char *ca_file;       /* whom to trust instead of the system's; may be NULL */
	const char *agent;         /* User-Agent */
	int connect_ms, silence_s; /* to connect; most between two pieces of an answer */
	const volatile int *stop;  /* non-zero ends a question early; may be NULL */
	bool public_only; /* no connection to loopback, private and link-local addresses, whatever the name resolves to; no proxy */
};
/* Takes the next piece of a 200's body; false ends it: http_get then says RC_LIMIT. */
typedef bool http_sink(void *arg, struct slice piece);

/* RC_INVALID: no address of ours. Nothing is asked yet. */
MUST_USE enum rc http_open(const struct http_settings *s, struct http **out, struct err *e);
void http_close(struct http *h);
OWNER(http_close, struct http);
/* Asks for base + path. silence_extra_s: how much longer than usual the answer may be silent (a long poll). RC_OK: an answer came to its
 * end, *status says which; only a 200's body went to `sink`, the first of any other's is in *problem (may be NULL). RC_RETRY: none came,
 * or not all of it. RC_INVALID: the other side is not whom the certificate says. */
MUST_USE enum rc http_get(struct http *h, const char *path, int silence_extra_s, http_sink *sink,
	void *arg, int *status, struct buf *problem, struct err *e);
/* True for addresses that are nobody's but ours: loopback, private, link-local, multicast, unspecified, and the same mapped into IPv6. */
bool http_internal_address(const void *sockaddr);
/* Sends a JSON body with one more header line ("Name: value"). */
MUST_USE enum rc http_post_with(struct http *h, const char *path, const char *header,
	struct slice body, int *status, struct buf *problem, struct err *e);
/* Sends a JSON body. */
MUST_USE enum rc http_post(struct http *h, const char *path, struct slice body, int *status,
	struct buf *problem, struct err *e);
