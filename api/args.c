/* What handlers ask of a request, and how a failed read is told. */
#include <stdio.h>

#include "api/private.h"

bool arg_text(struct exchange *x, const char *name, struct slice *out)
{
	*out = (struct slice){0};
	if (x_query(x, name, out) <= 1)
		return true;
	http_problem(x, 400, "Bad Request", "%s is given more than once", name);
	return false;
}

bool consumer_well_formed(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
			    (s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
			    (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') || s.ptr[i] == '-' ||
			    s.ptr[i] == '_' || s.ptr[i] == '.'))
			return false;
	return s.len > 0 && s.len < 64;
}

bool arg_consumer(struct exchange *x, char out[64])
{
	struct slice s;

	out[0] = '\0';
	if (!arg_text(x, "consumer", &s))
		return false;
	if (s.ptr != NULL && !consumer_well_formed(s)) {
		http_problem(x, 400, "Bad Request",
			"consumer is a name of at most 63 letters, digits, dots, dashes and "
			"underscores");
		return false;
	}
	if (s.ptr != NULL)
		snprintf(out, 64, "%.*s", (int)s.len, s.ptr);
	return true;
}

void answer_gone(struct exchange *x, int64_t after, const struct list_mark *mark)
{
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	buf_fmt(&b,
		"{\"type\":\"about:blank\",\"title\":\"Gone\",\"status\":410,\"detail\":\"this "
		"list cannot be followed from release %lld: it is another one, ahead, or too old, "
		"or "
		"what changed is too much for one answer; start with a "
		"snapshot\",\"start\":\"/v1/feed/snapshot\",\"list\":\"%s\","
		"\"release\":%lld,\"request_id\":\"%s\"}\n",
		(long long)after, mark->list, (long long)mark->release, x_request_id(x));
	http_answer(x, 410, "application/problem+json", buf_slice(&b));
}

bool arg_service(struct exchange *x, int *service)
{
	enum service found;
	struct slice s;

	*service = -1;
	if (!arg_text(x, "service", &s))
		return false;
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
enum sender_found parse_sender(
	const struct api *a, struct slice raw, struct sender *out, const char **why)
{
	int64_t now_us = a->s.clk->now_us(a->s.clk);
	enum sender_found found = sender_parse(a->s.plan, raw, now_us, out, why);
	const char *unused;
	struct sender other;
	uint64_t digits;
	char plus[24];

	if (found == SENDER_WITHHELD)
		*why = "it is withheld";
	else if (found == SENDER_OLD)
		*why = "an old number of 11 digits";
	if (found == SENDER_OK || raw.len < 7 || raw.len > 15 || raw.ptr[0] == '0' ||
		slice_u64(raw, &digits) != RC_OK)
		return found;
	snprintf(plus, sizeof(plus), "+%.*s", (int)raw.len, raw.ptr);
	if (sender_parse(a->s.plan, slice_str(plus), now_us, &other, &unused) != SENDER_OK)
		return found;
	*out = other;
	return SENDER_OK;
}

bool arg_int(
	struct exchange *x, const char *name, int64_t min, int64_t max, int64_t def, int64_t *out)
{
	struct slice s;

	if (!arg_text(x, name, &s))
		return false;
	*out = def;
	if (s.ptr == NULL || (slice_i64(s, out) == RC_OK && *out >= min && *out <= max))
		return true;
	http_problem(x, 400, "Bad Request", "%s is a whole number from %lld to %lld", name,
		(long long)min, (long long)max);
	return false;
}

void answer_failure(struct exchange *x, enum rc rc, const struct err *e)
{
	struct request *r = request_of(x);

	/* a cause may name hosts, statements and values: it goes to the log, unless it is our own sentence about the input */
	snprintf(r->cause, sizeof(r->cause), "%s: %.200s", rc_name(rc), e->text);
	switch (rc) {
	case RC_NONE:
		http_problem(x, 404, "Not Found", "nothing is known of it");
		return;
	case RC_INVALID:
		http_problem(x, 400, "Bad Request", "%s",
			e->state[0] == '\0' ? e->text : "the ledger cannot hold such a value");
		return;
	case RC_DENIED:
		http_problem(x, 403, "Forbidden", "%s", e->text);
		return;
	case RC_LIMIT:
		http_problem(x, 500, "Internal Server Error",
			"the answer is larger than this server gives at once");
		return;
	case RC_FATAL:
		http_problem(x, 500, "Internal Server Error", "the ledger refused the question");
		return;
	default:
		x_set_header(x, "Retry-After", "1");
		http_problem(x, 503, "Service Unavailable", "the ledger cannot be asked right now");
	}
}

bool etag_listed(const struct exchange *x, const char *etag)
{
	struct slice list = x_header(x, "If-None-Match");

	for (struct slice one; slice_cut(&list, ',', &one);) {
		one = slice_trim(one);
		if (slice_eq(one, SLICE("*")) || slice_eq(one, slice_str(etag)) ||
			(slice_starts(slice_str(etag), SLICE("W/")) &&
				slice_eq(one, slice_str(etag + 2))))
			return true;
	}
	return false;
}

bool wants_gzip(const struct exchange *x)
{
	struct slice accept = x_header(x, "Accept-Encoding");

	for (struct slice one; slice_cut(&accept, ',', &one);) {
		struct slice name = {0}, weight = one;
		if (!slice_cut(&weight, ';', &name))
			continue;
		weight = slice_trim(weight);
		if (slice_eq_nocase(slice_trim(name), SLICE("gzip")))
			return !slice_eq(weight, SLICE("q=0")) &&
				!slice_starts(weight, SLICE("q=0.0"));
	}
	return false;
}

const struct table *list_pinned(const struct api *a, int64_t *age_s)
{
	const struct table *t = mirror_pin(a->mirror);
	struct list_mark mark;
	int64_t synced = 0;

	if (t == NULL || !mirror_mark(a->mirror, &mark, &synced))
		return t;
	int64_t age_us = api_mono(a) - synced;
	if (age_s != NULL)
		*age_s = age_us > 0 ? age_us / US_PER_S : 0;
	else if (age_us > a->stale_max_s * US_PER_S) {
		mirror_unpin(t);
		return NULL;
	}
	return t;
}
