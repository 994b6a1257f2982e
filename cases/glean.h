/* Private to cases: what texts have in common, folded by one process at a time. */
#pragma once

#include "cases/ledger.h"
#include "cases/rows.h"

/* Whoever writes what texts have in common holds this to the end of the transaction. RC_NONE: another process holds it. */
MUST_USE enum rc glean_lock(struct pg *c, struct err *e);
/* evidence.c: the evidence in these rows of `gleaned`. */
MUST_USE enum rc evidence_fold(struct pg *c, struct pg_array *rows, struct err *e);
