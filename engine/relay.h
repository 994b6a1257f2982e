/* The outbox relay: what transactions left to be said goes to Kafka and is deleted once acknowledged. At least once: a crash in between says it
 * again, which (key, seq) makes harmless. */
#pragma once

#include "engine/engine.h"
#include "engine/head.h"

struct relay;
MUST_USE enum rc relay_start(
	const struct engine_settings *s, struct head *head, struct relay **out, struct err *e);
void relay_join(struct relay *r);
