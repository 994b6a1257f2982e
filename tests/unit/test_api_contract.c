/* The contract and the routes are the same set, both ways, each operation with the roles of its route; requests are held to its schemas. */
#include "api/private.h"
#include "tests/unit/check.h"

static struct contract *k;

static void path_there(const char *path, char out[128])
{
	const char *dots = strstr(path, "...}");

	if (dots != NULL)
		(void)snprintf(out, 128, "%.*s}%s", (int)(dots - path), path, dots + 4);
	else
		(void)snprintf(out, 128, "%s", path);
}

static void test_every_route_is_described(void)
{
	for (size_t i = 0; i < api_routes_count; i++) {
		struct json op = contract_operation(k, &api_routes[i]);
		BUF_OWN struct buf roles, want;

		buf_init(&roles, 1024);
		buf_init(&want, 1024);
		check_that(op.kind == JSON_MAP, __FILE__, __LINE__,
			"%s %s is not in api/openapi.json", api_routes[i].method,
			api_routes[i].path);
		struct json_iter it = json_iter(json_get(op, "x-roles"));
		struct slice key;
		struct json one;
		while (json_next(&it, &key, &one)) {
			buf_fmt(&roles, "%s", roles.len > 0 ? "|" : "");
			buf_add(&roles, json_text(one));
		}
		/* the order of roles says nothing */
		struct slice rest = slice_str(api_routes[i].roles), role;
		while (slice_cut(&rest, '|', &role))
			want.len += role.len + 1;
		check_that(roles.len + (want.len > 0) == want.len, __FILE__, __LINE__,
			"%s %s: roles %s, described %s", api_routes[i].method, api_routes[i].path,
			api_routes[i].roles, roles.len > 0 ? roles.ptr : "");
		rest = slice_str(api_routes[i].roles);
		while (slice_cut(&rest, '|', &role))
			check_that(roles.ptr != NULL &&
					memmem(roles.ptr, roles.len, role.ptr, role.len) != NULL,
				__FILE__, __LINE__, "%s: role not described", api_routes[i].path);
	}
}

static void test_everything_described_is_a_route(void)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	struct json root, item, op;
	struct slice path, method;
	struct err e;
	int operations = 0;

	CHECK_INT(json_parse(p, contract_text(), &root, &e), RC_OK);
	struct json_iter paths = json_iter(json_get(root, "paths"));
	while (json_next(&paths, &path, &item)) {
		struct json_iter methods = json_iter(item);
		while (json_next(&methods, &method, &op)) {
			bool found = false;
			operations++;
			for (size_t i = 0; i < api_routes_count; i++) {
				char there[128];
				path_there(api_routes[i].path, there);
				found = found ||
					(slice_eq(path, slice_str(there)) &&
						slice_eq_nocase(
							method, slice_str(api_routes[i].method)));
			}
			check_that(found, __FILE__, __LINE__, "%.*s %.*s is described and no route",
				(int)method.len, method.ptr, (int)path.len, path.ptr);
		}
	}
	CHECK_INT(operations, (int)api_routes_count);
}

static const char *checked(const char *path, const char *body)
{
	static struct err e;
	struct json value;
	struct json_parser *p = json_parser_new();
	enum rc rc = RC_NONE;

	e.text[0] = '\0';
	for (size_t i = 0; i < api_routes_count; i++) {
		if (strcmp(api_routes[i].path, path) != 0 ||
			strcmp(api_routes[i].method, "POST") != 0)
			continue;
		struct json op = contract_operation(k, &api_routes[i]);
		struct json content = json_get(json_get(op, "requestBody"), "content");
		rc = json_parse(p, slice_str(body), &value, &e);
		if (rc == RC_OK)
			rc = contract_check(k,
				json_get(json_get(content, "application/json"), "schema"), value,
				&e);
	}
	json_parser_free(p);
	return rc == RC_OK ? "" : e.text;
}

static void test_a_body_is_held_to_its_schema(void)
{
	static const struct {
		const char *path, *body, *want;
	} cases[] = {
		{"/v1/cases/{id}/actions", "{\"action\":\"uphold\",\"reason\":\"seen it\"}", ""},
		{"/v1/cases/{id}/actions",
			"{\"action\":\"uphold\",\"reason\":\"seen it\",\"until\":null}", ""},
		{"/v1/cases/{id}/actions", "{\"action\":\"uphold\"}", "reason is missing"},
		{"/v1/cases/{id}/actions",
			"{\"action\":\"uphold\",\"reason\":\"ok!\",\"untill\":null}",
			"untill is not known here"},
		{"/v1/cases/{id}/actions", "{\"action\":\"praise\",\"reason\":\"seen it\"}",
			"action is none of the values that it may have"},
		{"/v1/cases/{id}/actions",
			"{\"action\":\"bar\",\"reason\":\"seen it\",\"until\":\"soon\"}",
			"until is no time as in 2026-09-01T08:00:00+07:00"},
		{"/v1/cases/{id}/actions", "{\"action\":\"bar\",\"reason\":\"\\u1ee5\\u1ee5\"}",
			"reason is too short"},
		{"/v1/cases/{id}/actions", "{\"action\":\"bar\",\"reason\":7}",
			"reason has the wrong type"},
		{"/v1/cases/{id}/actions", "{\"action\":\"bar\",\"reason\":\"a\\u0000bc\"}",
			"reason holds a NUL"},
		{"/v1/cases/{id}/actions", "[]", "the body has the wrong type"},
		{"/v1/cases/bulk", "{\"cases\":[],\"action\":\"lift\",\"reason\":\"all wrong\"}",
			"cases has too few items"},
		{"/v1/cases/bulk",
			"{\"cases\":[\"c-0123456789abc\",\"c-1\"],\"action\":\"lift\",\"reason\":"
			"\"all wrong\"}",
			"cases[1] does not have the form ^c-[0-9a-z]{13}$"},
		{"/v1/tokens", "{\"name\":\"a\",\"role\":\"feed\",\"ttl_s\":-1}",
			"ttl_s is too small"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(checked(cases[i].path, cases[i].body), cases[i].want);
}

int main(void)
{
	struct err e;

	k = contract_new(&e);
	CHECK(k != NULL);
	RUN(test_every_route_is_described);
	RUN(test_everything_described_is_a_route);
	RUN(test_a_body_is_held_to_its_schema);
	contract_free(k);
	return check_done();
}
