/* Reading for people: a sender, why it is blocked, one report and the counts of the day. What was read about whom goes to
 * the audit log before it is shown. */
#include <stdio.h>

#include "api/private.h"

typedef enum rc sender_reader(
	struct pg *c, const struct sender *s, int64_t now_us, struct buf *out, struct err *e);

/* Fails closed: what cannot be noted is not shown. */
enum rc note_reading(struct api *a, struct pg *pg, struct exchange *x, const char *what,
	const char *whom, struct err *e)
{
	char actor[80], line[256];

	actor_of(request_of(x), actor);
	snprintf(line, sizeof(line), "%s %s request=%s", what, whom, x_request_id(x));
	enum rc rc = pg_script(pg, "BEGIN", e);
	if (rc == RC_OK)
		rc = audit_append(pg, a->s.clk->now_us(a->s.clk), actor, what, slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(pg, e);
	if (rc != RC_OK)
		pg_rollback(pg);
	return rc;
}

void answer_json(struct exchange *x, enum rc rc, struct buf *b, const struct err *e)
{
	buf_byte(b, '\n');
	if (rc != RC_OK)
		answer_failure(x, rc, e);
	else
		http_answer(x, 200, "application/json", buf_slice(b));
}

static void read_sender(
	struct api *a, struct pg *pg, struct exchange *x, const char *what, sender_reader *read)
{
	int64_t now_us = a->s.clk->now_us(a->s.clk);
	char masked[MASKED_TEXT], whom[MASKED_TEXT + 16];
	BUF_OWN struct buf b;
	struct err e = {0};
	struct sender s;
	const char *why;

	buf_init(&b, 16u << 20);
	if (parse_sender(a, slice_str(request_of(x)->variable), &s, &why) != SENDER_OK) {
		http_problem(x, 400, "Bad Request", "this is no sender: %s", why);
		return;
	}
	enum rc rc = read(pg, &s, now_us, &b, &e);
	snprintf(whom, sizeof(whom), "%s/%s", scope_name(s.scope),
		s.scope == SCOPE_NUMBER ? log_mask(slice_str(s.value), masked) : s.value);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, what, whom, &e);
	answer_json(x, rc, &b, &e);
}

void handle_sender(struct api *a, struct pg *pg, struct exchange *x)
{
	read_sender(a, pg, x, "read.sender", sender_json);
}

void handle_why(struct api *a, struct pg *pg, struct exchange *x)
{
	read_sender(a, pg, x, "read.why", why_json);
}

void handle_report(struct api *a, struct pg *pg, struct exchange *x)
{
	const char *id = request_of(x)->variable;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 1u << 20);
	enum rc rc = report_json(pg, a->s.keys, slice_str(id), &b, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.report", id, &e);
	answer_json(x, rc, &b, &e);
}

void handle_stats(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 4u << 20);
	enum rc rc = stats_json(pg, a->s.clk->now_us(a->s.clk), &b, &e);
	answer_json(x, rc, &b, &e);
}

/* Charts of many pages look at the same hours: they are counted once in a few seconds. */
void handle_hours(struct api *a, struct pg *pg, struct exchange *x)
{
	int64_t moment = api_mono(a) / (5 * US_PER_S);
	OWN(shared_free) struct shared *text = answers_get(a->answers, "hours", moment);
	BUF_OWN struct buf b;
	struct err e = {0};
	enum rc rc = RC_OK;

	buf_init(&b, 1u << 20);
	if (text == NULL)
		rc = hours_json(pg, a->s.clk->now_us(a->s.clk), &b, &e);
	if (rc == RC_OK && text == NULL && (text = shared_new(&b)) != NULL)
		answers_put(a->answers, "hours", moment, text);
	if (rc != RC_OK || text == NULL)
		answer_failure(x, rc != RC_OK ? rc : RC_RETRY, &e);
	else
		http_answer_shared(x, 200, "application/json", text);
}
