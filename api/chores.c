/* What the API does beside requests, on one thread with one connection: tokens read anew, notes of what was given written down, consumers
 * measured, events looked for. Leaves out the list, which has a thread of its own (api.c). */
#include "api/private.h"

#define READ_EVERY_MS 1000

void *chores_run(void *arg)
{
	struct api *a = arg;
	struct pg_options o = {.dsn = conf_text(a->s.conf, "database.dsn"),
		.name = "khien-tokens",
		.statement_timeout_ms = 5000};
	struct pg *pg = NULL;
	unsigned failures = 0;

	while (!api_stopping(a)) {
		struct err e = {0};
		enum rc rc = RC_OK;
		if (pg != NULL && pg_broken(pg))
			pg_close(TAKE(pg));
		if (pg == NULL)
			rc = pg_open(&o, &pg, &e);
		int64_t mono_us = api_mono(a); /* of before the question: later it is older */
		if (rc == RC_OK)
			rc = tokens_read(a->tokens, pg, mono_us, &e);
		if (rc == RC_OK)
			rc = tokens_touch(a->tokens, pg, a->s.clk->now_us(a->s.clk), mono_us, &e);
		if (rc == RC_OK)
			rc = notes_write(a->notes, pg, &e);
		if (rc == RC_OK)
			rc = acks_measure(a, pg, mono_us, &e);
		if (rc == RC_OK)
			rc = events_look(a, pg, &e);
		if (rc != RC_OK && failures == 0)
			log_warn("api", "tokens, notes and measures wait: %s", e.text);
		failures = rc == RC_OK ? 0 : failures + 1;
		wait_ms(rc == RC_OK ? READ_EVERY_MS : backoff_ms(failures, 50, READ_EVERY_MS),
			&a->stopping);
	}
	pg_close(pg);
	return NULL;
}
