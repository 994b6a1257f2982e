/* Reading for people: a sender, why it is blocked, one report, the counts of the day, and who is asking. */
#include "api/private.h"

typedef enum rc sender_reader(
	struct pg *c, const struct sender *s, int64_t now_us, struct buf *out, struct err *e);

static void read_sender(struct api *a, struct pg *pg, struct exchange *x, sender_reader *read)
{
	const char *variable = request_of(x)->variable;
	int64_t now_us = a->s.clk->now_us(a->s.clk);
	BUF_OWN struct buf b;
	struct err e = {0};
	struct sender s;

	buf_init(&b, 16u << 20);
	if (parse_sender(a, slice_str(variable), &s) != SENDER_OK) {
		http_problem(
			x, 400, "Bad Request", "'%.60s' is no sender of the number plan", variable);
		return;
	}
	enum rc rc = read(pg, &s, now_us, &b, &e);
	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}

void handle_sender(struct api *a, struct pg *pg, struct exchange *x)
{
	read_sender(a, pg, x, sender_json);
}

void handle_why(struct api *a, struct pg *pg, struct exchange *x)
{
	read_sender(a, pg, x, why_json);
}

void handle_report(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 1u << 20);
	enum rc rc = report_json(pg, a->s.keys, slice_str(request_of(x)->variable), &b, &e);
	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}

void handle_stats(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 4u << 20);
	enum rc rc = stats_json(pg, a->s.clk->now_us(a->s.clk), &b, &e);
	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 200, "application/json", buf_slice(&b));
}

void handle_me(struct api *a, struct pg *pg, struct exchange *x)
{
	const struct token_who *who = &request_of(x)->who;
	BUF_OWN struct buf b;

	(void)a, (void)pg;
	buf_init(&b, 1024);
	buf_add(&b, SLICE("{\"name\":"));
	buf_json(&b, slice_str(who->name));
	buf_fmt(&b, ",\"role\":\"%s\"}\n", who->role);
	http_answer(x, 200, "application/json", buf_slice(&b));
}
