/* Log-in of people and their sessions: the cookie, the CSRF token, who is asking. Passwords, codes and lock-out are the ledger's
 * (cases/person.c). Leaves out rights, which are the dispatcher's. */
#include <stdio.h>

#include "api/private.h"

#define HASHING_AT_ONCE 2 /* each takes 64 MiB and a core for some tenths of a second */

void actor_of(const struct request *r, char out[80])
{
	snprintf(out, 80, "%s:%.63s", r->who.person ? "person" : "token", r->who.name);
}

void session_csrf(const struct api *a, const struct request *r, char out[40])
{
	uint8_t mac[MAC_LEN];

	keys_mac(a->s.keys, "csrf", slice_str(r->token), mac);
	for (size_t i = 0; i < MAC_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

bool session_write_good(const struct api *a, struct exchange *x)
{
	struct slice given = x_header(x, "X-Csrf-Token");
	char want[40];

	if (slice_eq(x_method(x), SLICE("GET")) || is_head(x))
		return true;
	session_csrf(a, request_of(x), want);
	return given.len == strlen(want) && const_time_eq(given.ptr, want, given.len);
}

/* TLS ends in front of us, and what ends it says so. */
static bool over_tls(const struct exchange *x)
{
	struct slice forwarded = x_header(x, "Forwarded");

	if (slice_eq_nocase(x_header(x, "X-Forwarded-Proto"), SLICE("https")))
		return true;
	return forwarded.ptr != NULL && strcasestr(forwarded.ptr, "proto=https") != NULL;
}

static void set_cookie(struct exchange *x, const char *token, int64_t ttl_s)
{
	char value[200];

	snprintf(value, sizeof(value),
		SESSION_COOKIE "=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s", token,
		(long long)ttl_s, over_tls(x) ? "; Secure" : "");
	x_set_header(x, "Set-Cookie", value);
}

/* Strict: exactly these fields, all texts. */
static bool take_login(struct exchange *x, struct json body, struct login *l)
{
	struct slice key;
	struct json value;

	for (struct json_iter it = json_iter(body); json_next(&it, &key, &value);) {
		struct slice *to = slice_eq(key, SLICE("name")) ? &l->name
			: slice_eq(key, SLICE("password"))      ? &l->password
			: slice_eq(key, SLICE("code"))          ? &l->code
								: NULL;
		if (to == NULL || value.kind != JSON_TEXT) {
			http_problem(x, 400, "Bad Request",
				"the body is {\"name\",\"password\",\"code\"}, all texts");
			return false;
		}
		*to = json_text(value);
	}
	if (body.kind == JSON_MAP && l->name.len > 0 && l->name.len <= PERSON_NAME &&
		l->password.len > 0 && l->password.len <= PASSWORD_MAX &&
		memchr(l->name.ptr, '\0', l->name.len) == NULL)
		return true;
	http_problem(x, 400, "Bad Request", "name and password are needed");
	return false;
}

static void refused(
	struct exchange *x, enum rc rc, const struct session_new *s, const struct err *e)
{
	if (rc == RC_LIMIT) {
		x_set_header(x, "Retry-After", "900");
		http_problem(x, 429, "Too Many Requests", "%s", e->text);
	} else if (rc == RC_DENIED) {
		x_set_header(x, "WWW-Authenticate", s->code_wanted ? "Code" : "Password");
		http_problem(x, 401, "Unauthorized", "%s", e->text);
	} else
		answer_failure(x, rc, e);
}

static void who_out(const struct api *a, const struct request *r, struct buf *b)
{
	char csrf[40];

	buf_add(b, SLICE("{\"name\":"));
	buf_json(b, slice_str(r->who.name));
	buf_fmt(b, ",\"role\":\"%s\",\"loopback\":%s,\"person\":%s", r->who.role,
		r->who.loopback ? "true" : "false", r->who.person ? "true" : "false");
	if (r->session) {
		session_csrf(a, r, csrf);
		buf_fmt(b, ",\"csrf\":\"%s\"", csrf);
	}
	buf_add(b, SLICE("}\n"));
}

static void log_in(struct api *a, struct pg *pg, struct exchange *x, struct login *l)
{
	struct request *r = request_of(x);
	struct session_new s;
	struct err e = {0};
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	enum rc rc = person_login(pg, a->s.keys, l, a->s.clk->now_us(a->s.clk), &s, &e);
	if (rc != RC_OK) {
		refused(x, rc, &s, &e);
		return;
	}
	snprintf(r->token, sizeof(r->token), "%s", s.token);
	snprintf(r->who.name, sizeof(r->who.name), "%.*s", (int)l->name.len, l->name.ptr);
	snprintf(r->who.role, sizeof(r->who.role), "%s", s.role);
	r->who.person = r->session = true;
	set_cookie(x, s.token, l->ttl_s);
	who_out(a, r, &b);
	http_answer(x, 200, "application/json", buf_slice(&b));
}

/* Another site's page can send no JSON here without being asked by the browser first, which we do not answer. */
static bool own_page(const struct exchange *x)
{
	struct slice site = x_header(x, "Sec-Fetch-Site");

	return slice_starts(x_header(x, "Content-Type"), SLICE("application/json")) &&
		(site.ptr == NULL || slice_eq(site, SLICE("same-origin")));
}

void handle_login(struct api *a, struct pg *pg, struct exchange *x)
{
	static _Atomic int hashing;
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	struct json body = {0};
	struct err e = {.text = "out of memory"};
	char address[64];
	struct login l = {.address = address,
		.code_needed = strcmp(conf_text(a->s.conf, "login.code"), "required") == 0,
		.idle_s = conf_int(a->s.conf, "login.idle"),
		.ttl_s = conf_int(a->s.conf, "login.ttl")};

	x_address(x, address);
	if (!own_page(x)) {
		http_problem(x, 415, "Unsupported Media Type",
			"a log-in is application/json from this server's own page");
		return;
	}
	if (parser == NULL || json_parse(parser, x_body(x), &body, &e) != RC_OK) {
		http_problem(x, 400, "Bad Request", "the body is no JSON object: %s", e.text);
		return;
	}
	if (!take_login(x, body, &l))
		return;
	if (atomic_fetch_add(&hashing, 1) < HASHING_AT_ONCE)
		log_in(a, pg, x, &l);
	else {
		x_set_header(x, "Retry-After", "1");
		http_problem(x, 503, "Service Unavailable", "too many log-ins at once");
	}
	atomic_fetch_sub(&hashing, 1);
}

void handle_logout(struct api *a, struct pg *pg, struct exchange *x)
{
	const struct request *r = request_of(x);
	struct err e = {0};

	if (!r->session) {
		http_problem(x, 400, "Bad Request", "this is a token's request, no session's");
		return;
	}
	enum rc rc = session_end(
		pg, a->s.keys, slice_str(r->token), r->who.name, a->s.clk->now_us(a->s.clk), &e);
	if (rc != RC_OK && rc != RC_NONE) {
		answer_failure(x, rc, &e);
		return;
	}
	uint8_t mac[SHA256_LEN];
	keys_token_mac(a->s.keys, slice_str(r->token), mac);
	tokens_forget(a->tokens, mac);
	set_cookie(x, "", 0);
	http_answer(x, 204, NULL, SLICE(""));
}

void handle_me(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;

	(void)pg;
	buf_init(&b, 4096);
	who_out(a, request_of(x), &b);
	http_answer(x, 200, "application/json", buf_slice(&b));
}
