/* One keeper at a time: an epoch row whose heartbeat moves while the leader lives. Nobody's clock is trusted: a candidate takes over when it has
 * seen the heartbeat stand still for the lease by its own monotonic clock, or when the leader gave the row back. The epoch fences the loser:
 * every release begins by asking for it. */
#pragma once

#include "wire/wire.h"

struct lease {
	const char *owner;
	int64_t lease_us;
	/* private */
	int64_t seen_beat, seen_epoch, seen_since_us, beat_at_us, epoch;
	bool watching, leads;
};

/* Call often (every tick). Beats, or watches, or takes over. RC_OK: l->leads and l->epoch say where we stand. */
MUST_USE enum rc lease_tick(struct lease *l, struct pg *c, int64_t mono_us, struct err *e);
/* Somebody else leads. */
void lease_lost(struct lease *l);
/* The connection was lost: the next tick asks at once whether we still lead. Nothing can go wrong meanwhile, every release asks, too. */
void lease_doubt(struct lease *l);
/* A clean stop: the next candidate need not wait. */
void lease_give_back(struct lease *l, struct pg *c);
