/* What needs two people: one asks, another one agrees by asking for the same within a day. Leaves out what is asked for. */
#include "cases/approval.h"

static enum rc forget_old(struct pg *c, int64_t now_us, struct arena *a, struct err *e)
{
	struct pg_param p[] = {pg_p_time(now_us - US_PER_DAY, a)};

	return pg_run(c, "DELETE FROM approval WHERE asked_at < $1", p, ARRAY_LEN(p), NULL, e);
}

enum rc approval_ask(struct pg *c, const char *what, const char *of, int64_t size,
	const char *actor, int64_t now_us, struct arena *a, bool *agreed, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL, *made = NULL;
	const char *key = arena_fmt(a, "%s %s", what, of);

	if (key == NULL)
		return err_set(e, RC_LIMIT, "the name of what is asked for is too long");
	struct pg_param p[] = {
		pg_p_str(key), pg_p_str(actor), pg_p_time(now_us, a), pg_p_int(size, a)};
	enum rc rc = forget_old(c, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_run(c,
			"DELETE FROM approval WHERE what = $1 AND asked_by <> $2 RETURNING size", p,
			2, &r, e);
	if (rc != RC_OK)
		return rc;
	*agreed = pg_rows(r) == 1;
	if (*agreed && pg_int(r, 0, 0) < size)
		return err_set(e, RC_CONFLICT, "it was %lld when it was asked for, now it is %lld",
			(long long)pg_int(r, 0, 0), (long long)size);
	if (*agreed)
		return RC_OK;
	rc = pg_run(c,
		"INSERT INTO approval (what, asked_by, asked_at, size) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (what) DO NOTHING",
		p, ARRAY_LEN(p), &made, e);
	if (rc == RC_OK && pg_affected(made) == 0)
		rc = err_set(e, RC_DENIED, "%s has asked for it already: another person must agree",
			actor);
	return rc;
}
