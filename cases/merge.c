/* Merging: one case is closed into another one, with which its reports are shown from then on; splitting takes it out again, as it was. Nothing
 * is moved, so nothing can be lost: votes, blocks and reports stay with the case that they came to. */
#include <stdio.h>

#include "cases/decide.h"

static struct decision of_other(const struct decision *d, const char *id)
{
	struct decision other = *d;

	other.case_id = id;
	other.version = -1;
	return other;
}

static enum rc link(struct pg *c, const char *id, const char *into, struct arena *a, struct err *e)
{
	struct pg_param p[] = {pg_p_text(slice_str(id), a), pg_p_str(into)};

	return pg_run(c, "UPDATE case_file SET merged_into = $2 WHERE id = $1", p, 2, NULL, e);
}

static const char *with(struct arena *a, const char *what, const char *id)
{
	return arena_fmt(a, "{\"%s\":\"%s\"}", what, id);
}

/* Held in the order of everybody: by id, senders first by case_hold; two merges at once may still collide, and are tried again. */
static enum rc hold_both(struct pg *c, const struct decision *d, const struct decision *o,
	int64_t now_us, struct arena *a, struct held_case *k, struct held_case *other,
	struct err *e)
{
	bool first = strcmp(d->case_id, o->case_id) < 0;
	enum rc rc =
		first ? case_hold(c, d, now_us, a, k, e) : case_hold(c, o, now_us, a, other, e);

	if (rc != RC_OK)
		return rc;
	return first ? case_hold(c, o, now_us, a, other, e) : case_hold(c, d, now_us, a, k, e);
}

enum rc case_merge(struct pg *c, const struct decision *d, const char *into, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e)
{
	struct decision o = of_other(d, into);
	const struct life_step *s = NULL;
	struct held_case k, other;
	struct decided_case there;

	if (strcmp(d->case_id, into) == 0)
		return err_set(e, RC_INVALID, "a case cannot be merged into itself");
	enum rc rc = hold_both(c, d, &o, now_us, a, &k, &other, e);
	if (rc == RC_OK)
		rc = case_may(d, SLICE("merge"), &k, &s, e);
	if (rc != RC_OK)
		return rc;
	if (other.at == LIFE_CLOSED)
		return err_set(e, RC_INVALID, "case %s is closed: nothing merges into it", into);
	struct pg_param p[] = {pg_p_str(d->case_id), pg_p_text(slice_str(into), a)};
	const char *more = arena_fmt(a, "{\"into\":\"%s\",\"was\":\"%s\"}", into, k.state);
	const char *theirs = with(a, "merged", d->case_id);
	struct life_step same = {.event = "merged", .to = LIFE_SAME, .outcome = "", .finding = ""};
	if (more == NULL || theirs == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = link(c, d->case_id, into, a, e);
	/* what was merged into this one goes along, so that nobody has to follow a chain */
	if (rc == RC_OK)
		rc = pg_run(c,
			"UPDATE case_file SET merged_into = $2 WHERE merged_into = $1 AND id <> $2",
			p, 2, NULL, e);
	if (rc == RC_OK)
		rc = case_go(c, d, s, &k, more, now_us, a, out, e);
	return rc == RC_OK ? case_go(c, &o, &same, &other, theirs, now_us, a, &there, e) : rc;
}

/* The state before it was merged. */
static enum rc former(struct pg *c, const char *id, struct arena *a, char out[12], struct err *e)
{
	static const char sql[] = "SELECT detail->>'was' FROM case_event WHERE case_id = $1"
				  " AND event = 'merge' ORDER BY id DESC LIMIT 1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_text(slice_str(id), a)};
	enum rc rc = pg_run(c, sql, p, 1, &r, e);

	if (rc == RC_OK && pg_rows(r) == 0)
		return err_set(e, RC_FATAL, "a merged case without its step");
	if (rc == RC_OK)
		(void)snprintf(out, 12, "%.*s", (int)pg_text(r, 0, 0).len, pg_text(r, 0, 0).ptr);
	return rc;
}

enum rc case_split(struct pg *c, const struct decision *d, const char *which, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e)
{
	struct decision o = of_other(d, which);
	const struct life_step *s = NULL;
	struct held_case k, other;
	struct decided_case there;
	char was[12];
	enum rc rc = hold_both(c, d, &o, now_us, a, &k, &other, e);

	if (rc == RC_OK && strcmp(other.merged_into, d->case_id) != 0)
		return err_set(e, RC_INVALID, "case %s is not merged into this one", which);
	if (rc == RC_OK)
		rc = case_may(d, SLICE("split"), &other, &s, e);
	if (rc == RC_OK)
		rc = former(c, which, a, was, e);
	if (rc != RC_OK)
		return rc;
	struct life_step back = *s;
	struct life_step same = {.event = "split", .to = LIFE_SAME, .outcome = "", .finding = ""};
	back.to = (enum life_state)life_parse(slice_str(was));
	const char *theirs = with(a, "from", d->case_id), *ours = with(a, "split", which);
	if (theirs == NULL || ours == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = link(c, which, NULL, a, e);
	if (rc == RC_OK)
		rc = case_go(c, &o, &back, &other, theirs, now_us, a, &there, e);
	return rc == RC_OK ? case_go(c, d, &same, &k, ours, now_us, a, out, e) : rc;
}
