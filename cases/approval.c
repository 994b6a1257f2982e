/* What needs two people: one asks, another one agrees by asking for the same. Leaves out what is asked for. */
#include "cases/approval.h"

enum rc approval_ask(struct pg *c, const char *what, const char *of, const char *actor,
	int64_t now_us, struct arena *a, bool *agreed, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL, *made = NULL;
	const char *key = arena_fmt(a, "%s %s", what, of);

	if (key == NULL)
		return err_set(e, RC_LIMIT, "the name of what is asked for is too long");
	struct pg_param p[] = {pg_p_str(key), pg_p_str(actor), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c,
		"DELETE FROM approval WHERE what = $1 AND asked_by <> $2 RETURNING 1", p, 2, &r, e);
	if (rc != RC_OK)
		return rc;
	*agreed = pg_rows(r) == 1;
	if (*agreed)
		return RC_OK;
	rc = pg_run(c,
		"INSERT INTO approval (what, asked_by, asked_at) VALUES ($1, $2, $3)"
		" ON CONFLICT (what) DO NOTHING",
		p, ARRAY_LEN(p), &made, e);
	if (rc == RC_OK && pg_affected(made) == 0)
		rc = err_set(e, RC_DENIED, "%s has asked for it already: another person must agree",
			actor);
	return rc;
}
