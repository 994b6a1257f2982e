/* Whole files into memory, with a bound. */
#pragma once

#include "base/slice.h"

/* Reads a regular file into `out` (cleared first); its cap is the bound. RC_NONE: no such file. RC_DENIED: not readable by us, or
 * `secret` and the group or others may read or write it. RC_LIMIT: larger than the cap. RC_INVALID: not a regular file or
 * not readable to its end. The cause begins with the path. */
MUST_USE enum rc file_read(const char *path, bool secret, struct buf *out, struct err *e);
