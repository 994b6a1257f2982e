/* Whose a consumer's name is: of the token that used it first, until it is given to another one or forgotten. Else any token could speak for
 * a switch, and silence its alarm. Leaves out what consumers tell, feed_acks.c, and who may give a name away. */
#include "blocklist/list.h"

/* A free name is taken, a new one when there is room. No row: there is none. */
static const char claim_sql[] =
	"INSERT INTO consumer (name, token) SELECT $1, $2"
	" WHERE EXISTS (SELECT FROM consumer WHERE name = $1)"
	" OR ((SELECT count(*) FROM consumer WHERE token = $2 AND named) < $3"
	" AND (SELECT count(*) FROM consumer WHERE named) < $4)"
	" ON CONFLICT (name) DO UPDATE SET"
	" token = CASE consumer.token WHEN '' THEN $2 ELSE consumer.token END RETURNING token = $2";

enum rc consumer_claim(struct pg *c, const char *name, const char *token, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_str(name), pg_p_str(token),
		pg_p_int(BOUND_CONSUMERS_PER_TOKEN, a), pg_p_int(BOUND_CONSUMERS, a)};
	enum rc rc = pg_run(c, claim_sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_LIMIT,
			"a token may speak for %d consumers, and there may be %d in all",
			BOUND_CONSUMERS_PER_TOKEN, BOUND_CONSUMERS);
	if (!pg_bool(r, 0, 0))
		return err_set(e, RC_DENIED,
			"the consumer %s belongs to another token; a supervisor can give it to "
			"this one",
			name);
	return RC_OK;
}

enum rc feed_consumer_give(struct pg *c, const char *name, const char *token, struct err *e)
{
	static const char known[] = "SELECT FROM token WHERE name = $1 AND revoked_at IS NULL";
	static const char give[] = "UPDATE consumer SET token = $2 WHERE name = $1";
	OWN(pg_free) struct pg_result *found = NULL;
	OWN(pg_free) struct pg_result *given = NULL;
	struct pg_param p[] = {pg_p_str(name), pg_p_str(token)};
	enum rc rc = token[0] != '\0' ? pg_run(c, known, &p[1], 1, &found, e) : RC_OK;

	if (rc == RC_OK && found != NULL && pg_rows(found) == 0)
		return err_set(e, RC_INVALID, "token: there is none of this name in force");
	if (rc == RC_OK)
		rc = pg_run(c, give, p, ARRAY_LEN(p), &given, e);
	return rc == RC_OK && pg_affected(given) == 0 ? RC_NONE : rc;
}

enum rc feed_consumer_forget(struct pg *c, const char *name, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p = pg_p_str(name);
	enum rc rc = pg_run(c, "DELETE FROM consumer WHERE name = $1", &p, 1, &r, e);

	return rc == RC_OK && pg_affected(r) == 0 ? RC_NONE : rc;
}
