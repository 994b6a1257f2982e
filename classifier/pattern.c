/* Holds a pattern to the part of the language on which PCRE2 and Python agree (docs/rules.md, "Patterns"), so that a second
 * implementation reaches the same verdicts. It reads the pattern once, left to right; whether the pattern also makes sense is for
 * PCRE2 to say. */
#include "classifier/rules.h"

enum group { GROUP_PLAIN, GROUP_AHEAD, GROUP_BEHIND };

struct reader {
	struct slice p;
	size_t at;
	enum group open[PATTERN_DEPTH];
	size_t depth;
	bool atom; /* what stands before may be repeated */
	const char *why;
};

static int peek(const struct reader *r, size_t ahead)
{
	return r->at + ahead < r->p.len ? (unsigned char)r->p.ptr[r->at + ahead] : -1;
}

static bool is_punct(int c)
{
	return c > 0x20 && c < 0x7F && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		!(c >= 'A' && c <= 'Z');
}

static void refuse(struct reader *r, const char *why)
{
	if (r->why == NULL)
		r->why = why;
}

static bool behind(const struct reader *r)
{
	return r->depth > 0 && r->open[r->depth - 1] == GROUP_BEHIND;
}

static void read_group(struct reader *r)
{
	enum group g = GROUP_PLAIN;
	size_t len = 1;

	if (behind(r)) {
		refuse(r, "no groups inside a look back");
		return;
	}
	if (peek(r, 1) == '?') {
		int a = peek(r, 2), b = peek(r, 3);

		len = a == '<' ? 4 : 3;
		if (a == '=' || a == '!')
			g = GROUP_AHEAD;
		else if (a == '<' && (b == '=' || b == '!'))
			g = GROUP_BEHIND;
		else if (a != ':')
			refuse(r,
				"only (…), (?:…), (?=…), (?!…), (?<=…) and (?<!…) are groups here");
	} else if (peek(r, 1) == '*') {
		refuse(r, "no verbs (*…)");
	}
	if (r->depth == PATTERN_DEPTH) {
		refuse(r, "groups are nested too deep");
		return;
	}
	r->open[r->depth++] = g;
	r->at += len;
	r->atom = false;
}

static void read_group_end(struct reader *r)
{
	if (r->depth == 0) {
		refuse(r, "a ) without its (");
		return;
	}
	r->atom = r->open[--r->depth] == GROUP_PLAIN;
	r->at++;
}

/* Digits up to REPEAT_MAX; -1 when there are none or too many. */
static int read_count(struct reader *r)
{
	int n = -1;

	for (int c = peek(r, 0); c >= '0' && c <= '9'; c = peek(r, 0)) {
		n = (n < 0 ? 0 : n) * 10 + (c - '0');
		if (n > REPEAT_MAX)
			return -1;
		r->at++;
	}
	return n;
}

static void read_braces(struct reader *r)
{
	int low, high;

	r->at++;
	low = high = read_count(r);
	if (low >= 0 && peek(r, 0) == ',') {
		r->at++;
		high = read_count(r);
	}
	if (low < 0 || high < low || peek(r, 0) != '}')
		refuse(r, "want {n} or {n,m} up to 200; a brace itself is written \\{");
	r->at++;
}

static void read_quantifier(struct reader *r)
{
	if (!r->atom)
		refuse(r, "nothing here that could be repeated");
	if (behind(r))
		refuse(r, "no quantifiers inside a look back");
	if (peek(r, 0) == '*' || peek(r, 0) == '+')
		refuse(r, "no * and + without a bound: write {0,30}, {1,20}");
	if (peek(r, 0) == '{')
		read_braces(r);
	else
		r->at++;
	if (peek(r, 0) == '?')
		r->at++;
	if (peek(r, 0) == '+')
		refuse(r, "no possessive or doubled quantifiers");
	r->atom = false;
}

static void read_escape(struct reader *r)
{
	int c = peek(r, 1);

	if (c < 0 || !(is_punct(c) || strchr("dwsDWSbBtnr", c) != NULL))
		refuse(r,
			"of the escapes only \\d \\w \\s \\D \\W \\S \\b \\B \\t \\n \\r and signs "
			"are allowed");
	r->atom = c != 'b' && c != 'B';
	r->at += 2;
}

/* One member of a class. *single: its code point; false for \d and its like. */
static bool read_member(struct reader *r, uint32_t *single)
{
	int c = peek(r, 0), d = peek(r, 1);

	if (c == '\\') {
		if (d < 0 || !(is_punct(d) || strchr("dwsDWStnr", d) != NULL))
			refuse(r,
				"of the escapes only \\d \\w \\s \\D \\W \\S \\t \\n \\r and signs "
				"are allowed in a class");
		r->at += 2;
		*single = (uint32_t)d;
		return strchr("dwsDWS", d) == NULL;
	}
	if (c == '[' || c == '^')
		refuse(r, "[ and ^ in a class are written \\[ and \\^");
	if ((c == '&' || c == '~' || c == '|') && d == c)
		refuse(r, "no && ~~ || in a class");
	*single = (uint32_t)c;
	r->at++;
	for (; (peek(r, 0) & 0xC0) == 0x80; r->at++) /* the rest of a character that is not ASCII */
		*single = *single << 8 | (uint32_t)peek(r, 0);
	return true;
}

static void read_class(struct reader *r)
{
	size_t start;

	r->at += peek(r, 1) == '^' ? 2 : 1;
	start = r->at;
	while (peek(r, 0) != ']' && r->why == NULL) {
		uint32_t from, to;
		bool single;

		if (peek(r, 0) < 0) {
			refuse(r, "a [ without its ]");
			return;
		}
		if (peek(r, 0) == '-' && r->at != start && peek(r, 1) != ']') {
			refuse(r, "a - in a class stands first, last or is written \\-");
			return;
		}
		single = read_member(r, &from);
		if (peek(r, 0) != '-' || peek(r, 1) == ']' || peek(r, 1) < 0)
			continue;
		r->at++;
		if (!single || !read_member(r, &to) || to < from)
			refuse(r, "a range in a class goes from one character up to another");
	}
	if (r->at == start)
		refuse(r, "a class needs a member; ] itself is written \\]");
	r->at++;
	r->atom = true;
}

static void read_one(struct reader *r)
{
	int c = peek(r, 0);

	switch (c) {
	case '(':
		read_group(r);
		return;
	case ')':
		read_group_end(r);
		return;
	case '[':
		read_class(r);
		return;
	case '\\':
		read_escape(r);
		return;
	case '*':
	case '+':
	case '?':
	case '{':
		read_quantifier(r);
		return;
	case '}':
		refuse(r, "a brace itself is written \\}");
		return;
	case '|':
		if (behind(r))
			refuse(r, "no alternatives inside a look back");
		r->atom = false;
		break;
	case '^':
	case '$':
		r->atom = false;
		break;
	default:
		if (c < 0x20 || c == 0x7F)
			refuse(r, "control characters are written \\t, \\n, \\r");
		r->atom = true;
		break;
	}
	r->at++;
}

const char *pattern_refused(struct slice pattern, size_t *at_byte)
{
	struct reader r = {.p = pattern};

	*at_byte = 0;
	if (pattern.len == 0 || pattern.len > BOUND_PATTERN)
		return "a pattern has 1 to 2000 bytes";
	if (!slice_utf8_valid(pattern))
		return "not UTF-8";
	while (r.at < pattern.len && r.why == NULL) {
		*at_byte = r.at;
		read_one(&r);
	}
	if (r.why == NULL && r.depth > 0)
		refuse(&r, "a ( without its )");
	return r.why;
}
