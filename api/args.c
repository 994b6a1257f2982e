/* What handlers ask of a request, and how a failed read is told. */
#include <stdio.h>

#include "api/private.h"

bool arg_service(struct exchange *x, int *service)
{
	struct slice s = x_query(x, "service");
	enum service found;

	*service = -1;
	if (s.ptr == NULL)
		return true;
	if (!service_parse(s, &found)) {
		http_problem(x, 400, "Bad Request", "service is sms or voice, not '%.*s'",
			(int)(s.len < 40 ? s.len : 40), s.ptr);
		return false;
	}
	*service = (int)found;
	return true;
}

/* A stored value of a number from abroad is bare E.164 digits; read back it needs its plus. */
enum sender_found parse_sender(const struct api *a, struct slice raw, struct sender *out)
{
	int64_t now_us = a->s.clk->now_us(a->s.clk);
	const char *why;
	char plus[24];
	enum sender_found found = sender_parse(a->s.plan, raw, now_us, out, &why);
	uint64_t digits;

	if (found == SENDER_OK || raw.len < 7 || raw.len > 15 || raw.ptr[0] == '0' ||
		slice_u64(raw, &digits) != RC_OK)
		return found;
	snprintf(plus, sizeof(plus), "+%.*s", (int)raw.len, raw.ptr);
	return sender_parse(a->s.plan, slice_str(plus), now_us, out, &why);
}

bool arg_int(
	struct exchange *x, const char *name, int64_t min, int64_t max, int64_t def, int64_t *out)
{
	struct slice s = x_query(x, name);

	*out = def;
	if (s.ptr == NULL || (slice_i64(s, out) == RC_OK && *out >= min && *out <= max))
		return true;
	http_problem(x, 400, "Bad Request", "%s is a whole number from %lld to %lld", name,
		(long long)min, (long long)max);
	return false;
}

void answer_failure(struct exchange *x, enum rc rc, const struct err *e)
{
	switch (rc) {
	case RC_NONE:
		http_problem(x, 404, "Not Found", "nothing is known of it");
		return;
	case RC_INVALID:
		http_problem(x, 400, "Bad Request", "%s", e->text);
		return;
	case RC_DENIED:
		http_problem(x, 403, "Forbidden", "%s", e->text);
		return;
	case RC_LIMIT:
		http_problem(x, 413, "Content Too Large", "%s", e->text);
		return;
	default: /* the cause may name hosts and statements: it goes to the log, not to the caller */
		log_warn("api", "request=%s failed: %s", x_request_id(x), e->text);
		x_set_header(x, "Retry-After", "1");
		http_problem(x, 503, "Service Unavailable", "the ledger cannot be asked right now");
	}
}
