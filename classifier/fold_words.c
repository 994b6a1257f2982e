/* The last step of folding: words in disguise (docs/judgement.md 2.1, step 8), and the table of words that packs bring. A piece of the
 * text is changed only when what it can be read as stands in the table, so links, names and other languages stay as they are. */
#include <stdlib.h>

#include "classifier/fold.h"

#define BOUND_WORDS 5000
#define WORDS_IN_A_MEANING 6
#define SLOTS 16384 /* a power of two, over three times BOUND_WORDS */

struct word {
	uint32_t key, value; /* places in the pool */
	uint16_t key_len, value_len;
};
struct fold_words {
	struct word word[BOUND_WORDS];
	size_t words;
	uint16_t slot[SLOTS]; /* number of a word + 1 */
	struct buf pool;
};

enum { LETTER = 1, SIGN = 2, SEPARATOR = 4, END = 8 };

static const unsigned char is[256] = {['a' ... 'z'] = LETTER,
	['0'] = SIGN,
	['1'] = SIGN,
	['3' ... '9'] = SIGN,
	['@'] = SIGN,
	['$'] = SIGN,
	['!'] = SIGN | END,
	['|'] = SIGN,
	['-'] = SEPARATOR,
	['_'] = SEPARATOR,
	['*'] = SEPARATOR,
	['~'] = SEPARATOR,
	['^'] = SEPARATOR,
	['/'] = SEPARATOR,
	['\\'] = SEPARATOR,
	['+'] = SEPARATOR,
	['.'] = SEPARATOR | END,
	[','] = SEPARATOR | END,
	[';'] = SEPARATOR | END,
	[':'] = SEPARATOR | END,
	['\''] = SEPARATOR | END,
	['"'] = SEPARATOR | END,
	['?'] = END,
	['('] = END,
	[')'] = END,
	['['] = END,
	[']'] = END,
	['{'] = END,
	['}'] = END};
static const char read_as[256] = {['0'] = 'o',
	['1'] = 'i',
	['3'] = 'e',
	['4'] = 'a',
	['5'] = 's',
	['6'] = 'b',
	['7'] = 't',
	['8'] = 'b',
	['9'] = 'g',
	['@'] = 'a',
	['$'] = 's',
	['!'] = 'i',
	['|'] = 'i'};

static unsigned char kind(char c)
{
	return is[(unsigned char)c];
}

/* ---- the table ---- */

static uint32_t hash(struct slice s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 16777619u;
	return h ^ h >> 15;
}

static uint16_t *slot_of(struct fold_words *w, struct slice key)
{
	uint32_t at = hash(key) % SLOTS;

	while (w->slot[at] != 0) {
		const struct word *x = &w->word[w->slot[at] - 1];

		if (slice_eq(slice_of(w->pool.ptr + x->key, x->key_len), key))
			break;
		at = (at + 1) % SLOTS;
	}
	return &w->slot[at];
}

static bool find(const struct fold_words *w, struct slice key, struct slice *out)
{
	uint16_t n = *slot_of((struct fold_words *)(uintptr_t)w, key); /* only looks */

	if (n != 0)
		*out = slice_of(w->pool.ptr + w->word[n - 1].value, w->word[n - 1].value_len);
	return n != 0;
}

static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (kind(s.ptr[i]) != LETTER)
			return false;
	return s.len >= FOLD_WORD_MIN && s.len <= FOLD_WORD_MAX;
}

static const char *put(struct fold_words *w, struct slice key, struct slice value)
{
	uint16_t *slot = slot_of(w, key);
	struct slice have;

	if (find(w, key, &have))
		return slice_eq(have, value) ? NULL : "is read in another way already";
	if (w->words == BOUND_WORDS)
		return "is one word too many";
	struct word *x = &w->word[w->words];
	x->key = (uint32_t)w->pool.len;
	x->key_len = (uint16_t)key.len;
	buf_add(&w->pool, key);
	x->value = (uint32_t)w->pool.len;
	x->value_len = (uint16_t)value.len;
	buf_add(&w->pool, value);
	*slot = (uint16_t)++w->words;
	return w->pool.failed ? "found no memory" : NULL;
}

const char *fold_words_add(struct fold_words **words, struct slice key, struct slice value)
{
	struct slice rest = value, word;
	const char *why = NULL;
	size_t n = 0;

	if (*words == NULL) {
		*words = calloc(1, sizeof(**words));
		if (*words == NULL)
			return "found no memory";
		buf_init(&(*words)->pool, (size_t)BOUND_WORDS * FOLD_WORD_MAX * 5);
	}
	if (!is_word(key))
		return "is not 2 to 24 of a-z";
	if (value.len == 0 || value.len > 4 * key.len || value.ptr[value.len - 1] == ' ')
		return "is not read as words at most four times as long";
	while (why == NULL && slice_cut(&rest, ' ', &word)) {
		if (!is_word(word) || ++n > WORDS_IN_A_MEANING)
			return "is not read as 1 to 6 words of 2 to 24 of a-z each";
		why = put(*words, word, word);
	}
	return why != NULL ? why : put(*words, key, value);
}

void fold_words_free(struct fold_words *w)
{
	if (w == NULL)
		return;
	buf_done(&w->pool);
	free(w);
}

/* ---- reading a piece ---- */

