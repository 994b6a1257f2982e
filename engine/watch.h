/* Watch windows: docs/clocks.md. */
#pragma once

#include "cases/cases.h"

/* The keeper's share: begins and ends windows. path "": there are none. */
MUST_USE enum rc watch_tend(struct pg *pg, const char *path, int64_t now_us, struct err *e);
