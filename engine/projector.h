/* One thread per copy of the list (a Redis, a Kafka topic): follows the release log while this process leads, heals the copy when it vanished or differs, and
 * never holds up the keeper. */
#pragma once

#include "engine/engine.h"
#include "engine/head.h"

struct projector;
/* where: the address of a Redis, the name of a topic. */
MUST_USE enum rc projector_start(const struct engine_settings *s, const struct projection_ops *ops,
	const char *where, int index, struct head *head, struct projector **out, struct err *e);
void projector_join(struct projector *p);
