/* Private to the room: the votes that score and ladder look at. */
#pragma once

#include "classifier/classifier.h"

/* Points into `votes` at all of them; of more than BOUND_VOTES_PER_SENDER at the newest of each kind (by day, newest first, then reporter
 * id, smallest first), as many as vote_bound says. In no stated order. Returns how many. */
size_t votes_newest(
	const struct vote *votes, size_t n, const struct vote *out[BOUND_VOTES_PER_SENDER]);
