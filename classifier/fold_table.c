/* The table of look-alikes (etc/fold/homoglyphs.tsv), and what one character folds to. Characters below U+3000, which is nearly all
 * that messages hold, are worked out when the table is loaded; the others when they come. */
#include <stdlib.h>

#include "classifier/fold.h"

#define GLYPH_MAX 8
#define BOUND_GLYPHS 20000

struct glyph {
	uint32_t cp;
	uint8_t len;
	char text[GLYPH_MAX];
};

struct fold_table {
	struct glyph *glyph; /* by code point */
	size_t glyphs;
	struct buf pool;
	struct place {
		uint32_t at, len;
	} ready[FOLD_NEAR];       /* in pool */
	unsigned char room[256];  /* by first byte */
	struct fold_words *words; /* NULL: none */
};

static int by_cp(const void *a, const void *b)
{
	const struct glyph *x = a, *y = b;

	return x->cp < y->cp ? -1 : x->cp > y->cp;
}

static struct slice decompose(const struct fold_table *t, uint32_t cp, char out[FOLD_CHAR_MAX])
{
	uint32_t parts[UNICODE_FOLD_MAX];
	size_t n = unicode_fold(cp, parts), len = 0;

	for (size_t i = 0; i < n; i++) {
		const struct glyph want = {.cp = parts[i]};
		const struct glyph *g = parts[i] < 0x80
			? NULL
			: bsearch(&want, t->glyph, t->glyphs, sizeof(want), by_cp);

		if (g != NULL) {
			memcpy(out + len, g->text, g->len);
			len += g->len;
		} else {
			len += utf8_put(parts[i], out + len);
		}
	}
	return slice_of(out, len);
}

struct slice fold_char(const struct fold_table *t, uint32_t cp, char out[FOLD_CHAR_MAX])
{
	if (cp < FOLD_NEAR)
		return slice_of(t->pool.ptr + t->ready[cp].at, t->ready[cp].len);
	return decompose(t, cp, out);
}

const unsigned char *fold_rooms(const struct fold_table *t)
{
	return t->room;
}

const char *fold_table_word(struct fold_table *t, struct slice key, struct slice value)
{
	return fold_words_add(&t->words, key, value);
}

const struct fold_words *fold_table_words(const struct fold_table *t)
{
	return t->words;
}

static bool hex_cp(struct slice s, uint32_t *out)
{
	uint32_t v = 0;

	if (s.len < 4 || s.len > 6)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d =
			strchr(digits, s.ptr[i] | ('A' <= s.ptr[i] && s.ptr[i] <= 'F' ? 0x20 : 0));

		if (s.ptr[i] == '\0' || d == NULL)
			return false;
		v = v << 4 | (uint32_t)(d - digits);
	}
	*out = v;
	return v > 0x7F && v <= 0x10FFFF && (v < 0xD800 || v > 0xDFFF);
}

static const char *glyph_parse(struct slice line, struct glyph *out)
{
	struct slice cp, text;

	if (!slice_cut(&line, '\t', &cp) || !hex_cp(cp, &out->cp))
		return "want a code point above 7F, 4 to 6 hex digits, then TAB";
	/* twice its UTF-8, so that no text can grow without bound */
	if (!slice_cut(&line, '\t', &text) || text.len == 0 ||
		text.len > 2 * utf8_put(out->cp, out->text))
		return "want 1 to 4 characters after the TAB, 6 above U+07FF, 8 above U+FFFF";
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7E)
			return "want printable ASCII after the TAB";
		out->text[i] =
			(char)(text.ptr[i] | (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? 0x20 : 0));
	}
	out->len = (uint8_t)text.len;
	return NULL;
}

static enum rc read_glyphs(struct fold_table *t, const char *path, struct slice text, struct err *e)
{
	struct slice line;

	t->glyph = calloc(BOUND_GLYPHS, sizeof(*t->glyph));
	if (t->glyph == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t n = 1; slice_line(&text, &line); n++) {
		const char *wrong;

		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (t->glyphs == BOUND_GLYPHS)
			return err_set(
				e, RC_INVALID, "%s:%zu: more than %d lines", path, n, BOUND_GLYPHS);
		wrong = glyph_parse(line, &t->glyph[t->glyphs++]);
		if (wrong != NULL)
			return err_set(e, RC_INVALID, "%s:%zu: %s", path, n, wrong);
	}
	qsort(t->glyph, t->glyphs, sizeof(*t->glyph), by_cp);
	for (size_t i = 1; i < t->glyphs; i++)
		if (t->glyph[i].cp == t->glyph[i - 1].cp)
			return err_set(e, RC_INVALID, "%s: %04X stands twice", path,
				(unsigned)t->glyph[i].cp);
	return RC_OK;
}

static enum rc prepare(struct fold_table *t, struct err *e)
{
	buf_init(&t->pool, (size_t)FOLD_NEAR * FOLD_CHAR_MAX);
	memset(t->room, 1, 0xC2);
	memset(t->room + 0xC2, FOLD_CHAR_MAX, sizeof(t->room) - 0xC2); /* from FOLD_NEAR on, 0xE3 */
	memset(t->room + 0xC2, 1, 0xE3 - 0xC2);
	for (uint32_t cp = 0; cp < FOLD_NEAR; cp++) {
		char room[FOLD_CHAR_MAX], first[4];
		struct slice s = decompose(t, cp, room);

		t->ready[cp] = (struct place){(uint32_t)t->pool.len, (uint32_t)s.len};
		buf_add(&t->pool, s);
		(void)utf8_put(cp, first);
		unsigned char *most = &t->room[(unsigned char)first[0]];
		*most = s.len > *most ? (unsigned char)s.len : *most;
	}
	return t->pool.failed ? err_set(e, RC_RETRY, "out of memory") : RC_OK;
}

enum rc fold_table_load(const char *path, struct fold_table **out, struct err *e)
{
	OWN(fold_table_free) struct fold_table *t = calloc(1, sizeof(*t));
	BUF_OWN struct buf text;
	enum rc rc;

	buf_init(&text, BOUND_CONFIG_FILE);
	if (t == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = file_read(path, false, &text, e);
	if (rc == RC_OK)
		rc = read_glyphs(t, path, buf_slice(&text), e);
	if (rc == RC_OK)
		rc = prepare(t, e);
	if (rc == RC_OK)
		*out = TAKE(t);
	return rc;
}

void fold_table_free(struct fold_table *t)
{
	if (t == NULL)
		return;
	buf_done(&t->pool);
	fold_words_free(t->words);
	free(t->glyph);
	free(t);
}
