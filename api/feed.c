/* The list for machines: what changed since a release, with a long poll, and what is never barred. The whole list is snapshot.c's. */
#include <stdio.h>

#include "api/private.h"

#define WAIT_MAX_S 60

struct changes {
	char list[64];
	int64_t after, wait_s;
	int service;
};

static bool changes_args(struct exchange *x, struct changes *out)
{
	struct slice list, after;

	if (!arg_service(x, &out->service) || !arg_text(x, "list", &list) ||
		!arg_text(x, "after", &after) ||
		!arg_int(x, "after", 0, INT64_MAX, 0, &out->after) ||
		!arg_int(x, "wait", 0, INT32_MAX, 0, &out->wait_s) ||
		!arg_consumer(x, request_of(x)->consumer))
		return false;
	if (list.ptr == NULL || after.ptr == NULL || list.len == 0 ||
		list.len >= sizeof(out->list)) {
		http_problem(x, 400, "Bad Request",
			"list and after are needed: the uuid of the list that you follow and the "
			"release that you have; take both from /v1/feed/snapshot");
		return false;
	}
	snprintf(out->list, sizeof(out->list), "%.*s", (int)list.len, list.ptr);
	if (out->wait_s > WAIT_MAX_S)
		out->wait_s = WAIT_MAX_S;
	return true;
}

/* Noted when it has gone out whole. */
static void give(struct exchange *x, const struct changes *c, int64_t to, struct shared *text)
{
	struct request *r = request_of(x);

	snprintf(r->list, sizeof(r->list), "%.36s", c->list); /* the head's own by now */
	r->given = is_head(x) ? 0 : to;
	http_answer_shared(x, 200, "application/json", text);
}

/* True: there is nothing new, and the exchange waits for it. */
static bool waits(struct api *a, struct exchange *x, const struct changes *c, int64_t release)
{
	return c->wait_s > 0 && release == c->after && !request_of(x)->waited &&
		api_wait_for_release(a, x, c->after, c->wait_s * 1000);
}

/* An empty text remembers that an answer would be too large, so that a thousand followers do not read it from the ledger each. */
enum rc changes_too_large(struct api *a, const char *key, int64_t state)
{
	OWN(shared_free) struct shared *none = NULL;
	struct buf empty;

	buf_init(&empty, 1);
	none = shared_new(&empty);
	if (none != NULL)
		answers_put(a->answers, key, state, none);
	return RC_CONFLICT;
}

void handle_changes(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(shared_free) struct shared *text = NULL;
	struct list_mark mark = {0};
	struct err e = {0};
	BUF_OWN struct buf b;
	struct changes c;
	char key[96];

	buf_init(&b, BOUND_CHANGES_BYTES);
	if (!changes_args(x, &c))
		return;
	changes_key(key, c.list, c.after, c.service);
	request_of(x)->service = c.service;
	if (mirror_fresh(a, &mark) && strcmp(mark.list, c.list) == 0) {
		if (waits(a, x, &c, mark.release))
			return;
		text = answers_get(a->answers, key, mark.release);
		if (text != NULL && shared_text(text).len == 0) {
			answer_gone(x, c.after, &mark);
			return;
		}
		if (text != NULL) {
			give(x, &c, changes_to(shared_text(text)), text);
			return;
		}
	}
	enum rc rc = feed_changes(pg, c.list, c.after, c.service, &b, &mark, &e);
	if (rc == RC_OK)
		buf_byte(&b, '\n');
	if (rc == RC_LIMIT || (rc == RC_OK && b.failed))
		rc = changes_too_large(a, key, mark.release);
	if (rc == RC_CONFLICT && e.state[0] == '\0') {
		answer_gone(x, c.after, &mark);
		return;
	}
	/* the list in memory may be a moment behind, so that only the ledger can tell that there is nothing new */
	if (rc == RC_OK && waits(a, x, &c, mark.release))
		return;
	if (rc == RC_OK && (text = shared_new(&b)) == NULL)
		rc = err_set(&e, RC_RETRY, "out of memory");
	if (rc != RC_OK) {
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
		return;
	}
	answers_put(a->answers, key, mark.release, text);
	give(x, &c, changes_to(shared_text(text)), text);
}

void handle_exempt(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	(void)a;
	buf_init(&b, 1u << 20);
	enum rc rc = feed_exempt(pg, &b, &e);
	if (rc == RC_OK) {
		buf_byte(&b, '\n');
		http_answer(x, 200, "application/json", buf_slice(&b));
	} else {
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
	}
}

/* {"list","release","count","digest","service","buckets":["…" × 256]} */
void handle_buckets(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(mirror_unpin) const struct table *t = list_pinned(a, NULL);
	struct digest buckets[256];
	struct list_mark mark;
	struct err e = {0};
	BUF_OWN struct buf b;
	char hex[65];
	int service;

	(void)pg;
	buf_init(&b, 64 * 1024);
	if (!arg_service(x, &service))
		return;
	if (t == NULL) {
		answer_failure(
			x, err_set(&e, RC_RETRY, "the list in memory is unknown or stale"), &e);
		return;
	}
	table_mark(t, service, &mark);
	feed_buckets(t, service, buckets);
	digest_hex(&mark.digest, hex);
	buf_fmt(&b,
		"{\"list\":\"%s\",\"release\":%lld,\"count\":%lld,\"digest\":\"%s\",\"buckets\":[",
		mark.list, (long long)mark.release, (long long)mark.count, hex);
	for (size_t i = 0; i < ARRAY_LEN(buckets); i++) {
		digest_hex(&buckets[i], hex);
		buf_fmt(&b, "%s\"%s\"", i > 0 ? "," : "", hex);
	}
	buf_add(&b, SLICE("]}\n"));
	http_answer(x, 200, "application/json", buf_slice(&b));
}
