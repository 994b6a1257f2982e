/* audit: the append-only, chained log of who did what and why. A transaction appends its row; the keeper chains it in its next release
 * transaction, so nothing is published before its audit entry is chained. */
#pragma once

#include "wire/wire.h"

/* Appends inside the caller's open transaction (and pipeline-free). `lines`: one change a line, numbers masked, no message text. */
MUST_USE enum rc audit_append(struct pg *c, int64_t at_us, const char *actor, const char *what,
	struct slice lines, struct err *e);
/* The SQL of the same, for a caller who sends it in a pipeline: parameters at (timestamptz), actor, what, lines. */
extern const char audit_append_sql[];

/* canonical row: id LF at (RFC 3339) LF actor LF what LF lines. hash = SHA-256(previous || canonical); the first previous is 32 zero
 * bytes. Chains every pending row by id, inside the keeper's transaction; *seq and head tell the last link (unchanged when none waited). */
MUST_USE enum rc audit_chain(
	struct pg *c, int64_t *seq, uint8_t head[SHA256_LEN], size_t *chained, struct err *e);
/* Walks the chain. RC_OK: *links verified. RC_INVALID: e names the first link that does not hold. known_head (seq, hash) from outside is
 * compared when seq > 0: a truncated or rebuilt chain shows only there. */
MUST_USE enum rc audit_verify(
	struct pg *c, int64_t known_seq, const uint8_t *known_hash, int64_t *links, struct err *e);

/* Heads that were kept outside: the file's lines "AT SEQ HASH", or the topic's "{…"seq":N,"hash":"…"}", in any order. */
struct audit_head {
	int64_t seq;
	uint8_t hash[SHA256_LEN];
};
/* Into the arena, by seq. RC_INVALID: a line is neither; e names it. */
MUST_USE enum rc audit_heads_read(
	struct slice text, struct arena *a, struct audit_head **out, size_t *n, struct err *e);
/* As audit_verify, against every one of them (by seq). */
MUST_USE enum rc audit_verify_heads(
	struct pg *c, const struct audit_head *heads, size_t n, int64_t *links, struct err *e);
