/* Any bytes as a question about the list: a lookup of one sender or many in any written form, and decisions in the form of CrowdSec's local API. The
 * first line is the target with its query, as it stands in a request; what follows is the body. The routes and handlers are the real ones, on a
 * list of a few entries; the HTTP library is not: its functions that they use stand here, and keep what was answered. A question is answered
 * once, in JSON that says nothing but what is on the list and was asked for. */
#include <assert.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/http_private.h"
#include "api/private.h"
#include "blocklist/mirror.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- in the place of the HTTP library */

static struct slice query_of_request;
static char *answered;
static size_t answered_len;
static int answers;

struct MHD_Response {
	int unused;
};
static struct MHD_Response only;

static struct MHD_Response *keep_answer(char *text, size_t len)
{
	free(answered);
	answered = text;
	answered_len = len;
	answers++;
	return &only;
}

struct MHD_Response *MHD_create_response_from_buffer(
	size_t size, void *buffer, enum MHD_ResponseMemoryMode mode)
{
	char *text = malloc(size + 1);

	(void)mode;
	if (text == NULL)
		abort();
	memcpy(text, buffer, size);
	return keep_answer(text, size);
}

struct MHD_Response *MHD_create_response_from_fd64(uint64_t size, int fd)
{
	char *text = malloc(size + 1);

	if (text == NULL || pread(fd, text, size, 0) != (ssize_t)size)
		abort();
	close(fd);
	return keep_answer(text, size);
}

enum MHD_Result MHD_add_response_header(
	struct MHD_Response *response, const char *header, const char *content)
{
	assert(response == &only && header[0] != '\0' && strpbrk(content, "\r\n") == NULL);
	return MHD_YES;
}

const char *MHD_lookup_connection_value(
	struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *key)
{
	(void)connection, (void)kind, (void)key;
	return NULL;
}

const union MHD_ConnectionInfo *MHD_get_connection_info(
	struct MHD_Connection *connection, enum MHD_ConnectionInfoType info_type, ...)
{
	(void)connection, (void)info_type;
	return NULL;
}

/* Names and values as sent, as the daemon's own way of taking them apart hands them over. */
int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
	MHD_KeyValueIteratorN iterator, void *iterator_cls)
{
	static char names[4096], *at;
	struct slice rest = query_of_request;

	(void)connection;
	at = names;
	for (struct slice one; slice_cut(&rest, '&', &one);) {
		struct slice name, value = one;

		if (!slice_cut(&value, '=', &name) ||
			names + sizeof(names) - at <= (int64_t)name.len)
			break;
		memcpy(at, name.ptr, name.len);
		at[name.len] = '\0';
		char *text = at;
		at += name.len + 1;
		if (iterator(iterator_cls, kind, text, name.len, value.ptr, value.len) != MHD_YES)
			break;
	}
	return 0;
}

/* ---- the list */

static const struct entry entries[] = {
	{SCOPE_NUMBER, "84912345678", SERVICE_SMS, "bar", "c-7k3q9w2m4x5zt", 0, "law", 1},
	{SCOPE_NUMBER, "84912345678", SERVICE_VOICE, "bar", "c-7k3q9w2m4x5zu", 4000000000, "law",
		1},
	{SCOPE_NUMBER, "447700900123", SERVICE_VOICE, "bar", "c-7k3q9w2m4x5zv", 0, "law", 1},
	{SCOPE_NUMBER, "84987654321", SERVICE_SMS, "throttle", "c-7k3q9w2m4x5zw", 0, "law", 1},
	{SCOPE_SHORT, "19005454", SERVICE_SMS, "bar", "c-7k3q9w2m4x5zx", 0, "law", 1},
	{SCOPE_NAME, "vay-tien", SERVICE_SMS, "bar", "c-7k3q9w2m4x5zy", 0, "law", 1},
	{SCOPE_NAME, "a\"b<\\", SERVICE_VOICE, "label", "c-7k3q9w2m4x5zz", 4000000000, "law", 1},
};

static struct api *the_api(void)
{
	static struct api a;
	static struct http http;
	struct edit edits[ARRAY_LEN(entries)] = {0};
	struct complaints c;
	struct table *t;
	struct plan *plan;
	struct err e;

	if (a.mirror != NULL)
		return &a;
	complaints_init(&c);
	if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &plan, &e) != RC_OK ||
		mirror_new(&a.mirror, &e) != RC_OK)
		abort();
	complaints_done(&c);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		edits[i] = (struct edit){.key = shard_key(entries[i].scope, entries[i].service,
						 slice_str(entries[i].value)),
			.e = entries[i],
			.ord = (uint32_t)i,
			.add = true};
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		edits[i].shard = shard_index(edits[i].key);
	if (table_edit(NULL, edits, ARRAY_LEN(edits), &t) != RC_OK)
		abort();
	snprintf(t->mark.list, sizeof(t->mark.list), "6a1f0000-0000-4000-8000-000000000001");
	t->mark.release = 1;
	t->mark.count = (int64_t)ARRAY_LEN(entries);
	mirror_publish(a.mirror, t, clk_system.mono_us(&clk_system));
	a.s.clk = &clk_system;
	a.s.plan = plan;
	a.stale_max_s = INT64_C(1) << 30;
	a.m.lookups = metric_family(METRIC_COUNTER, "khien_lookups_total", "answer", "");
	a.http = &http;
	return &a;
}

