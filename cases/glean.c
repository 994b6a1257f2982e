/* What the worker read from the texts of a batch's reports: sketches for campaigns, links and numbers as evidence. It is left in a row or two for
 * whoever folds it (campaigns.c, evidence.c), so that no worker touches or waits for what all texts have in common. Phone numbers, accounts
 * and handles go as MACs, and masked. */
#include <stdio.h>

#include "cases/ledger.h"

#define TEXTS_A_ROW 256 /* what one transaction of the folding takes at least */
#define KIND_PHONE 2    /* from here on it may be a person's */

struct gleaning {
	struct pg_array *texts, *clues;
};

static void put_text(
	struct pg_array *rows, const struct work *w, const struct filing *f, const struct filed *x)
{
	pg_array_row(rows);
	pg_array_int(rows, (int64_t)f->text_key);
	pg_array_int(rows, (int64_t)f->fingerprint);
	pg_array_text(rows, f->sketch);
	pg_array_text(rows, f->bands);
	pg_array_int(rows, w->parties[x->party].id);
	pg_array_int(rows, f->service);
	pg_array_int(rows, w->people[x->person].id);
	pg_array_int(rows, f->verified);
	pg_array_int(rows, f->received_at);
}

/* "zalo:8491*****78": the service stays. */
static void mask_clue(struct slice value, char out[96])
{
	struct slice of = value, rest = value;
	char masked[MASKED_TEXT];

	if (!slice_cut(&rest, ':', &of) || of.len == value.len || of.len > 16)
		(void)snprintf(out, 96, "%s", log_mask(value, masked));
	else
		(void)snprintf(out, 96, "%.*s:%s", (int)of.len, of.ptr, log_mask(rest, masked));
}

static void put_clue(struct pg_array *rows, const struct ledger_settings *s, const struct work *w,
	const struct filing *f, const struct filed *x, const struct clue *c)
{
	bool personal = c->kind >= KIND_PHONE;
	uint8_t mac[MAC_LEN];
	char shown[96];

	if (personal) {
		keys_mac(s->keys, "evidence", c->value, mac);
		mask_clue(c->value, shown);
	}
	pg_array_row(rows);
	pg_array_int(rows, c->kind);
	pg_array_text(rows, personal ? slice_of((const char *)mac, MAC_LEN) : c->value);
	pg_array_text(rows, personal ? slice_str(shown) : c->value);
	pg_array_int(rows, c->flags);
	pg_array_int(rows, w->parties[x->party].id);
	pg_array_int(rows, f->service);
	pg_array_int(rows, w->people[x->person].id);
	pg_array_int(rows, f->received_at);
	pg_array_text(rows, slice_of((const char *)f->id_hash, MAC_LEN));
}

/* One row of the table, and empty arrays for the next. */
static enum rc leave(struct ledger *l, struct gleaning *g, bool last, int *sent, struct err *e)
{
	static const char sql[] = "INSERT INTO gleaned (texts, evidence)"
				  " VALUES ($1::gleaned_text[], $2::gleaned_evidence[])";
	enum rc rc = RC_OK;

	if (g->texts != NULL && g->texts->count + g->clues->count > 0) {
		struct pg_param p[] = {pg_p_array(g->texts), pg_p_array(g->clues)};

		rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
		*sent += 1;
	}
	if (!last) {
		arrays_begin(l);
		g->texts = rows_of(l, ROW_GLEANED_TEXT);
		g->clues = rows_of(l, ROW_GLEANED_EVIDENCE);
	}
	return rc;
}

enum rc glean_send(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct ledger_batch *b, int *sent, struct err *e)
{
	struct gleaning g = {NULL, NULL};
	enum rc rc = leave(l, &g, false, sent, e);

	for (size_t i = 0; rc == RC_OK && i < b->n; i++) {
		const struct filing *f = &b->filings[i];
		const struct filed *x = &w->filed[i];

		if (f->disposition != DISP_ACCEPTED || x->party == NOBODY)
			continue;
		if (f->sketch.len > 0)
			put_text(g.texts, w, f, x);
		for (size_t k = 0; k < f->n_clues; k++)
			put_clue(g.clues, s, w, f, x, &f->clues[k]);
		if (g.texts->count >= TEXTS_A_ROW || g.clues->count >= 4 * TEXTS_A_ROW)
			rc = leave(l, &g, false, sent, e);
	}
	return rc == RC_OK ? leave(l, &g, true, sent, e) : rc;
}
