/* Private to the room: the body of an acknowledgement. */
#pragma once

#include "api/private.h"

struct ack_told {
	struct feed_ack ack; /* points into this struct */
	char consumer[64], list[40];
	struct digest buckets[256];
};
/* RC_INVALID: a sentence for whoever sent it. */
MUST_USE enum rc ack_read(struct json body, struct ack_told *t, struct err *e);