/* ---- what an answer has to keep to */

static bool is_listed(struct json one, enum service service)
{
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (entries[i].service == service &&
			slice_eq(json_text(json_get(one, "value")), slice_str(entries[i].value)) &&
			slice_eq(json_text(json_get(one, "scope")),
				slice_str(scope_name(entries[i].scope))))
			return true;
	return false;
}

/* Decisions: of the scopes and the origin that were asked for. */
static void check_decisions(struct exchange *x, struct json list)
{
	struct slice scopes = {0}, origins = {0}, key;
	struct json one;

	(void)x_query(x, "scopes", &scopes);
	(void)x_query(x, "origins", &origins);
	for (struct json_iter it = json_iter(list); json_next(&it, &key, &one);) {
		struct slice scenario = json_text(json_get(one, "scenario")),
			     scope = json_text(json_get(one, "scope"));

		assert(slice_eq(json_text(json_get(one, "type")), SLICE("ban")));
		assert(is_listed(
			one, slice_eq(scenario, SLICE("khien/sms")) ? SERVICE_SMS : SERVICE_VOICE));
		assert(scopes.len == 0 ||
			memmem(scopes.ptr, scopes.len, scope.ptr, scope.len) != NULL);
		assert(origins.len == 0 || memmem(origins.ptr, origins.len, "khien", 5) != NULL);
	}
}

static void check_entry(struct json one)
{
	enum service service;

	assert(service_parse(json_text(json_get(one, "service")), &service));
	assert(is_listed(one, service));
}

static void check_answer(struct exchange *x, const struct route *route)
{
	static struct json_parser *parser;
	struct json body;
	struct err e;

	assert(answers == 1 && x->response == &only);
	assert(x->status == 200 || x->status == 204 || x->status == 400 || x->status == 404 ||
		x->status == 405 || x->status == 413);
	assert((x->status == 204) == (answered_len == 0));
	if (answered_len == 0)
		return;
	if (parser == NULL && (parser = json_parser_new()) == NULL)
		abort();
	assert(json_parse(parser, slice_of(answered, answered_len), &body, &e) == RC_OK);
	if (x->status != 200)
		return;
	if (route->run == handle_decisions && body.kind == JSON_LIST)
		check_decisions(x, body);
	if (route->run == handle_decision_stream) {
		check_decisions(x, json_get(body, "new"));
		assert(json_count(json_get(body, "deleted")) == 0);
	}
	if (route->run == handle_lookup)
		check_entry(body);
	if (route->run == handle_lookup_many) {
		struct json one;
		struct slice key;

		for (struct json_iter it = json_iter(json_get(body, "results"));
			json_next(&it, &key, &one);)
			if (json_get(one, "entry").kind == JSON_MAP)
				check_entry(json_get(one, "entry"));
	}
}

/* The question where a client stands needs the ledger, so the whole is asked for. */
static bool from_memory(struct exchange *x, const struct route *route)
{
	struct slice startup = {0};

	(void)x_query(x, "startup", &startup);
	return route->run == handle_lookup || route->run == handle_lookup_many ||
		route->run == handle_decisions ||
		(route->run == handle_decision_stream && slice_eq(startup, SLICE("true")));
}

static void ask(struct api *a, struct exchange *x, struct request *r)
{
	request_decode_query(x);
	if (x->bad != NULL) {
		assert(answer_refusal(x) && x->status == 400);
		return;
	}
	r->route = route_find(x, r->variable);
	if (r->route == NULL || !from_memory(x, r->route)) {
		assert(answers == (r->route == NULL ? 1 : 0));
		return;
	}
	r->route->run(a, NULL, x);
	check_answer(x, r->route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size), target = {0}, path = {0};
	struct exchange *x = calloc(1, sizeof(*x));
	struct request *r = calloc(1, sizeof(*r));
	struct api *a = the_api();

	if (x == NULL || r == NULL)
		abort();
	(void)slice_cut(&rest, '\n', &target);
	query_of_request = target;
	(void)slice_cut(&query_of_request, '?', &path);
	x->http = a->http;
	x->method = rest.len > 0 ? "POST" : "GET";
	x->path = strndup(path.len > 0 ? path.ptr : "", path.len);
	x->inside_handler = true;
	pthread_mutex_init(&x->lock, NULL);
	buf_init(&x->body, BOUND_HTTP_BODY);
	buf_add(&x->body, rest);
	x_keep(x, r);
	answers = 0;
	ask(a, x, r);
	assert(answers <= 1);
	pthread_mutex_destroy(&x->lock);
	buf_done(&x->body);
	free(x->query_text);
	free(x->path);
	free(x->kept);
	free(x);
	return 0;
}
