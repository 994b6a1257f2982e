/* Folding a text: the copy that rules judge, and the way from each of its bytes back to the raw text. Linear in the text. The steps
 * and their order are docs/judgement.md section 2.1; what one character becomes is fold_table.c. */
#include "classifier/fold.h"

/* The copy while it is made; it only ever shrinks after step 5. */
struct copy {
	char *text;
	uint32_t *map; /* len + 1 entries */
	size_t len;
};

enum { LETTER = 1, DIGIT = 2, SIGN = 4 };

/* What a byte is to steps 6 and 7. */
static const unsigned char is[256] = {['a' ... 'z'] = LETTER,
	['0' ... '9'] = DIGIT,
	['@'] = SIGN,
	['$'] = SIGN,
	['!'] = SIGN,
	['|'] = SIGN};
/* The letter that a sign or digit stands for between two letters. */
static const char letter_for[256] = {['0'] = 'o',
	['1'] = 'i',
	['3'] = 'e',
	['4'] = 'a',
	['5'] = 's',
	['7'] = 't',
	['8'] = 'b',
	['@'] = 'a',
	['$'] = 's',
	['!'] = 'i',
	['|'] = 'i'};

static unsigned char at(const char *p)
{
	return is[(unsigned char)*p];
}

/* Writes the blank that waits, unless it would be the first character. */
static void put_blank(struct copy *c, bool *waits, uint32_t from)
{
	if (*waits && c->len > 0) {
		c->map[c->len] = from;
		c->text[c->len++] = ' ';
	}
	*waits = false;
}

static bool between(const char *p, const char *start, size_t left, char low, char high)
{
	return p > start && left > 1 && p[-1] >= low && p[-1] <= high && p[1] >= low &&
		p[1] <= high;
}

/* Step 0 and, for ASCII, the rest of steps 1 to 3. */
static char small(const char *p, const char *start, size_t left)
{
	if (*p == 'l' && between(p, start, left, 'A', 'Z'))
		return 'i';
	if (*p == 'I' && between(p, start, left, 'a', 'z'))
		return 'l';
	return (char)(*p | (*p >= 'A' && *p <= 'Z' ? 0x20 : 0));
}

/* Steps 0 to 5 for printable ASCII and blanks, which is most of most texts. Stops at anything else. */
static void take_ascii(
	struct copy *c, struct slice *raw, const char *start, bool *blank_waits, uint32_t *blank_at)
{
	const char *p = raw->ptr, *end = p + raw->len;
	bool waits = *blank_waits;
	char *text = c->text + c->len;
	uint32_t *map = c->map + c->len;

	for (; p < end && *p >= ' ' && *p < 0x7F; p++) {
		if (*p == ' ') {
			*blank_at = waits ? *blank_at : (uint32_t)(p - start);
			waits = true;
			continue;
		}
		if (waits && text > c->text) {
			*map++ = *blank_at;
			*text++ = ' ';
		}
		waits = false;
		*map++ = (uint32_t)(p - start);
		*text++ = *p == 'l' || (*p >= 'A' && *p <= 'Z') ? small(p, start, (size_t)(end - p))
								: *p;
	}
	c->len = (size_t)(text - c->text);
	*blank_waits = waits;
	*raw = slice_of(p, (size_t)(end - p));
}

/* Steps 0 to 5. */
static void by_character(const struct fold_table *t, struct slice raw, struct copy *c)
{
	const char *start = raw.ptr;
	bool blank = false; /* one waits to be written, if something follows */
	uint32_t blank_at = 0;

	while (raw.len > 0) {
		char room[FOLD_CHAR_MAX];
		uint32_t cp;

		take_ascii(c, &raw, start, &blank, &blank_at);
		if (raw.len == 0)
			break;
		uint32_t from = (uint32_t)(raw.ptr - start);
		struct slice s = utf8_next(&raw, &cp) ? fold_char(t, cp, room) : SLICE(" ");

		for (size_t i = 0; i < s.len; i++) {
			if (s.ptr[i] == ' ') {
				blank_at = blank ? blank_at : from;
				blank = true;
				continue;
			}
			put_blank(c, &blank, blank_at);
			c->map[c->len] = from;
			c->text[c->len++] = s.ptr[i];
		}
	}
	c->map[c->len] = blank ? blank_at : (uint32_t)(raw.ptr - start);
}

/* Length of the separator that stands at p, 0 for none: one of - _ * and the middle dot, or 1 to 3 dots. */
static size_t separator(const char *p, const char *end)
{
	size_t n = 0;

	switch (*p) {
	case '-':
	case '_':
	case '*':
		return 1;
	case '\xC2':
		return end - p > 1 && p[1] == '\xB7' ? 2 : 0;
	case '.':
		while (p + n < end && p[n] == '.')
			n++;
		return n <= 3 ? n : 0;
	default:
		return 0;
	}
}

/* A word of three or more single letters or digits, two of them letters, with the same separator between each two. */
static bool spaced_inside(const char *p, const char *end)
{
	size_t letters = 0, n = 0;
	char with = '\0';

	for (;;) {
		size_t len;

		if (p == end || (at(p) & (LETTER | DIGIT)) == 0)
			return false;
		letters += at(p) == LETTER;
		n++;
		if (++p == end)
			return n >= 3 && letters >= 2;
		len = separator(p, end);
		if (len == 0 || (with != '\0' && with != *p))
			return false;
		with = *p;
		p += len;
	}
}

