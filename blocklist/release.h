/* Private to the room: what one release looks at, between reading (release_keys.c), deciding (release_judge.c) and writing
 * (release_write.c). All of it lives in the release's arena. */
#pragma once

#include "blocklist/list.h"

#define RELEASE_DIRTY "40000" /* dirty keys of one release */
#define RELEASE_OTHER "20000" /* of each: ended entries, ended wishes, waiting wishes */

enum wish_state { WISH_WANTED, WISH_ADMITTED, WISH_HELD, WISH_ENDED };

struct wish {
	const char *origin, *action, *detail, *case_id, *basis, *reason;
	int64_t until_s;
	double score;
	int64_t first_at, decided_at;
	enum wish_state state;
	/* what becomes of it */
	enum wish_state then;
	const char *why; /* of held */
};

/* One (sender, service), with why it should be listed and how it is listed now. */
struct key {
	int64_t sender;
	struct entry now, then; /* action NULL: not listed */
	const char *now_origin, *then_origin;
	bool is_protected;
	bool admitted; /* by an automatic addition of this release */
	struct wish *wishes;
	size_t n;
};

struct release {
	struct key *keys; /* in the order of their locks: scope, value, service */
	size_t n;
	struct list_mark head, mark; /* before, after */
	struct list_mark
		sms; /* count and digest of the service sms, before; list and release unused */
	struct list_mark sms_then;
	int64_t now_us;
	const struct caps *caps;
	bool kill_switch;
	const char *mode; /* of the control row: what a wish becomes when its protection ends */
	int64_t hour_used, day_used; /* automatic additions of the sliding windows */
	int added, removed, held, overflow;
	struct arena *arena;
};

/* Takes the keys, locks their senders, reads wishes, entries, protection, head and windows. */
MUST_USE enum rc release_read(struct release *r, struct pg *c, struct err *e);
/* Decides what becomes of every wish and how every key is listed. No I/O. RC_RETRY: out of memory. */
MUST_USE enum rc release_judge(struct release *r, struct err *e);
/* Entries, release, changes, head, wishes, actions, cases, windows, audit row. Not the chain, not the COMMIT. */
MUST_USE enum rc release_write(struct release *r, struct pg *c, struct err *e);
/* Removes protections whose time is over and marks what was inside them. */
MUST_USE enum rc protected_end(struct pg *c, int64_t now_us, struct arena *a, struct err *e);

static inline bool is_automatic(const char *origin)
{
	return strncmp(origin, "auto:", 5) == 0;
}
static inline bool is_order(const char *origin)
{
	return strncmp(origin, "order:", 6) == 0;
}
