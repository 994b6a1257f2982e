/* Who asks, and whether they may: the token of a request against those in memory (tokens.c) or in the ledger, its role against the
 * route's. Leaves out what people may do to a case: that is the ledger's to say. */
#include "api/private.h"

#define TOKENS_OLD_US \
	(5 * US_PER_S) /* what asks the database anyway believes nothing older; what is answered   \
			* from memory is believed until the list itself is too old */

static bool role_allowed(const char *roles, const char *role)
{
	struct slice list = slice_str(roles);

	if (strcmp(roles, "*") == 0)
		return true;
	for (struct slice one; slice_cut(&list, '|', &one);)
		if (slice_eq(one, slice_str(role)))
			return true;
	return false;
}

static bool unauthorized(struct exchange *x)
{
	if (request_of(x)->route->lapi) {
		lapi_error(x, 403, "access forbidden");
		return false;
	}
	x_set_header(x, "WWW-Authenticate", "Bearer");
	http_problem(x, 401, "Unauthorized",
		"a valid token is needed: Authorization: Bearer … or Basic …, or X-Api-Key");
	return false;
}

/* True: go on. False: answered. */
static bool permitted(const struct api *a, struct exchange *x, const struct request *r)
{
	if (r->session && !session_write_good(a, x)) {
		http_problem(x, 403, "Forbidden",
			"a session's writes carry the header X-Csrf-Token, as /v1/me tells it");
		return false;
	}
	if (r->route->lapi &&
		((r->who.loopback && !x_loopback(x)) ||
			!role_allowed(r->route->roles, r->who.role)))
		return unauthorized(x);
	if (r->who.loopback && !x_loopback(x)) {
		http_problem(x, 403, "Forbidden", "this token works on loopback only");
		return false;
	}
	if (!role_allowed(r->route->roles, r->who.role)) {
		http_problem(x, 403, "Forbidden", "the role %s may not do this", r->who.role);
		return false;
	}
	return true;
}

bool token_still_good(struct api *a, const struct request *r)
{
	uint8_t mac[SHA256_LEN];
	struct token_who who;

	keys_token_mac(a->s.keys, slice_str(r->token), mac);
	return tokens_peek(a->tokens, mac, a->s.clk->now_us(a->s.clk), api_mono(a),
		       a->stale_max_s * US_PER_S + TOKENS_OLD_US, &who) == RC_OK;
}

bool recognise(struct api *a, struct exchange *x, struct request *r)
{
	struct slice token = token_given(x, r);
	uint8_t mac[SHA256_LEN];

	if (r->route->roles[0] == '\0') {
		r->known = true;
		return true;
	}
	if (token.len == 0 || !token_well_formed(token))
		return unauthorized(x);
	keys_token_mac(a->s.keys, token, mac);
	int64_t old_max_us = r->route->place == LAST_GOOD ? INT64_MAX
		: r->route->place == WITH_DATABASE || r->route->place == DESK
		? TOKENS_OLD_US
		: a->stale_max_s * US_PER_S + TOKENS_OLD_US;
	bool used = x_header(x, "X-Khien-Background").ptr == NULL;
	enum rc rc = (used ? tokens_get : tokens_peek)(
		a->tokens, mac, a->s.clk->now_us(a->s.clk), r->started_us, old_max_us, &r->who);
	if (rc == RC_DENIED)
		return unauthorized(x);
	r->known = rc == RC_OK;
	return !r->known || permitted(a, x, r);
}

bool identify(struct api *a, struct pg *pg, struct exchange *x)
{
	struct request *r = request_of(x);
	struct err e = {0};
	uint8_t mac[SHA256_LEN];

	if (r->known)
		return true;
	int64_t asked_us = api_mono(a);
	enum rc rc = token_check(
		pg, a->s.keys, slice_str(r->token), a->s.clk->now_us(a->s.clk), &r->who, &e);
	if (rc != RC_OK && rc != RC_DENIED && rc != RC_NONE) {
		answer_failure(x, rc, &e);
		return false;
	}
	keys_token_mac(a->s.keys, slice_str(r->token), mac);
	tokens_put(a->tokens, mac, asked_us, rc == RC_OK, &r->who);
	if (rc != RC_OK)
		return unauthorized(x);
	r->known = true;
	return permitted(a, x, r);
}
