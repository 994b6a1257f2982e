/* Private to the room: folding one character (fold_table.c, unicode.c); folding a text is fold() of classifier.h. */
#pragma once

#include "classifier/classifier.h"

#define FOLD_CHAR_MAX \
	80 /* bytes that one character folds to, at most; checked over all of Unicode by a test */
#define FOLD_GROWTH 24   /* times longer than its own UTF-8, at most */
#define FOLD_NEAR 0x3000 /* code points below are worked out beforehand */

/* ---- fold_words.c ---- */

#define FOLD_WORD_MIN 2
#define FOLD_WORD_MAX 24
/* Words that are looked for in disguise, and what other spellings mean (docs/rules.md, words and spellings). */
struct fold_words;
/* Adds a spelling and what it is read as; a word is read as itself. Makes *words when it is NULL. NULL: fine; else static text that goes
 * on after the spelling: "is …". */
const char *fold_words_add(struct fold_words **words, struct slice key, struct slice value);
void fold_words_free(struct fold_words *w);
/* Step 8, on what the others left; w may be NULL. RC_LIMIT: the arena is full, *f is untouched. */
MUST_USE enum rc fold_words(const struct fold_words *w, struct arena *a, struct folded *f);

/* ---- fold_table.c ---- */

/* As fold_words_add, for this table. Not while others fold with it. */
const char *fold_table_word(struct fold_table *t, struct slice key, struct slice value);
const struct fold_words *fold_table_words(const struct fold_table *t);
/* By first byte: at most so many bytes does a character become whose UTF-8 begins with it; 1 for bytes that begin none. */
const unsigned char *fold_rooms(const struct fold_table *t);
/* Steps 1 to 3 of docs/judgement.md 2.1 for one code point: UTF-8 in `out`, or a pointer into the table. Length 0: dropped. */
struct slice fold_char(const struct fold_table *t, uint32_t cp, char out[FOLD_CHAR_MAX]);

/* Steps 1 and 2: what `cp` becomes, as code points; 0: it is dropped. Blanks are U+0020. */
#define UNICODE_FOLD_MAX 20
size_t unicode_fold(uint32_t cp, uint32_t out[UNICODE_FOLD_MAX]);

/* Cuts the first character off *rest. False, and one byte is cut off, when no UTF-8 character starts here. rest is not empty. */
bool utf8_next(struct slice *rest, uint32_t *cp);
size_t utf8_put(uint32_t cp, char out[4]);
/* The first BOUND_CONTENT bytes, cut at a character border. */
struct slice content_cut(struct slice content);