static const char *word_end(const char *p, const char *end)
{
	const char *blank = memchr(p, ' ', (size_t)(end - p));

	return blank != NULL ? blank : end;
}

static void keep(struct copy *c, size_t *to, size_t from)
{
	c->map[*to] = c->map[from];
	c->text[(*to)++] = c->text[from];
}

static void shrink(struct copy *c, size_t to)
{
	c->map[to] = c->map[c->len];
	c->len = to;
}

/* Some word is letters with separators between: step 6, first, has something to do. */
static bool has_spaced(const struct copy *c)
{
	const char *p = c->text, *end = c->text + c->len;

	while (p < end) {
		const char *stop = word_end(p, end);

		if (stop - p >= 5 && separator(p + 1, end) > 0 && spaced_inside(p, stop))
			return true;
		p = stop + 1;
	}
	return false;
}

/* Step 6, first: "v-a-y" becomes "vay". */
static void join_inside(struct copy *c)
{
	const char *end = c->text + c->len;
	size_t to = 0;

	for (size_t i = 0; i < c->len;) {
		const char *stop = word_end(c->text + i, end);
		bool join = spaced_inside(c->text + i, stop);
		size_t word = (size_t)(stop - c->text);

		for (; i < word; i++)
			if (!join || (at(c->text + i) & (LETTER | DIGIT)) != 0)
				keep(c, &to, i);
		if (i < c->len)
			keep(c, &to, i++); /* the blank */
	}
	shrink(c, to);
}

/* Where a row of words of one letter or digit ends that starts at i, before the blank after it; i when it is no such row. */
static size_t row_end(const struct copy *c, size_t i, size_t *joined)
{
	size_t letters = 0, n = 0, stop = i;

	for (size_t k = i; k < c->len && (at(c->text + k) & (LETTER | DIGIT)) != 0; k += 2) {
		if (k + 1 < c->len && c->text[k + 1] != ' ')
			break;
		letters += at(c->text + k) == LETTER;
		n++;
		stop = k + 1;
	}
	*joined = n >= 3 && letters >= 2;
	return stop;
}

/* Some row of words is to be joined: step 6, second, has something to do. */
static bool has_row(const struct copy *c)
{
	const char *end = c->text + c->len;

	for (size_t i = 0; i < c->len;) {
		size_t join, stop = i;

		if (i + 1 < c->len && c->text[i + 1] == ' ' && (stop = row_end(c, i, &join)) > i &&
			join != 0)
			return true;
		if (stop == i)
			stop = (size_t)(word_end(c->text + i, end) - c->text);
		i = stop + 1;
	}
	return false;
}

/* Step 6, second: "v a y" becomes "vay". */
static void join_words(struct copy *c)
{
	const char *end = c->text + c->len;
	size_t to = 0;

	for (size_t i = 0; i < c->len;) {
		size_t join, stop = row_end(c, i, &join);

		if (stop == i)
			stop = (size_t)(word_end(c->text + i, end) - c->text);
		for (; i < stop; i++)
			if (join == 0 || c->text[i] != ' ')
				keep(c, &to, i);
		if (i < c->len)
			keep(c, &to, i++);
	}
	shrink(c, to);
}

/* The run [from, to) stands in a link: a dot, slash or colon beside it that has something on its other side too. */
static bool in_link(const struct copy *c, size_t from, size_t to)
{
	const char *t = c->text;

	if (from >= 2 && (t[from - 1] == '.' || t[from - 1] == '/' || t[from - 1] == ':') &&
		t[from - 2] != ' ')
		return true;
	return to + 1 < c->len && (t[to] == '.' || t[to] == '/' || t[to] == ':') &&
		t[to + 1] != ' ';
}

/* Step 7. In place: a letter that is put in has letters on both sides, so it makes no neighbour of any other sign. */
static void signs_for_letters(struct copy *c)
{
	for (size_t i = 0; i < c->len;) {
		size_t from = i;
		bool wanted = false;

		for (; i < c->len && at(c->text + i) != 0; i++)
			wanted = wanted || at(c->text + i) != LETTER;
		for (size_t k = from + 1; wanted && k + 1 < i; k++) {
			char letter = letter_for[(unsigned char)c->text[k]];

			if (letter == '\0' || at(c->text + k - 1) != LETTER ||
				at(c->text + k + 1) != LETTER)
				continue;
			if (in_link(c, from, i))
				break;
			c->text[k] = letter;
		}
		i += i == from;
	}
}

/* Bytes that the folded copy of raw takes at most, and one more. */
static size_t room_for(const struct fold_table *t, struct slice raw)
{
	const unsigned char *rooms = fold_rooms(t);
	size_t room = 1;

	for (size_t i = 0; i < raw.len; i++)
		room += rooms[(unsigned char)raw.ptr[i]];
	return room;
}

enum rc fold(const struct fold_table *t, struct slice raw, struct arena *a, struct folded *out)
{
	struct copy c = {0};
	size_t room;

	raw = content_cut(raw);
	room = room_for(t, raw);
	c.text = arena_alloc(a, room);
	c.map = arena_array(a, room, sizeof(*c.map));
	if (c.text == NULL || c.map == NULL)
		return RC_LIMIT;
	by_character(t, raw, &c);
	if (has_spaced(&c))
		join_inside(&c);
	if (has_row(&c))
		join_words(&c);
	signs_for_letters(&c);
	struct folded f = {slice_of(c.text, c.len), c.map};
	enum rc rc = fold_words(fold_table_words(t), a, &f);
	if (rc == RC_OK)
		*out = f;
	return rc;
}
