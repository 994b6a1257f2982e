/* Who a report is about: a number, a short code or a sender ID, parsed once at the edge into a type that cannot be wrong. What it is
 * and whose, the number plan says (plan.h). */
#pragma once

#include "base/plan.h"
#include "base/slice.h"

enum scope { SCOPE_NONE, SCOPE_NUMBER, SCOPE_SHORT, SCOPE_NAME };

#define SENDER_TEXT 36

/* value: SCOPE_NUMBER E.164 digits without plus; SCOPE_SHORT digits as dialled (3 to 6 digits, 1800…, 1900…); SCOPE_NAME the sender ID,
 * trimmed, ASCII lower case, 1 to 11 characters of the GSM 7-bit alphabet. SCOPE_NONE: withheld or unusable, value is empty. */
struct sender {
	enum scope scope;
	char value[SENDER_TEXT]; /* NUL-terminated */
};

enum sender_found {
	SENDER_OK,
	SENDER_WITHHELD, /* the network hid it: "", "anonymous", "private", "unknown", "withheld", "an danh" … */
	SENDER_OLD, /* an 11-digit number of before 2018 reported after 2019-07-01T00:00+07:00: only a hint */
	SENDER_INVALID, /* no sender at all, or outside the number plan */
};

enum attribution {
	ATTR_OWN,
	ATTR_OTHER,
	ATTR_FOREIGN,
	ATTR_SHORT,
	ATTR_BRANDNAME,
	ATTR_UNATTRIBUTED
};
#define ATTRIBUTIONS 6

/* Any written form: full-width and Arabic digits, spaces, dots, dashes, brackets, +84, 0084, 84, 0. occurred_us decides how an
 * old 11-digit number is read (border 2019-07-01T00:00+07:00): before it is mapped, SENDER_OLD after, with the mapped number in *out as hint.
 * Thread-safe, no allocation. On SENDER_INVALID `why` (static text) says what was wrong. */
enum sender_found sender_parse(const struct plan *p, struct slice raw, int64_t occurred_us,
	struct sender *out, const char **why);
/* A subscriber's own number (reporter): E.164 or national mobile/fixed digits. False when it is none. */
bool msisdn_parse(const struct plan *p, struct slice raw, struct sender *out);
/* Portability table first, then prefix, else unattributed; *by_table tells which. carrier may be NULL. */
enum attribution sender_attribution(
	const struct plan *p, const struct sender *s, const char **carrier, bool *by_table);
enum number_class sender_class(const struct plan *p, const struct sender *s);
const char *scope_name(enum scope s);               /* "number", "short", "name", "none" */
enum scope scope_parse(struct slice s);             /* SCOPE_NONE when it is none of them */
enum attribution attribution_parse(struct slice s); /* ATTR_UNATTRIBUTED when it is none of them */
const char *attribution_name(
	enum attribution a); /* "own", "other", "foreign", "short", "brandname", "unattributed" */
