/* How many characters a match of a pattern takes at most, so that it is looked for only around the place where the one scan saw part of it. Reads a
 * pattern that pattern_refused let pass: every repetition is bounded. No recursion. */
#include "classifier/rules.h"

struct level {
	size_t done, cur; /* the widest alternative so far, the one at work */
	bool looks;       /* it looks ahead or back: it takes nothing */
};
struct reader {
	struct slice p;
	size_t at;
	struct level level[PATTERN_DEPTH + 1];
	size_t depth;
};

static char peek(const struct reader *r)
{
	return r->at < r->p.len ? r->p.ptr[r->at] : '\0';
}

static size_t number(struct reader *r)
{
	size_t n = 0;

	for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
		n = n * 10 + (size_t)(peek(r) - '0');
	return n;
}

/* How often at most what stands before is repeated. */
static size_t repeats(struct reader *r)
{
	size_t most = 1;

	if (peek(r) == '?') {
		r->at++;
	} else if (peek(r) == '{') {
		r->at++;
		most = number(r);
		if (peek(r) == ',') {
			r->at++;
			most = number(r);
		}
		r->at++;
	} else {
		return 1;
	}
	r->at += peek(r) == '?';
	return most;
}

static void end_alternative(struct level *l)
{
	l->done = l->cur > l->done ? l->cur : l->done;
	l->cur = 0;
}

static void open_group(struct reader *r)
{
	r->level[++r->depth] = (struct level){0};
	r->at++;
	if (peek(r) != '?')
		return;
	r->at++;
	r->level[r->depth].looks = peek(r) != ':';
	r->at += peek(r) == '<' ? 2 : 1;
}

static void close_group(struct reader *r)
{
	struct level *l = &r->level[r->depth--];

	end_alternative(l);
	r->at++;
	if (!l->looks)
		r->level[r->depth].cur += l->done * repeats(r);
}

static void read_atom(struct reader *r)
{
	char c = peek(r), next = r->at + 1 < r->p.len ? r->p.ptr[r->at + 1] : '\0';

	r->at++;
	if (c == '\\') {
		r->at++;
	} else if (c == '[') {
		for (; peek(r) != ']'; r->at++)
			r->at += peek(r) == '\\';
		r->at++;
	} else {
		while (((unsigned char)peek(r) & 0xC0) == 0x80)
			r->at++;
	}
	if (c != '^' && c != '$' && !(c == '\\' && (next == 'b' || next == 'B')))
		r->level[r->depth].cur += repeats(r);
}

size_t pattern_width(struct slice pattern)
{
	struct reader r = {.p = pattern};

	while (r.at < pattern.len) {
		if (peek(&r) == '(') {
			open_group(&r);
		} else if (peek(&r) == ')') {
			close_group(&r);
		} else if (peek(&r) == '|') {
			end_alternative(&r.level[r.depth]);
			r.at++;
		} else {
			read_atom(&r);
		}
	}
	end_alternative(&r.level[0]);
	return r.level[0].done;
}
