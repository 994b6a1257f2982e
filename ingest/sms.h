/* Private to ingest: the words of a citizen's text message, for sms_split.c. */
#pragma once

#include "ingest/ingest.h"

enum sign {
	SIGN_END,
	SIGN_BLANK,
	SIGN_OPEN,
	SIGN_CLOSE,
	SIGN_SEPARATOR,
	SIGN_DIGIT,
	SIGN_PLUS,
	SIGN_LETTER,
	SIGN_OTHER
};

/* Appends one part of a message as UTF-8; coding is "text" (it is UTF-8), "gsm7" or "ucs2" (it is hexadecimal). False: it is not that. */
bool sms_coding(struct slice coding, struct slice part, struct buf *out);
/* The character at the start of `s` (its bytes in *len; a byte that is no UTF-8 counts as one character). */
uint32_t sms_char(struct slice s, size_t *len);
/* What it is: blanks include no-break and zero-width ones and bidi marks; brackets are ( [ and their full-width forms; separators are
 * dashes and : ; , . | / */
enum sign sms_sign(struct slice s, size_t *len);
struct slice sms_skip_blanks(struct slice s); /* in front, visible or not */
struct slice sms_skip_gap(struct slice s);    /* and separators */
/* Without white space at both ends; what is invisible stays, it may be of the content. */
struct slice sms_trim_blanks(struct slice s);
/* The same, and without separators in front; sms_trim_both: also at the end. */
struct slice sms_trim(struct slice s);
struct slice sms_trim_both(struct slice s);
/* Takes the word (upper case ASCII) off *s when it stands there in any case, with or without Vietnamese marks. */
bool sms_word(struct slice *s, const char *word);

/* What a piece of text is when all of it is taken as a sender. */
enum seen { SEEN_NOTHING, SEEN_NUMBER, SEEN_SHORT, SEEN_NAME, SEEN_HIDDEN, SEEN_OTHER };
struct look {
	enum seen seen;
	struct sender who; /* of NUMBER (also an old one, mapped), SHORT and NAME */
};
struct look sms_look(const struct plan *p, struct slice s, int64_t occurred_us);
/* NUMBER or SHORT: digits cannot be mistaken for words. */
static inline bool look_clear(const struct look *l)
{
	return l->seen == SEEN_NUMBER || l->seen == SEEN_SHORT;
}
/* 1800… and 1900…: as long as a number, and as clear. */
static inline bool look_service_line(const struct look *l)
{
	return l->seen == SEEN_SHORT && strlen(l->who.value) > 6;
}
/* A short code that is, or begins like, a service line. */
static inline bool look_service_start(const struct look *l)
{
	return l->seen == SEEN_SHORT &&
		(strncmp(l->who.value, "1800", 4) == 0 || strncmp(l->who.value, "1900", 4) == 0);
}
/* A name that looks like a sender ID and not like words: one token with a capital (A-Z); `all`: with two at least and none of a-z. */
bool sms_brand(const struct look *l, struct slice s, bool all);

/* A sender written as digits at the very start of `s`, whatever follows: 1, its text in *out and its meaning in *look. 0: there is none. 2: the
 * digits can be read as a short code or, with those behind it, as a number. */
int sms_lead(const struct plan *p, struct slice s, int64_t occurred_us, struct slice *out,
	struct look *look);
/* Numbers (no short codes) that begin in the first 1,024 bytes: 0, 1 or 2 for "two or more different ones"; the first one's text and
 * meaning in *out, *look. */
int sms_find(const struct plan *p, struct slice s, int64_t occurred_us, struct slice *out,
	struct look *look);
/* A number as sms_find takes it, at the very start of `s`. */
bool sms_begins(const struct plan *p, struct slice s, int64_t occurred_us, struct look *look);
/* Three digits or more and no letters: somebody meant a number. */
bool sms_number_like(struct slice s);
