/* The HTTP client: libcurl's easy interface. A time-out is of silence, not of the whole, so that a large answer may take its time; a
 * connection that died is made anew by the library. */
#include "wire/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#define PATH_MAX_BYTES 2048

struct http {
	CURL *curl;
	struct curl_slist *headers, *post_headers;
	char base[1024], why[CURL_ERROR_SIZE];
	struct http_settings s;
	/* of the question under way */
	http_sink *sink;
	void *arg;
	struct buf *problem;
	bool refused, internal;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	long status = 0;

	(void)size; /* 1 */
	(void)curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && h->sink != NULL) {
		h->refused = !h->sink(h->arg, slice_of(bytes, n));
		return h->refused ? 0 : n;
	}
	if (h->problem != NULL && !h->problem->failed)
		buf_add(h->problem, slice_of(bytes, n));
	return n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *h = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return h->s.stop != NULL && __atomic_load_n(h->s.stop, __ATOMIC_RELAXED) != 0;
}

static bool internal_v4(uint32_t a)
{
	return a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 || a >> 28 >= 14 ||
		a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 16 == 0xa9fe ||
		a >> 22 ==
		0x64400000u >> 22; /* 0, 10, 127, multicast and above, 172.16/12, 192.168,
						 169.254, 100.64/10 */
}

bool http_internal_address(const void *sockaddr)
{
	const struct sockaddr *any = sockaddr;

	if (any->sa_family == AF_INET)
		return internal_v4(ntohl(((const struct sockaddr_in *)sockaddr)->sin_addr.s_addr));
	if (any->sa_family != AF_INET6)
		return true;
	const struct in6_addr *a = &((const struct sockaddr_in6 *)sockaddr)->sin6_addr;
	uint32_t last;

	memcpy(&last, a->s6_addr + 12, sizeof(last));
	if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a))
		return internal_v4(ntohl(last));
	if (a->s6_addr[0] == 0 && a->s6_addr[1] == 0x64 && a->s6_addr[2] == 0xff &&
		a->s6_addr[3] == 0x9b) /* translated to IPv4 */
		return internal_v4(ntohl(last));
	return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
		IN6_IS_ADDR_MULTICAST(a) || (a->s6_addr[0] & 0xfe) == 0xfc;
}

/* Here the name is resolved already: what a name says the second time does not matter. */
static curl_socket_t open_public(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	if (http_internal_address(&address->addr)) {
		*(bool *)arg = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

#define SET(option, value) good = good && curl_easy_setopt(h->curl, option, value) == CURLE_OK

static bool setup(struct http *h)
{
	bool good = true;

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, h->why);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_ACCEPT_ENCODING, "");
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)h->s.connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, h);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, h);
	if (h->s.public_only) {
		SET(CURLOPT_OPENSOCKETFUNCTION, open_public);
		SET(CURLOPT_OPENSOCKETDATA, &h->internal);
		SET(CURLOPT_NOPROXY, "*");
	}
	if (h->s.agent != NULL)
		SET(CURLOPT_USERAGENT, h->s.agent);
	if (h->s.ca_file != NULL && h->s.ca_file[0] != '\0')
		SET(CURLOPT_CAINFO, h->s.ca_file);
	return good;
}

static bool add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *grown = curl_slist_append(*list, text);

	if (grown != NULL)
		*list = grown;
	return grown != NULL;
}

static bool make_headers(struct http *h)
{
	char line[1200];
	bool good = true;

	if (h->s.key != NULL && h->s.key[0] != '\0') {
		(void)snprintf(line, sizeof(line), "Authorization: Bearer %.1000s", h->s.key);
		good = add_header(&h->headers, line) && add_header(&h->post_headers, line);
	}
	return good && add_header(&h->post_headers, "Content-Type: application/json") &&
		add_header(&h->post_headers, "Expect:");
}

static bool printable(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if (*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

enum rc http_open(const struct http_settings *s, struct http **out, struct err *e)
{
	OWN(http_close) struct http *h = calloc(1, sizeof(*h));
	size_t len = strlen(s->base);

	if (h == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	while (len > 0 && s->base[len - 1] == '/')
		len--;
	if ((strncmp(s->base, "http://", 7) != 0 && strncmp(s->base, "https://", 8) != 0) ||
		len >= sizeof(h->base) || !printable(s->base))
		return err_set(e, RC_INVALID, "the address is not http://HOST:PORT or https://…");
	if (!printable(s->key))
		return err_set(e, RC_INVALID, "the key holds blanks or line ends");
	memcpy(h->base, s->base, len);
	h->s = *s;
	(void)pthread_once(&once, init);
	h->curl = curl_easy_init();
	if (h->curl == NULL || !setup(h) || !make_headers(h))
		return err_set(e, RC_RETRY, "the HTTP client cannot be set up");
	*out = TAKE(h);
	return RC_OK;
}

void http_close(struct http *h)
{
	if (h == NULL)
		return;
	if (h->curl != NULL)
		curl_easy_cleanup(h->curl);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->post_headers);
	free(h);
}

static enum rc perform(struct http *h, const char *path, int extra_s, int *status,
	struct buf *problem, struct err *e)
{
	char url[sizeof(h->base) + PATH_MAX_BYTES];
	long code = 0;
	bool good = true;

	(void)snprintf(url, sizeof(url), "%s%.*s", h->base, PATH_MAX_BYTES - 1, path);
	h->problem = problem;
	h->refused = h->internal = false;
	h->why[0] = '\0';
	if (problem != NULL)
		buf_clear(problem);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_LOW_SPEED_TIME, (long)(h->s.silence_s + extra_s));
	if (!good)
		return err_set(e, RC_RETRY, "the HTTP client cannot be set up");
	CURLcode rc = curl_easy_perform(h->curl);

	if (h->refused)
		return err_set(e, RC_LIMIT, "the answer was not taken to its end");
	if (rc != CURLE_OK && h->internal)
		return err_set(e, RC_DENIED, "%s: an internal address", h->base);
	if (rc != CURLE_OK) {
		bool who = rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE;

		return err_set(e, who ? RC_INVALID : RC_RETRY, "%s: %s", h->base,
			h->why[0] != '\0' ? h->why : curl_easy_strerror(rc));
	}
	(void)curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &code);
	*status = (int)code;
	return RC_OK;
}

enum rc http_get(struct http *h, const char *path, int silence_extra_s, http_sink *sink, void *arg,
	int *status, struct buf *problem, struct err *e)
{
	bool good = true;

	h->sink = sink;
	h->arg = arg;
	SET(CURLOPT_HTTPGET, 1L);
	SET(CURLOPT_HTTPHEADER, h->headers);
	return good ? perform(h, path, silence_extra_s, status, problem, e)
		    : err_set(e, RC_RETRY, "the HTTP client cannot be set up");
}

enum rc http_post_with(struct http *h, const char *path, const char *header, struct slice body,
	int *status, struct buf *problem, struct err *e)
{
	struct curl_slist *kept = h->post_headers,
			  one = {.data = (char *)(uintptr_t)header, .next = kept};

	h->post_headers = &one;
	enum rc rc = http_post(h, path, body, status, problem, e);
	h->post_headers = kept;
	return rc;
}

enum rc http_post(struct http *h, const char *path, struct slice body, int *status,
	struct buf *problem, struct err *e)
{
	bool good = true;

	h->sink = NULL;
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	SET(CURLOPT_POSTFIELDS, body.ptr);
	SET(CURLOPT_HTTPHEADER, h->post_headers);
	return good ? perform(h, path, 0, status, problem, e)
		    : err_set(e, RC_RETRY, "the HTTP client cannot be set up");
}
