/* What judges right now: rule packs, a token model when one is active, and a policy, loaded by hash from the ledger so that every instance judges alike. Immutable, shared by
 * the workers, counted; a worker swaps it between batches when the control row names another. */
#pragma once

#include "cases/cases.h"
#include "classifier/classifier.h"

struct judge {
	struct pack *pack;
	struct model *model; /* NULL: none */
	struct policy *policy;
	uint8_t policy_hash[SHA256_LEN], rules_hash[SHA256_LEN], model_hash[SHA256_LEN];
	char versions
		[640]; /* of packs and model, as verdicts are marked: "vn-2026.11+…/vn-2026.11" */
	int users;     /* private */
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
/* A thread's scratch for this judge's verdicts. The caller owns *out (scan_free), and gives it up before the judge. */
MUST_USE enum rc judge_scan(const struct judge *j, struct scan **out, struct err *e);
/* Stores a policy that was read from `file`, with what it says of people's decisions. */
MUST_USE enum rc judge_store_policy(struct pg *c, const struct policy *p, const char *file,
	int64_t now_us, uint8_t hash[SHA256_LEN], struct err *e);
/* Loads policy, packs and model from files, to see that they hold and what they are called; model_file "" is none. The caller owns *out
 * (judge_drop). */
MUST_USE enum rc judge_from_files(const char *policy_file, const char *rules_dir,
	const char *homoglyphs, const char *cache, const char *model_file, struct judge **out,
	struct err *e);
/* From now on judge_get keeps compiled packs in this folder (pack_load_cached); empty: nowhere. Any thread. */
void judge_cache_in(const char *dir);
