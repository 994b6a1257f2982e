/* Private to extract*.c: the reader of one text. */
#pragma once

#include "classifier/rules.h"

#define NUMBER_MAX 14
#define PHONES_NEAR 32 /* phones that are looked at for a chat's name before them */

struct reader {
	const struct links *links;
	const struct folded *f;
	const char *start, *end; /* of the folded text */
	struct arena *arena;
	struct evidence *out;
	size_t n;
	bool full_arena;
	struct found {
		const char *from, *to; /* where it stands; handles: the path's first part */
		struct slice value;
		const char *site;
	} handle[BOUND_EVIDENCE], phone[PHONES_NEAR];
	size_t handles, phones;
};

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

static inline bool is_run(char c)
{
	return is_word(c) || c == '-';
}

/* Keeps an item unless it is kept already or there are enough. The value is copied. */
void extract_put(struct reader *r, enum evidence_kind kind, struct slice value, unsigned flags,
	const char *from, const char *to);

/* ---- extract_numbers.c ---- */

/* These digits, and all of them, as a phone. */
bool extract_whole_number(struct slice d, char room[NUMBER_MAX + 2], struct slice *out);
void extract_numbers(struct reader *r); /* written in digits; fills r->phone too */
void extract_spelled(struct reader *r); /* and in words */
