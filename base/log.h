/* One line of key=value on stderr: time, level, area, message. Numbers are masked, message text is never logged. Libraries do
 * not log above debug; the loop that decides what to do logs once. */
#pragma once

#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* `area` is the room ("ingest"). The formatted text is "key=value …" pairs or a sentence; control characters are escaped, the line
 * is cut at 2 KiB. Thread-safe: one write(2) a line. */
void log_at(enum log_level level, const char *area, const char *fmt, ...) PRINTF(3, 4);
#define log_error(area, ...) log_at(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) log_at(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...) log_at(LOG_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_at(LOG_DEBUG, area, __VA_ARGS__)
/* "84912345678" -> "8491*****78"; the answer stands in `out`. */
#define MASKED_TEXT 48
const char *log_mask(struct slice number, char out[MASKED_TEXT]);
