/* The leader's thread that folds what workers gleaned from texts into campaigns and evidence, and judges senders again whose judgement hangs on it. */
#pragma once

#include "engine/engine.h"
#include "engine/head.h"

struct gleaner;
MUST_USE enum rc gleaner_start(
	const struct engine_settings *s, struct head *head, struct gleaner **out, struct err *e);
void gleaner_join(struct gleaner *g); /* after *stop; NULL is fine */
