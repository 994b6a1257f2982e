/* What libmicrohttpd refuses by itself (no HTTP, or too long a head) it answers with a page of its own, and offers no way to say it otherwise. It does
 * so through its public MHD_queue_response, which the program overrides here: our own answers pass, the others become problem+json with a
 * request id. Where a build of the library binds that call within itself, its plain answers remain and nothing else changes. */
#include <dlfcn.h>
#include <microhttpd.h>
#include <stdio.h>

#include "api/http_private.h"

typedef enum MHD_Result queue_function(
	struct MHD_Connection *c, unsigned status, struct MHD_Response *r);

static _Thread_local bool ours;

static queue_function *library_queue(void)
{
	static _Atomic(void *) found;
	void *at = atomic_load(&found);
	queue_function *f;

	if (at == NULL) {
		at = dlsym(RTLD_NEXT, "MHD_queue_response");
		atomic_store(&found, at);
	}
	memcpy(&f, &at, sizeof(f));
	return f;
}

static const char *title_of(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return status < 500 ? "Refused" : "Internal Server Error";
	}
}

static struct MHD_Response *problem(unsigned status, const char *id)
{
	bool length = status == 413 || status == 414 || status == 431;
	char body[512];
	int n = snprintf(body, sizeof(body),
		"{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s%d%s\","
		"\"request_id\":\"%s\"}\n",
		title_of(status), status,
		length ? "request line and headers may have at most "
		       : "this is no request of HTTP/",
		length ? PER_CONNECTION_BYTES : 1,
		length ? " bytes in all" : ".1 that can be understood", id);

	return MHD_create_response_from_buffer((size_t)n, body, MHD_RESPMEM_MUST_COPY);
}

static void count(unsigned status)
{
	char code[8];

	snprintf(code, sizeof(code), "%u", status % 1000);
	metric_add(
		metric_at(metric_family(METRIC_COUNTER, "khien_http_refused_total", "code",
				  "Requests refused before they were read: no HTTP, or too long."),
			code, NULL, NULL),
		1);
}

__attribute__((visibility("default"))) enum MHD_Result MHD_queue_response(
	struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
	char id[24];

	if (ours || status < 400)
		return library_queue()(c, status, r);
	count(status);
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)random_u64());
	struct MHD_Response *own = problem(status, id);
	if (own == NULL)
		return library_queue()(c, status, r);
	MHD_add_response_header(own, "Content-Type", "application/problem+json");
	MHD_add_response_header(own, "X-Request-Id", id);
	MHD_add_response_header(own, "X-Content-Type-Options", "nosniff");
	enum MHD_Result ok = library_queue()(c, status, own);
	MHD_destroy_response(own);
	return ok;
}

bool refusal_queue(struct exchange *x)
{
	ours = true;
	enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)x->status, x->response);
	ours = false;
	return ok == MHD_YES;
}
