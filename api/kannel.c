/* The list for Kannel: numbers as plain text, one a line, and sender IDs as POSIX extended regular expressions. A failed reload makes Kannel forget
 * its whole list, so what was last known is always answered with 200, however old it is. Blocks only: Kannel cannot throttle. */
#include <stdio.h>

#include "api/private.h"

#define DIGITS_MAX 15 /* Kannel's own buffer is unchecked */
#define RENEW_S 5     /* entries that ended leave the text with the next release, or after this */
#define TEXT_CAP (1u << 30)

struct text {
	struct buf out;
	int64_t now_s;
	bool joined; /* of expressions: one line */
	size_t n;
};

static bool counts(const struct entry *e, int64_t now_s)
{
	return strcmp(e->action, "bar") == 0 && (e->until_s == 0 || e->until_s > now_s);
}

/* Kannel compares numbers, and every sender of letters is the number 0 to it. */
static bool harmless(const char *digits)
{
	size_t len = strlen(digits);

	return len > 0 && len <= DIGITS_MAX && strspn(digits, "0123456789") == len &&
		strspn(digits, "0") < len;
}

static bool put_number(void *arg, const struct entry *e)
{
	struct text *t = arg;

	if (e->scope == SCOPE_NAME || !counts(e, t->now_s) || !harmless(e->value))
		return true;
	buf_add(&t->out, slice_str(e->value));
	buf_byte(&t->out, '\n');
	return !t->out.failed;
}

/* Sender IDs are listed in lower case and sent in any. */
static void put_escaped(struct buf *b, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name >= 'a' && *name <= 'z')
			buf_fmt(b, "[%c%c]", *name, *name - 'a' + 'A');
		else if (strchr("\\^$.[]|()*+?{}", *name) != NULL)
			buf_fmt(b, "\\%c", *name);
		else
			buf_byte(b, *name);
	}
}

static bool put_name(void *arg, const struct entry *e)
{
	struct text *t = arg;

	if (e->scope != SCOPE_NAME || !counts(e, t->now_s))
		return true;
	if (t->joined)
		buf_add(&t->out, t->n == 0 ? SLICE("^(") : SLICE("|"));
	else
		buf_byte(&t->out, '^');
	put_escaped(&t->out, e->value);
	if (!t->joined)
		buf_add(&t->out, SLICE("$\n"));
	t->n++;
	return !t->out.failed;
}

static bool render(const struct table *list, bool names, int service, struct text *t)
{
	bool whole = table_each(list, service, names ? put_name : put_number, t);

	if (names && t->joined) /* what matches nothing, when there is none */
		buf_add(&t->out, t->n == 0 ? SLICE("^$.\n") : SLICE(")$\n"));
	return whole && !t->out.failed;
}

/* The same for everybody who asks within a moment. */
static struct shared *text_of(
	struct api *a, const struct table *list, bool names, bool joined, int service)
{
	struct text t = {.now_s = a->s.clk->now_us(a->s.clk) / US_PER_S, .joined = joined};
	struct list_mark mark;
	char key[96];

	table_mark(list, service, &mark);
	snprintf(key, sizeof(key), "kannel/%s/%d%d%d/%lld", mark.list, names, joined, service,
		(long long)(t.now_s / RENEW_S));
	struct shared *text = answers_get(a->answers, key, mark.release);
	if (text != NULL)
		return text;
	buf_init(&t.out, TEXT_CAP);
	if (render(list, names, service, &t))
		text = shared_new(&t.out);
	buf_done(&t.out);
	if (text != NULL)
		answers_put(a->answers, key, mark.release, text);
	return text;
}

static void send(
	struct exchange *x, struct shared *text, const struct list_mark *mark, int64_t age_s)
{
	uint8_t hash[SHA256_LEN];
	char etag[40], number[24];

	sha256(shared_text(text), hash);
	snprintf(etag, sizeof(etag), "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", hash[0], hash[1],
		hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
	x_set_header(x, "ETag", etag);
	x_set_header(x, "Cache-Control", "private, no-cache");
	snprintf(number, sizeof(number), "%lld", (long long)age_s);
	x_set_header(x, "Age", number);
	snprintf(number, sizeof(number), "%lld", (long long)mark->release);
	x_set_header(x, "Khien-Release", number);
	if (etag_listed(x, etag))
		http_answer(x, 304, NULL, SLICE(""));
	else
		http_answer_shared(x, 200, "text/plain; charset=utf-8", text);
}

static bool form_args(struct exchange *x, bool names, int *service, bool *joined)
{
	struct slice form;

	if (!arg_service(x, service) || !arg_text(x, "form", &form))
		return false;
	if (*service < 0)
		*service = SERVICE_SMS;
	*joined = names && slice_eq(form, SLICE("one"));
	if (names && form.ptr != NULL && !*joined && !slice_eq(form, SLICE("lines"))) {
		http_problem(x, 400, "Bad Request", "form is lines or one");
		return false;
	}
	return true;
}

static void answer_text(struct api *a, struct exchange *x, bool names)
{
	int64_t age_s = 0;
	OWN(mirror_unpin) const struct table *list = list_pinned(a, &age_s);
	struct list_mark mark;
	int service;
	bool joined;

	if (!form_args(x, names, &service, &joined))
		return;
	if (list == NULL) {
		x_set_header(x, "Retry-After", "1");
		http_problem(x, 503, "Service Unavailable", "no list was loaded yet");
		return;
	}
	OWN(shared_free) struct shared *text = text_of(a, list, names, joined, service);
	if (text == NULL) {
		struct err e = {.text = "out of memory"};
		answer_failure(x, RC_RETRY, &e);
		return;
	}
	table_mark(list, service, &mark);
	send(x, text, &mark, age_s);
}

void handle_kannel(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)pg;
	answer_text(a, x, false);
}

void handle_kannel_regex(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)pg;
	answer_text(a, x, true);
}