static bool is_vowel(char c)
{
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

/* aa ee oo dd aw ow uw */
static bool is_double(const char *p)
{
	return (p[0] == p[1] && (p[0] == 'a' || p[0] == 'e' || p[0] == 'o' || p[0] == 'd')) ||
		(p[1] == 'w' && (p[0] == 'a' || p[0] == 'o' || p[0] == 'u'));
}

static bool find_telex(const struct fold_words *w, struct slice piece, struct slice *out)
{
	char flat[FOLD_WORD_MAX], less[FOLD_WORD_MAX];
	size_t len = 0, i = 0;

	while (i < piece.len) {
		flat[len++] = piece.ptr[i];
		i += i + 1 < piece.len && is_double(piece.ptr + i) ? 2 : 1;
	}
	if (find(w, slice_of(flat, len), out))
		return true;
	for (i = 0; i < len && !is_vowel(flat[i]);)
		i++;
	for (i++; i < len; i++) {
		if (memchr("sfrxj", flat[i], 5) == NULL)
			continue;
		memcpy(less, flat, i);
		memcpy(less + i, flat + i + 1, len - i - 1);
		if (find(w, slice_of(less, len - 1), out))
			return true;
	}
	return false;
}

static bool find_letters(const struct fold_words *w, struct slice piece, struct slice *out)
{
	char with_i[FOLD_WORD_MAX];
	bool has_j = false, telex = false;

	if (find(w, piece, out))
		return true;
	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.ptr[i];

		with_i[i] = c;
		if (c == 'j') {
			has_j = true;
			with_i[i] = 'i';
		}
		telex = telex || c == 'f' || c == 'j' || c == 'w' || c == 'z' ||
			(i + 1 < piece.len && is_double(piece.ptr + i));
	}
	return (has_j && find(w, slice_of(with_i, piece.len), out)) ||
		(telex && find_telex(w, piece, out));
}

static bool find_piece(const struct fold_words *w, struct slice piece, struct slice *out)
{
	char read[FOLD_WORD_MAX];
	size_t len = 0, letters = 0;

	if (piece.len < FOLD_WORD_MIN || piece.len > FOLD_WORD_MAX)
		return false;
	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.ptr[i];
		unsigned char k = kind(c);

		letters += k == LETTER;
		if ((k & (LETTER | SIGN)) != 0)
			read[len++] = k == LETTER ? c : read_as[(unsigned char)c];
		else if ((k & SEPARATOR) == 0)
			return false;
	}
	if (letters == piece.len)
		return find_letters(w, piece, out);
	return letters >= 2 && len >= 3 && find(w, slice_of(read, len), out);
}

/* ---- the text ---- */

/* The next piece at or after *at, without its ends; false at the end of the text. *at: after the blank that follows. */
static bool next_piece(struct slice text, size_t *at, struct slice *out)
{
	const char *from = text.ptr + *at, *end = text.ptr + text.len, *to;

	if (*at >= text.len)
		return false;
	to = memchr(from, ' ', (size_t)(end - from));
	to = to != NULL ? to : end;
	*at = (size_t)(to - text.ptr) + 1;
	if ((to + 1 < end && to[1] == '.') ||
		(from >= text.ptr + 2 && from[-2] == '.' &&
			(from == text.ptr + 2 || from[-3] == ' '))) {
		*out = slice_of(from, 0); /* beside a dot: perhaps a link that is drawn apart */
		return true;
	}
	while (from < to && (kind(*from) & END) != 0)
		from++;
	while (from < to && (kind(to[-1]) & END) != 0)
		to--;
	*out = slice_of(from, (size_t)(to - from));
	return true;
}

/* How much longer the text becomes; *any: a piece changes. */
static size_t growth(const struct fold_words *w, struct slice text, bool *any)
{
	struct slice piece, is_read;
	size_t more = 0, at = 0;

	while (next_piece(text, &at, &piece)) {
		if (!find_piece(w, piece, &is_read) || slice_eq(is_read, piece))
			continue;
		*any = true;
		more += is_read.len > piece.len ? is_read.len - piece.len : 0;
	}
	return more;
}

static void copy_part(const struct folded *f, size_t from, size_t to, struct folded *out)
{
	char *text = (char *)(uintptr_t)out->text.ptr; /* our own, as the map */
	uint32_t *map = (uint32_t *)(uintptr_t)out->map;

	memcpy(text + out->text.len, f->text.ptr + from, to - from);
	memcpy(map + out->text.len, f->map + from, (to - from) * sizeof(*map));
	out->text.len += to - from;
}

enum rc fold_words(const struct fold_words *w, struct arena *a, struct folded *f)
{
	struct slice piece, is_read;
	struct folded out = {0};
	size_t at = 0, done = 0;
	bool any = false;

	if (w == NULL)
		return RC_OK;
	size_t room = f->text.len + growth(w, f->text, &any) + 1;
	if (!any)
		return RC_OK;
	char *text = arena_alloc(a, room);
	uint32_t *map = arena_array(a, room, sizeof(*map));
	if (text == NULL || map == NULL)
		return RC_LIMIT;
	out = (struct folded){slice_of(text, 0), map};
	while (next_piece(f->text, &at, &piece)) {
		if (!find_piece(w, piece, &is_read) || slice_eq(is_read, piece))
			continue;
		size_t from = (size_t)(piece.ptr - f->text.ptr);

		copy_part(f, done, from, &out);
		done = from + piece.len;
		memcpy(text + out.text.len, is_read.ptr, is_read.len);
		for (size_t i = 0; i < is_read.len; i++)
			map[out.text.len + i] = f->map[from];
		out.text.len += is_read.len;
	}
	copy_part(f, done, f->text.len, &out);
	map[out.text.len] = f->map[f->text.len];
	*f = out;
	return RC_OK;
}
