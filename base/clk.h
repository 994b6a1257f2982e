/* Time: an injected clock, RFC 3339 in and out, and the calendar day of Ho Chi Minh City (+07:00, no summer time). */
#pragma once

#include <stdint.h>

#include "base/slice.h"

/* Times are int64_t, named *_us: microseconds since 1970-01-01 UTC. */

#define US_PER_S INT64_C(1000000)
#define US_PER_HOUR (3600 * US_PER_S)
#define US_PER_DAY (24 * US_PER_HOUR)
#define TIME_NONE INT64_MIN /* "no such time" */

struct clk {
	int64_t (*now_us)(const struct clk *c);  /* wall clock, UTC: terms, clocks, expiry */
	int64_t (*mono_us)(const struct clk *c); /* monotonic: deadlines, back-off */
	int64_t fake_us;                         /* what clk_fake answers; moved by tests */
};

extern const struct clk clk_system;
struct clk clk_fake(int64_t start_us);

/* RFC 3339 with offset or Z, 'T', 't' or blank between date and time, up to nanoseconds (cut to us). Leap second 60 is read as
 * 59. Years 1990 to 2199. RC_INVALID for anything else, an impossible date included. */
MUST_USE enum rc time_parse(struct slice s, int64_t *out_us);
#define TIME_TEXT 32
/* "2026-08-31T09:15:02Z", with ".ffffff" only when the fraction is not zero. */
void time_format(int64_t us, char out[TIME_TEXT]);
/* Days since 1970-01-01 of the calendar day in Asia/Ho_Chi_Minh. */
int32_t time_day_vn(int64_t us);
/* First day of the month (UTC) as days since 1970-01-01. */
int32_t time_month(int64_t us);
void day_format(int32_t day, char out[11]); /* "2026-08-31" */
/* Sleeps up to wait_ms, or until *stop (an eventfd-like flag polled every 50 ms) becomes non-zero. */
void wait_ms(int64_t wait_ms, const volatile int *stop);
/* Back-off with full jitter: the wait before attempt n (0, 1, …), from base_ms doubled up to cap_ms. */
int64_t backoff_ms(unsigned n, int64_t base_ms, int64_t cap_ms);
