/* One batch as one transaction: the order in which the steps of the room speak to PostgreSQL, and in which they hear its answers. What
 * each step says is in claim.c, people.c, votes.c, contacts.c, facts.c, casework.c, forged.c, actions.c and store.c. */
#include "cases/ledger.h"

/* Of a batch that holds no reports: fence, then the facts. */
static enum rc claim_facts(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct control *control,
	struct touched **touched, size_t *n_touched, bool *fenced, struct err *e)
{
	struct claims *claims = NULL;
	enum rc rc = pg_pipeline_begin(l->pg, e);

	w->facts = true;
	for (size_t i = 0; i < b->n; i++)
		w->filed[i] = (struct filed){.person = NOBODY, .party = NOBODY, .touched = NOBODY};
	*touched = NULL;
	*n_touched = 0;
	if (rc == RC_OK)
		rc = claims_send(l, s, b, now_us, a, &claims, e);
	if (rc == RC_OK)
		rc = claims_recv(l, claims, b, control, fenced, e);
	if (rc == RC_OK)
		w->shadow = strcmp(control->mode, "shadow") == 0;
	if (rc == RC_OK)
		rc = b->of == FEED_CONTACTS
			? contacts_note(l, s, w, b, now_us, a, touched, n_touched, e)
			: facts_note(l, s, w, b, now_us, a, touched, n_touched, e);
	return rc == RC_OK ? pg_pipeline_end(l->pg, e) : rc;
}

/* Three round trips: ids and fence; reporters and senders; votes. */
enum rc ledger_claim(struct ledger *l, const struct ledger_settings *s, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct control *control, struct touched **touched,
	size_t *n_touched, bool *fenced, struct err *e)
{
	struct work *w = arena_alloc(a, sizeof(*w));
	struct claims *claims = NULL;

	*fenced = false;
	if (w != NULL)
		w->filed = arena_array(a, b->n, sizeof(*w->filed));
	if (w == NULL || w->filed == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	l->work = w;
	buf_clear(&l->audit);
	if (b->of != FEED_COMPLAINTS)
		return claim_facts(l, s, w, b, now_us, a, control, touched, n_touched, fenced, e);
	enum rc rc = pg_pipeline_begin(l->pg, e);
	if (rc == RC_OK)
		rc = claims_send(l, s, b, now_us, a, &claims, e);
	if (rc == RC_OK)
		rc = people_send(l, w, b, a, e);
	if (rc == RC_OK)
		rc = claims_recv(l, claims, b, control, fenced, e);
	if (rc == RC_OK)
		w->shadow = strcmp(control->mode, "shadow") == 0;
	if (rc == RC_OK)
		rc = people_recv(l, w, e);
	if (rc == RC_OK)
		rc = contacts_waiting(l, w, b, e);
	if (rc == RC_OK)
		rc = people_make(l, s, w, b, now_us, a, e);
	if (rc == RC_OK)
		rc = votes_merge(l, w, b, now_us, a, touched, n_touched, e);
	if (rc == RC_OK)
		rc = cases_shared(l, s, w, b, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_pipeline_end(l->pg, e);
	return rc;
}

/* What the last pipeline sent, answered. */
static enum rc recv_all(struct ledger *l, int sent, struct err *e)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < sent; i++)
		rc = pg_recv(l->pg, NULL, e);
	return rc;
}

/* One round trip for what follows from the judgement, one for the audit of it, then the reports. */
enum rc ledger_settle(struct ledger *l, const struct ledger_settings *s, struct ledger_batch *b,
	struct touched *touched, size_t n_touched, int64_t now_us, struct arena *a, struct err *e)
{
	struct work *w = l->work;
	struct docket docket = {.n = 0};
	int actions = 0, sent = 0, cases = 0, mended = 0, forged = 0;

	assert(w != NULL); /* ledger_claim came before */
	enum rc rc = cases_gather(l, s, w, b, touched, n_touched, a, e);
	if (rc == RC_OK)
		rc = pg_pipeline_begin(l->pg, e);
	if (rc == RC_OK)
		rc = actions_send(l, s, w, touched, n_touched, now_us, a, &docket, &actions, e);
	if (rc == RC_OK)
		rc = standing_send(l, s, touched, n_touched, &sent, e);
	if (rc == RC_OK)
		rc = records_send(l, s, w, b, now_us, a, &sent, e);
	if (rc == RC_OK && !w->facts)
		rc = glean_send(l, s, w, b, &sent, e);
	if (rc == RC_OK)
		rc = cases_store(l, s, w, touched, now_us, a, &cases, e);
	if (rc == RC_OK && w->facts)
		rc = contacts_mend(l, w, touched, now_us, a, &mended, e);
	if (rc == RC_OK)
		rc = forged_send(l, s, w, touched, n_touched, now_us, a, &forged, e);
	if (rc == RC_OK)
		rc = actions_recv(l, &docket, actions, touched, n_touched, e);
	if (rc == RC_OK)
		rc = recv_all(l, sent, e);
	if (rc == RC_OK)
		rc = cases_recv(l, w, touched, n_touched, cases, e);
	if (rc == RC_OK)
		rc = recv_all(l, mended, e);
	if (rc == RC_OK)
		rc = forged_recv(l, touched, n_touched, forged, e);
	sent = 0;
	if (rc == RC_OK)
		rc = audit_send(l, s, b, now_us, a, &sent, e);
	if (rc == RC_OK)
		rc = recv_all(l, sent, e);
	if (rc == RC_OK)
		rc = pg_pipeline_end(l->pg, e);
	if (rc == RC_OK)
		rc = reports_copy(l, s, w, b, now_us, e);
	if (rc == RC_OK)
		rc = pg_commit(l->pg, e);
	if (rc == RC_OK)
		l->work = NULL;
	return rc;
}
