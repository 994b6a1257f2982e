/* Private to cases: what orders.c, order_end.c and order_people.c share. */
#pragma once

#include "cases/cases.h"

#define TRIES 5 /* of a transaction that lost a deadlock */

/* SQL text: true when the case `k` is an open one that the machine's and the authority's decisions join. */
#define CASE_OPEN(k) k ".state <> 'closed' AND " k ".kind = 'reports'"

/* SQL text, true when an order in force other than document $1 stops the own traffic of sender and service of `x`. */
#define BARRED_BY_ANOTHER(x)                                                                  \
	"EXISTS (SELECT FROM order_target o JOIN order_doc b USING (document_no)"             \
	" WHERE o.sender = " x ".sender AND o.service = " x ".service AND o.state = 'wished'" \
	" AND o.document_no <> $1 AND b.applied_at IS NOT NULL AND b.ended_at IS NULL"        \
	" AND b.action IN ('bar_out', 'bar_both', 'recall'))"
/* Numbers in `provisioning` count up per sender, who is locked. */
#define NEXT_SEQ(x)                                                            \
	"row_number() OVER (PARTITION BY " x ".sender ORDER BY " x ".service)" \
	" + (SELECT count(*) FROM provisioning b WHERE b.sender = " x ".sender)"

/* Parameters: $1 document_no, $2 now; a step takes the first `params` of them. */
struct order_step {
	const char *sql;
	int params;
};
MUST_USE enum rc order_steps(struct pg *c, const struct order_step *steps, size_t n,
	const char *document_no, int64_t now_us, struct arena *a, struct err *e);

/* All inside the caller's transaction, whose senders are locked.
 * Asks the HLR or BSS for what order document_no wishes and has not asked yet: only of own subscribers, only what stops their own traffic. */
MUST_USE enum rc order_ask(
	struct pg *c, const char *document_no, int64_t now_us, struct arena *a, struct err *e);
/* Ends an order in force: wishes, actions, cases that only it opened. RC_NONE: it is not in force here. order_take_back comes after it. */
MUST_USE enum rc order_end(struct pg *c, const char *document_no, const char *by, int64_t now_us,
	struct arena *a, int64_t *ended, struct err *e);
/* Asks to lift what the ended order had asked for and no other order in force holds. */
MUST_USE enum rc order_take_back(
	struct pg *c, const char *document_no, int64_t now_us, struct arena *a, struct err *e);
/* Carries an order out, with its audit entry. Locks the senders, also of the order that it ends. */
MUST_USE enum rc order_apply(struct pg *c, const char *document_no, const char *actor,
	int64_t now_us, struct arena *a, struct order_done *out, struct err *e);
/* Locks the senders of the order's targets, in the order of everybody. */
MUST_USE enum rc order_lock(struct pg *c, const char *document_no, struct err *e);
