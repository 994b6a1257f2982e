/* Alerts to webhooks: docs/clocks.md. */
#pragma once

#include "engine/engine.h"
#include "engine/head.h"

struct webhook;
/* *out stays NULL without alerts.urls. RC_INVALID: the key is missing or too short. */
MUST_USE enum rc webhook_start(
	const struct engine_settings *s, struct head *head, struct webhook **out, struct err *e);
void webhook_join(struct webhook *w); /* after *stop; NULL is fine */
