/* Which route a request means. Paths are compared as sent and only the variable part is decoded, so that an encoded slash never makes
 * another route of it. Leaves out rights. */
#include <stdio.h>

#include "api/private.h"

/* At most one {variable} segment; {variable...} at the end takes slashes too. */
static bool path_matches(const char *pattern, struct slice path, struct slice *variable)
{
	const char *p = path.ptr, *end = path.ptr + path.len;

	*variable = SLICE("");
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '{') {
			if (p == end || *p++ != *pattern)
				return false;
			continue;
		}
		const char *from = p, *close = strchr(pattern, '}');
		bool rest = close[-1] == '.';
		while (p < end && (rest || *p != '/'))
			p++;
		*variable = slice_of(from, (size_t)(p - from));
		pattern = close;
	}
	return p == end;
}

static bool method_is(const struct route *route, struct slice method)
{
	struct slice own = slice_str(route->method);

	return slice_eq(own, method) ||
		(slice_eq(own, SLICE("GET")) && slice_eq(method, SLICE("HEAD")));
}

static void not_allowed(struct exchange *x, const bool matched[])
{
	BUF_OWN struct buf allow;

	buf_init(&allow, 150);
	for (size_t i = 0; i < api_routes_count; i++) {
		if (!matched[i])
			continue;
		if (allow.len > 0)
			buf_add(&allow, SLICE(", "));
		buf_fmt(&allow, "%s%s", api_routes[i].method,
			strcmp(api_routes[i].method, "GET") == 0 ? ", HEAD" : "");
	}
	x_set_header(x, "Allow", buf_slice(&allow).ptr);
	http_problem(
		x, 405, "Method Not Allowed", "this path answers to %s", buf_slice(&allow).ptr);
}

const struct route *route_find(struct exchange *x, char variable[BOUND_PATH_PART])
{
	bool matched[API_MAX_ROUTES] = {false}, any = false;
	struct slice raw;
	const char *why;

	for (size_t i = 0; i < api_routes_count; i++) {
		if (!path_matches(api_routes[i].path, x_path(x), &raw))
			continue;
		matched[i] = any = true;
		if (!method_is(&api_routes[i], x_method(x)))
			continue;
		if (http_decode(raw, variable, BOUND_PATH_PART, &why))
			return &api_routes[i];
		http_problem(
			x, 400, "Bad Request", "the last part of the path cannot be read: %s", why);
		return NULL;
	}
	if (any)
		not_allowed(x, matched);
	else
		http_problem(x, 404, "Not Found", "there is no such path; see docs/api.md");
	return NULL;
}
