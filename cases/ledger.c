/* The worker's connection with the arrays and texts it keeps from batch to batch, and what every step of a batch uses of them. The
 * steps in their order are in transaction.c. */
#include <stdlib.h>

#include "cases/ledger.h"

#define AUDIT_CAP (16u << 20)
#define OUT_CAP (64u << 20)

/* As in sql/0005_row_types.sql. */
static const struct pg_row_type row_types[LEDGER_ROWS] = {
	[ROW_CLAIM] = {.name = "claim_row",
		.n = 4,
		.columns = {PG_BYTEA, PG_BYTEA, PG_INT4, PG_INT4}},
	[ROW_SUBJECT] = {.name = "subject_row",
		.n = 4,
		.columns = {PG_INT8, PG_BYTEA, PG_BYTEA, PG_BYTEA}},
	[ROW_VOTE] = {.name = "vote_row",
		.n = 14,
		.columns = {PG_INT8, PG_INT2, PG_DATE, PG_INT8, PG_FLOAT4, PG_BOOL, PG_FLOAT4,
			PG_FLOAT4, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8}},
	[ROW_STANDING] = {.name = "standing_row",
		.n = 6,
		.columns = {PG_INT8, PG_INT2, PG_FLOAT4, PG_TIMESTAMPTZ, PG_TEXT, PG_INT4}},
	[ROW_GLEANED_TEXT] = {.name = "gleaned_text",
		.n = 9,
		.columns = {PG_INT8, PG_INT8, PG_BYTEA, PG_BYTEA, PG_INT8, PG_INT2, PG_INT8,
			PG_BOOL, PG_INT8}},
	[ROW_GLEANED_EVIDENCE] = {.name = "gleaned_evidence",
		.n = 9,
		.columns = {PG_INT2, PG_BYTEA, PG_TEXT, PG_INT4, PG_INT8, PG_INT2, PG_INT8, PG_INT8,
			PG_BYTEA}},
};

enum rc ledger_open(const struct pg_options *o, struct ledger **out, struct err *e)
{
	OWN(ledger_close) struct ledger *l = calloc(1, sizeof(*l));
	enum rc rc = l != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");

	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < LEDGER_ARRAYS; i++)
		pg_array_init(&l->arrays[i], PG_INT8);
	buf_init(&l->audit, AUDIT_CAP);
	buf_init(&l->out, OUT_CAP);
	if (rc == RC_OK) {
		struct pg_options mine = *o;
		mine.by_index = mine.binary = true;
		rc = pg_open(&mine, &l->pg, e);
	}
	memcpy(l->rows, row_types, sizeof(row_types));
	for (int i = 0; rc == RC_OK && i < LEDGER_ROWS; i++)
		rc = pg_row_type_find(l->pg, &l->rows[i], e);
	if (rc == RC_OK)
		*out = TAKE(l);
	return rc;
}

void ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	pg_close(l->pg);
	for (size_t i = 0; i < LEDGER_ARRAYS; i++)
		pg_array_done(&l->arrays[i]);
	buf_done(&l->audit);
	buf_done(&l->out);
	free(l);
}

struct pg *ledger_pg(struct ledger *l)
{
	return l->pg;
}

void arrays_begin(struct ledger *l)
{
	l->n_arrays = 0;
}

struct pg_array *array_of(struct ledger *l, enum pg_type type)
{
	assert(l->n_arrays < LEDGER_ARRAYS);
	struct pg_array *a = &l->arrays[l->n_arrays++];
	a->type = type;
	pg_array_clear(a);
	return a;
}

struct pg_array *rows_of(struct ledger *l, enum ledger_row row)
{
	struct pg_array *a = array_of(l, PG_INT8);

	pg_array_rows(a, &l->rows[row]);
	return a;
}

const char *masked_sender(const struct sender *s, char room[MASKED_TEXT])
{
	return s->scope == SCOPE_NAME ? s->value : log_mask(slice_str(s->value), room);
}

void ledger_abort(struct ledger *l)
{
	if (l == NULL)
		return;
	l->work = NULL;
	pg_rollback(l->pg);
}

static int by_place(const void *a, const void *b)
{
	const struct touched *x = a, *y = b;

	if (x->sender_id != y->sender_id)
		return x->sender_id < y->sender_id ? -1 : 1;
	return (int)x->service - (int)y->service;
}

const struct touched *touched_at(
	const struct touched *t, size_t n, int64_t sender_id, enum service service)
{
	struct touched key = {.sender_id = sender_id, .service = service};

	return bsearch(&key, t, n, sizeof(*t), by_place);
}
