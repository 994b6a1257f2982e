/* Private to base: what sender.c asks of the loaded number plan. */
#pragma once

#include "base/plan.h"

#define NATIONAL_MAX 12 /* digits of a national number that any row may name */

struct plan_row {
	enum number_class cls;
	uint8_t min, max;
	uint8_t carrier; /* of plan_carrier; 0: none */
	uint16_t next;   /* another row of the same prefix; 0: none */
};

/* The row of the longest prefix that fits in digits and length; NULL: outside the plan. */
const struct plan_row *plan_find(const struct plan *p, const char *digits, size_t len);
/* An old mobile number (10 national digits): its 9 digits of today are written. */
bool plan_old(const struct plan *p, const char *digits, size_t len, char out[9]);
/* Digits of a number from abroad: there is such a country code, and so many digits may follow it. True without world.csv. */
bool plan_abroad(const struct plan *p, const char *digits, size_t len);
struct plan_short {
	uint64_t code;
	enum number_class cls;
	uint8_t owner;
};
const struct plan_short *plan_short(
	const struct plan *p, uint64_t code);               /* NULL: not in the table */
uint8_t plan_ported(const struct plan *p, uint64_t number); /* 0: not in the table */
const char *plan_carrier(const struct plan *p, uint8_t i);  /* NULL for 0 */
bool plan_is_own(const struct plan *p, uint8_t carrier);
