/* The words of a citizen's text message: characters, keywords, and numbers that stand among other text. Which piece means what is
 * decided in sms_split.c. */
#include "ingest/sms.h"

#define LOOK_MAX 64     /* a sender is never written longer, in bytes */
#define LEAD_DIGITS 20  /* of one written number */
#define FIND_BYTES 1024 /* of a text that are searched for a number */

uint32_t sms_char(struct slice s, size_t *len)
{
	const unsigned char *c = (const unsigned char *)s.ptr;
	uint32_t cp;
	size_t n;

	*len = s.len > 0 ? 1 : 0;
	if (s.len == 0)
		return 0;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return c[0];
	n = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	if (s.len < n)
		return c[0];
	cp = c[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return c[0];
		cp = cp << 6 | (c[i] & 0x3fu);
	}
	*len = n;
	return cp;
}

static bool is_space(uint32_t c)
{
	if (c > 0x20 && c < 0x7f)
		return false;
	return c <= 0x20 || c == 0x7f || c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
		c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Zero-width and bidi marks, soft hyphen. */
static bool is_invisible(uint32_t c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
		(c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static bool any_digit(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 0xff10 && c <= 0xff19) ||
		(c >= 0x660 && c <= 0x669) || (c >= 0x6f0 && c <= 0x6f9);
}

/* Any that is not known to be a sign or a picture. */
static bool is_letter(uint32_t c)
{
	return c >= 0xc0 && c != 0xd7 && c != 0xf7 && (c < 0x2000 || c > 0x2bff) &&
		(c < 0x3000 || c > 0x303f) && (c < 0xfe00 || c > 0xfe0f) &&
		(c < 0xff01 || c > 0xff20) && (c < 0x1f000 || c > 0x1faff);
}

static enum sign sign_of(uint32_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return SIGN_LETTER;
	if (is_space(c) || is_invisible(c))
		return SIGN_BLANK;
	if (any_digit(c))
		return SIGN_DIGIT;
	switch (c) {
	case '(':
	case '[':
	case 0xff08:
	case 0xff3b:
	case 0x3010:
		return SIGN_OPEN;
	case ')':
	case ']':
	case 0xff09:
	case 0xff3d:
	case 0x3011:
		return SIGN_CLOSE;
	case '-':
	case ':':
	case ';':
	case ',':
	case '.':
	case '|':
	case '/':
	case 0x2010:
	case 0x2011:
	case 0x2012:
	case 0x2013:
	case 0x2014:
	case 0x2015:
	case 0x2212:
	case 0xff0d:
	case 0xff1a:
	case 0xff0c:
		return SIGN_SEPARATOR;
	case '+':
	case 0xff0b:
		return SIGN_PLUS;
	default:
		return is_letter(c) ? SIGN_LETTER : SIGN_OTHER;
	}
}

enum sign sms_sign(struct slice s, size_t *len)
{
	uint32_t c = sms_char(s, len);

	return s.len == 0 ? SIGN_END : sign_of(c);
}

static struct slice from(struct slice s, size_t n)
{
	return slice_of(s.ptr + n, s.len - n);
}

struct slice sms_skip_blanks(struct slice s)
{
	size_t n;

	while (sms_sign(s, &n) == SIGN_BLANK)
		s = from(s, n);
	return s;
}

struct slice sms_skip_gap(struct slice s)
{
	size_t n;

	for (enum sign sign = sms_sign(s, &n); sign == SIGN_BLANK || sign == SIGN_SEPARATOR;
		sign = sms_sign(s, &n))
		s = from(s, n);
	return s;
}

/* Cuts both ends: white space, and separators where asked for. */
static struct slice trim(struct slice s, bool front, bool back)
{
	size_t n, start = 0, keep = 0;
	bool begun = false;

	for (size_t at = 0; at < s.len; at += n) {
		uint32_t c = sms_char(from(s, at), &n);
		bool space = is_space(c),
		     separator = (front || back) && sign_of(c) == SIGN_SEPARATOR;

		if (!begun && !space && !(front && separator)) {
			begun = true;
			start = at;
		}
		if (begun && !space && !(back && separator))
			keep = at + n;
	}
	return keep > start ? slice_of(s.ptr + start, keep - start) : slice_of(s.ptr, 0);
}

struct slice sms_trim_blanks(struct slice s)
{
	return trim(s, false, false);
}

struct slice sms_trim(struct slice s)
{
	return trim(s, true, false);
}

struct slice sms_trim_both(struct slice s)
{
	return trim(s, true, true);
}

/* The letter without its mark, upper case; other characters as they are. Only what DK, HUY and LD need. */
static uint32_t plain(uint32_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 'A';
	switch (c) {
	case 0x110:
	case 0x111:
	case 0xd0:
	case 0xf0: /* đ, and the eth that looks like it */
		return 'D';
	case 0x1ee6:
	case 0x1ee7:
		return 'U';
	case 0x1ef6:
	case 0x1ef7:
		return 'Y';
	default:
		return c;
	}
}

bool sms_word(struct slice *s, const char *word)
{
	struct slice rest = *s;
	size_t n;

	for (; *word != '\0'; word++) {
		if (plain(sms_char(rest, &n)) != (unsigned char)*word || n == 0)
			return false;
		do /* a combining mark belongs to its letter */
			rest = from(rest, n);
		while (sms_char(rest, &n) >= 0x300 && sms_char(rest, &n) <= 0x36f);
	}
	*s = rest;
	return true;
}

/* What nobody means as a sender ID in a message: marks of advertising, words before a number or a content, and any text with a bracket,
 * which is rather a piece of one. */
static bool no_sender_id(const char *value)
{
	static const char *const labels[] = {
		"qc", "ad", "dkqc", "so", "sdt", "dt", "dd", "tel", "phone", "hotline", "lh", "nd"};

	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		if (strcmp(value, labels[i]) == 0)
			return true;
	return strpbrk(value, "()") != NULL;
}

struct look sms_look(const struct plan *p, struct slice s, int64_t occurred_us)
{
	struct look l = {.seen = SEEN_OTHER};
	const char *why;

	s = sms_trim_blanks(s);
	if (s.len == 0)
		l.seen = SEEN_NOTHING;
	if (s.len == 0 || s.len > LOOK_MAX)
		return l;
	switch (sender_parse(p, s, occurred_us, &l.who, &why)) {
	case SENDER_OK:
		l.seen = l.who.scope == SCOPE_NUMBER ? SEEN_NUMBER
			: l.who.scope == SCOPE_SHORT ? SEEN_SHORT
						     : SEEN_NAME;
		if (l.seen == SEEN_NAME && no_sender_id(l.who.value))
			l.seen = SEEN_OTHER;
		break;
	case SENDER_OLD:
		l.seen = SEEN_NUMBER;
		break;
	case SENDER_WITHHELD:
		l.seen = SEEN_HIDDEN;
		break;
	case SENDER_INVALID:
		break;
	}
	return l;
}

bool sms_brand(const struct look *l, struct slice s, bool all)
{
	size_t capitals = 0, small = 0, n;

	if (l->seen != SEEN_NAME)
		return false;
	s = sms_trim_blanks(s);
	for (size_t at = 0; at < s.len; at += n) {
		uint32_t c = sms_char(from(s, at), &n);

		if (is_space(c))
			return false;
		capitals += c >= 'A' && c <= 'Z';
		small += c >= 'a' && c <= 'z';
	}
	return all ? capitals >= 2 && small == 0 : capitals > 0;
}

/* Walks the written forms that one number can end at: after each run of digits. False when there is no further one. */
struct ends {
	struct slice s;
	size_t at, digits, first; /* first: digits of the first run */
	int depth;                /* of brackets inside the number */
};

static bool next_end(struct ends *e)
{
	bool in_digits = false;

	for (;;) {
		size_t n;
		enum sign sign = sms_sign(from(e->s, e->at), &n);

		if (in_digits && sign != SIGN_DIGIT) {
			e->first = e->first == 0 ? e->digits : e->first;
			return true;
		}
		if (sign == SIGN_DIGIT) {
			in_digits = true;
			if (++e->digits > LEAD_DIGITS)
				return false;
		} else if (sign == SIGN_OPEN || sign == SIGN_CLOSE) {
			e->depth += sign == SIGN_OPEN ? 1 : -1;
			if (e->depth < 0)
				return false;
		} else if (sign != SIGN_BLANK && sign != SIGN_SEPARATOR &&
			!(sign == SIGN_PLUS && e->digits == 0)) {
			return false;
		}
		e->at += n;
		if (e->at > LOOK_MAX)
			return false;
	}
}

/* A word is over where `s` begins: `1900 1255 1.000d` must not end after 1255 1, nor 500 in 500.000 or 500%. */
static bool word_over(struct slice s)
{
	size_t n, next;

	switch (sms_sign(s, &n)) {
	case SIGN_SEPARATOR:
		return sms_sign(from(s, n), &next) != SIGN_DIGIT;
	case SIGN_OTHER:
		return strchr("!?\"'", s.ptr[0]) != NULL;
	case SIGN_DIGIT:
	case SIGN_LETTER:
	case SIGN_PLUS:
		return false;
	default:
		return true;
	}
}

enum reading {
	READ_NOT,      /* no sender ends here */
	READ_SHORT,    /* a short code; may be the beginning of more */
	READ_GROWING,  /* a sender, and a longer one would be one too */
	READ_COMPLETE, /* a sender; what follows is text */
	READ_BARE      /* a number of our plan without its 0, in pieces */
};

/* What the written form is that ends at the run of digits where the walk is. A number of our own plan has one length. All others must end
 * with a word, and are complete when the first run is as long as nobody writes a part of a number. */
static enum reading reading(const struct ends *e, const struct look *l)
{
	size_t n, len = strlen(l->who.value);
	bool first = e->digits == e->first;
	struct slice rest = from(e->s, e->at);

	if (e->depth != 0 || !look_clear(l))
		return READ_NOT;
	if (l->seen == SEEN_NUMBER && strncmp(l->who.value, "84", 2) == 0) {
		bool bare = len == e->digits + 2; /* neither 0 nor 84 in front */

		if (!bare)
			return READ_COMPLETE;
		return !word_over(rest) ? READ_NOT : first ? READ_COMPLETE : READ_BARE;
	}
	if (sms_sign(rest, &n) == SIGN_LETTER || (!first && !word_over(rest)))
		return READ_NOT;
	if (l->seen == SEEN_NUMBER)
		return first && len >= 10 ? READ_COMPLETE : READ_GROWING;
	if (!look_service_line(l))
		return first && word_over(rest) ? READ_SHORT : READ_NOT;
	if (len == e->digits && e->first < 4) /* 1.800.000.000 is an amount */
		return READ_NOT;
	return first ? READ_COMPLETE : READ_GROWING;
}

int sms_lead(const struct plan *p, struct slice s, int64_t occurred_us, struct slice *out,
	struct look *look)
{
	struct ends e = {.s = s};
	struct slice best = {0};
	bool code =
		false; /* the best so far is a short code that is no beginning of 1800 or 1900 */

	while (next_end(&e)) {
		struct slice part = slice_of(s.ptr, e.at);
		struct look l = sms_look(p, part, occurred_us);
		enum reading r = reading(&e, &l);

		if (r == READ_NOT)
			continue;
		if (code) /* `912 345 678`: 912, or a number? */
			return 2;
		if (r == READ_BARE)
			break;
		best = part;
		*look = l;
		code = r == READ_SHORT && !look_service_start(&l);
		if (r == READ_COMPLETE)
			break;
	}
	if (best.ptr == NULL)
		return 0;
	*out = best;
	return 1;
}

/* Among words only what was written as a number is one: `0812…`, `84812…`, `+1 202…`, `1900…`; not an amount or an account. */
static bool word_number(const struct plan *p, struct slice s, int64_t occurred_us,
	struct slice *out, struct look *look)
{
	struct ends e = {.s = s};
	size_t n;
	bool plus = sms_sign(s, &n) == SIGN_PLUS, any = false;

	while (next_end(&e)) {
		struct slice part = slice_of(s.ptr, e.at);
		struct look l = sms_look(p, part, occurred_us);
		enum reading r = reading(&e, &l);
		bool foreign = l.seen == SEEN_NUMBER && strncmp(l.who.value, "84", 2) != 0;
		bool bare =
			l.seen == SEEN_NUMBER && !foreign && strlen(l.who.value) == e.digits + 2;

		if ((r != READ_GROWING && r != READ_COMPLETE) || bare || (foreign && !plus))
			continue;
		*out = part;
		*look = l;
		any = true;
		if (r == READ_COMPLETE)
			break;
	}
	return any;
}

bool sms_begins(const struct plan *p, struct slice s, int64_t occurred_us, struct look *look)
{
	struct slice part;
	size_t n;
	enum sign sign = sms_sign(s, &n);

	return (sign == SIGN_DIGIT || sign == SIGN_PLUS) &&
		word_number(p, s, occurred_us, &part, look);
}

int sms_find(const struct plan *p, struct slice s, int64_t occurred_us, struct slice *out,
	struct look *look)
{
	bool in_word = false, any = false;
	size_t n;

	for (size_t at = 0; at < s.len && at < FIND_BYTES; at += n) {
		enum sign sign = sms_sign(from(s, at), &n);
		struct slice part;
		struct look l;

		if (!in_word && (sign == SIGN_DIGIT || sign == SIGN_PLUS) &&
			word_number(p, from(s, at), occurred_us, &part, &l)) {
			n = part.len;
			if (any && strcmp(look->who.value, l.who.value) != 0)
				return 2;
			if (!any) {
				*out = part;
				*look = l;
			}
			any = true;
		}
		in_word = sign == SIGN_DIGIT || sign == SIGN_LETTER;
	}
	return any ? 1 : 0;
}

bool sms_number_like(struct slice s)
{
	size_t digits = 0, n;

	for (size_t at = 0; at < s.len; at += n) {
		enum sign sign = sms_sign(from(s, at), &n);

		if (sign == SIGN_LETTER)
			return false;
		digits += sign == SIGN_DIGIT;
	}
	return digits >= 3;
}
