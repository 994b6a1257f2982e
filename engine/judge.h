/* What judges right now: a rule pack and a policy, loaded by hash from the ledger so that every instance judges alike. Immutable, shared by
 * the workers, counted; a worker swaps it between batches when the control row names another. */
#pragma once

#include "cases/cases.h"
#include "classifier/classifier.h"

struct judge {
	struct pack *pack;
	struct policy *policy;
	uint8_t policy_hash[SHA256_LEN], rules_hash[SHA256_LEN];
	int users; /* private */
};

/* The judge that `control` names: the shared one, or loaded from the ledger. The caller gives it back with judge_drop. */
MUST_USE enum rc judge_get(
	struct pg *c, const struct control *control, struct judge **out, struct err *e);
void judge_drop(struct judge *j);
OWNER(judge_drop, struct judge);
bool judge_is(const struct judge *j, const struct control *control);
/* The active policy alone, for who needs no packs. The caller owns *out (policy_free). */
MUST_USE enum rc judge_policy(
	struct pg *c, const struct control *control, struct policy **out, struct err *e);
/* Loads policy and packs from files, to see that they hold and what they are called. The caller owns *out (judge_drop). */
MUST_USE enum rc judge_from_files(const char *policy_file, const char *rules_dir,
	const char *homoglyphs, struct judge **out, struct err *e);
