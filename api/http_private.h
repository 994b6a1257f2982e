/* Private to the files that know libmicrohttpd: a request in flight, and the server. The library's types are only named here. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "api/http.h"

#define MAX_HEADERS 8
#define MAX_QUERY 16
#define PER_CONNECTION_BYTES (16 * 1024)

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;

enum stage { GATHERING, REFUSING, WAITING, READY };

struct exchange {
	struct http *http;
	struct MHD_Connection *conn;
	const char *method;
	char *path;
	struct buf body;
	size_t discarded;
	char request_id[64];
	void *kept;
	struct exchange *next;
	_Atomic enum stage stage;
	bool inside_handler; /* answered before the dispatcher returned: no resume needed */
	pthread_mutex_t lock;
	struct MHD_Response *response;
	int status;
	size_t headers;
	size_t queries;
	char *query_text; /* the decoded values */
	const char *bad;  /* why the request is refused with 400 */
	int refuse;       /* 413 or 503 */
	/* of an answer that goes on; under lock */
	bool streams, broken_off;
	struct shared *piece; /* NULL: the last one is sent */
	size_t piece_at;
	int64_t piece_us; /* when it was begun */
	/* not cleared: what counts of them is counted above */
	struct {
		char name[32], value[200];
	} header[MAX_HEADERS];
	struct {
		const char *name;
		struct slice value;
		int times;
	} query[MAX_QUERY];
};

struct http {
	struct http_options o;
	struct MHD_Daemon *daemon;
	int port;
	_Atomic bool quiet;
	_Atomic int in_flight;
	_Atomic size_t gathered;
	_Atomic uint64_t ids;
};

/* ---- http_request.c: what stands in the head ---- */
void request_id_set(struct exchange *x);
/* Values are decoded here, strictly: the library would cut them at an encoded NUL. Sets x->bad. */
void request_decode_query(struct exchange *x);
/* True: a body follows. Sets x->bad or x->refuse when it must not be read. */
bool request_body_follows(struct exchange *x);
/* ---- http_refusal.c ---- */
/* Gives the exchange's response to the library, as ours. */
MUST_USE bool refusal_queue(struct exchange *x);
/* ---- http_answer.c ---- */
/* Of a request whose head says already that it is refused. False: it is not. */
bool answer_refusal(struct exchange *x);
