/* What came beside the reports is forgotten after a time, in pieces, so that no statement holds many rows: the carrier's contact facts, activity,
 * answers, results and events, and records in quarantine whose time is over. What followed from them stays. Leaves out people's words and numbers
 * (docs/privacy.md). */
#include "engine/keeper.h"

#define PIECE "5000"
#define ROUNDS 40              /* pieces of one table in one turn */
#define TURN_US (2 * US_PER_S) /* of all tables */

#define PIECE_OF(table, past)                                                                 \
	"DELETE FROM " table " WHERE ctid = ANY(ARRAY(SELECT ctid FROM " table " WHERE " past \
	" LIMIT " PIECE "))"

static const struct {
	const char *sql, *keep; /* keep: a setting; NULL: the row itself says when */
} tables[] = {
	{PIECE_OF("quarantine", "expires_at < $1"), NULL},
	{PIECE_OF("activity", "to_at < $1"), "retention.activity"},
	{PIECE_OF("contact_fact", "noted_at < $1"), "facts.keep"},
	{PIECE_OF("poll_answer", "noted_at < $1"), "facts.keep"},
	{PIECE_OF("notice_result", "noted_at < $1"), "facts.keep"},
	{PIECE_OF("subscription", "noted_at < $1"), "subscriptions.keep"},
};

enum rc forget_facts(const struct engine_settings *s, struct pg *pg, int64_t now_us, struct err *e)
{
	static struct metric *forgotten;
	int64_t end_us = s->clk->mono_us(s->clk) + TURN_US;
	OWN(arena_free) struct arena *a = arena_new(1 << 14);
	enum rc rc = a != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");

	if (forgotten == NULL)
		forgotten = metric_family(METRIC_COUNTER, "khien_forgotten_total", "",
			"Facts beside the reports and quarantined records deleted because their "
			"time was over.");
	for (size_t t = 0; t < ARRAY_LEN(tables) && rc == RC_OK; t++) {
		int64_t keep_s = tables[t].keep != NULL ? conf_int(s->conf, tables[t].keep) : 0;
		struct pg_param p[] = {pg_p_time(now_us - keep_s * US_PER_S, a)};

		for (int n = 0; n < ROUNDS && rc == RC_OK; n++) {
			OWN(pg_free) struct pg_result *r = NULL;

			rc = pg_run(pg, tables[t].sql, p, 1, &r, e);
			int gone = rc == RC_OK ? pg_affected(r) : 0;
			metric_add(metric_at(forgotten, NULL, NULL, NULL), gone);
			if (gone == 0 || s->clk->mono_us(s->clk) >= end_us)
				break;
		}
	}
	return rc;
}
