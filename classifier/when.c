/* The `when` of a combination: symbols joined by and, or, not, brackets and count(…) >= n. Read by precedence into the code of a small
 * stack machine; no recursion, so no text can exhaust the stack. */
#include <stdlib.h>

#include "classifier/rules.h"

#define OPEN_MAX 32

enum token { T_END, T_NAME, T_AND, T_OR, T_NOT, T_COUNT, T_OPEN, T_CLOSE, T_BAD };

struct parser {
	struct slice rest;
	struct when_names names;
	struct when *out;
	enum token waiting[OPEN_MAX * 3]; /* and, or, not, ( that wait for what comes after */
	size_t waits, opens;
	const char *why;
};

static bool word_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '_';
}

static enum token next(struct parser *p, struct slice *text)
{
	static const struct {
		struct slice word;
		enum token token;
	} words[] = {{{"and", 3}, T_AND}, {{"or", 2}, T_OR}, {{"not", 3}, T_NOT},
		{{"count", 5}, T_COUNT}};
	size_t len = 0;

	p->rest = slice_trim(p->rest);
	*text = p->rest;
	if (p->rest.len == 0)
		return T_END;
	while (len < p->rest.len && word_char(p->rest.ptr[len]))
		len++;
	text->len = len > 0 ? len : 1;
	p->rest = slice_of(text->ptr + text->len, p->rest.len - text->len);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_eq_nocase(*text, words[i].word))
			return words[i].token;
	if (len > 0)
		return T_NAME;
	return *text->ptr == '(' ? T_OPEN : *text->ptr == ')' ? T_CLOSE : T_BAD;
}

static void put(struct parser *p, struct when_op op)
{
	if (p->out->ops == BOUND_WHEN_OPS)
		p->why = "too long";
	else
		p->out->op[p->out->ops++] = op;
}

static void hold(struct parser *p, enum token t)
{
	if (p->waits == ARRAY_LEN(p->waiting) ||
		((t == T_OPEN || t == T_NOT) && p->opens++ == OPEN_MAX))
		p->why = "nested too deep";
	else
		p->waiting[p->waits++] = t;
}

/* Puts out what waits and binds at least as strongly as t. */
static void settle(struct parser *p, enum token t)
{
	while (p->waits > 0) {
		enum token w = p->waiting[p->waits - 1];

		if (w == T_OPEN || (w == T_OR && t == T_AND))
			return;
		p->waits--;
		p->opens -= w == T_NOT;
		put(p,
			(struct when_op){.kind = w == T_NOT ? WHEN_NOT
					: w == T_AND        ? WHEN_AND
							    : WHEN_OR});
	}
}

static void symbol(struct parser *p, struct slice name)
{
	struct when_op op = {.kind = WHEN_SYMBOL};

	if (!p->names.find(p->names.arg, name, &op.value))
		p->why = "no plain rule has this symbol";
	else
		put(p, op);
}

/* "(A, B, C) >= n", after the word count. */
static void count(struct parser *p, struct slice *near)
{
	struct when_op op = {.kind = WHEN_COUNT};
	uint64_t at_least;
	enum token t;

	if (next(p, near) != T_OPEN) {
		p->why = "want ( after count";
		return;
	}
	do {
		if (next(p, near) != T_NAME)
			p->why = "want a symbol";
		else
			symbol(p, *near);
		op.value++;
		if (p->why != NULL)
			return;
		t = next(p, near);
	} while (t == T_BAD && *near->ptr == ',');
	if (t != T_CLOSE) {
		p->why = "want , or )";
		return;
	}
	struct slice sign = p->rest = slice_trim(p->rest);
	*near = sign;
	if (!slice_starts(sign, SLICE(">="))) {
		p->why = "want >= after count(…)";
		return;
	}
	p->rest = slice_of(sign.ptr + 2, sign.len - 2);
	(void)next(p, near);
	if (slice_u64(*near, &at_least) != RC_OK || at_least < 1 || at_least > op.value) {
		p->why = "want a number from 1 to as many as are named";
		return;
	}
	op.at_least = (uint32_t)at_least;
	put(p, op);
}

/* Where a symbol, not, count or ( may stand. True: a value was read. */
static bool value(struct parser *p, enum token t, struct slice *near)
{
	switch (t) {
	case T_NAME:
		symbol(p, *near);
		return true;
	case T_COUNT:
		count(p, near);
		return true;
	case T_NOT:
	case T_OPEN:
		hold(p, t);
		return false;
	default:
		p->why = "want a symbol, not, count or (";
		return false;
	}
}

/* Where and, or, ) or the end may stand. True: another value must follow. */
static bool joint(struct parser *p, enum token t)
{
	settle(p, t);
	switch (t) {
	case T_AND:
	case T_OR:
		hold(p, t);
		return true;
	case T_CLOSE:
		if (p->waits == 0) {
			p->why = "a ) without its (";
			return false;
		}
		p->waits--;
		p->opens--;
		return false;
	case T_END:
		if (p->waits > 0)
			p->why = "a ( without its )";
		return false;
	default:
		p->why = "want and, or or )";
		return false;
	}
}

const char *when_parse(
	struct slice text, struct when_names names, struct when *out, struct slice *near)
{
	struct when made = {calloc(BOUND_WHEN_OPS, sizeof(struct when_op)), 0};
	struct parser p = {.rest = text, .names = names, .out = &made};
	bool want_value = true;
	enum token t;

	*near = text;
	if (made.op == NULL)
		return "out of memory";
	do {
		t = next(&p, near);
		want_value = want_value ? !value(&p, t, near) : joint(&p, t);
	} while (p.why == NULL && !(t == T_END && !want_value));
	if (p.why == NULL)
		*out = made;
	else
		free(made.op);
	return p.why;
}

bool when_holds(const struct when *w, const uint64_t *fired)
{
	bool stack[BOUND_WHEN_OPS];
	size_t n = 0;

	for (size_t i = 0; i < w->ops; i++) {
		const struct when_op *op = &w->op[i];
		uint32_t sum = 0;

		switch (op->kind) {
		case WHEN_SYMBOL:
			stack[n++] = bit_get(fired, op->value);
			break;
		case WHEN_NOT:
			stack[n - 1] = !stack[n - 1];
			break;
		case WHEN_AND:
			n--;
			stack[n - 1] = stack[n - 1] && stack[n];
			break;
		case WHEN_OR:
			n--;
			stack[n - 1] = stack[n - 1] || stack[n];
			break;
		case WHEN_COUNT:
			for (uint32_t k = 0; k < op->value; k++)
				sum += stack[--n];
			stack[n++] = sum >= op->at_least;
			break;
		}
	}
	return stack[0];
}

void when_named(const struct when *w, void (*each)(void *arg, uint32_t rule), void *arg)
{
	for (size_t i = 0; i < w->ops; i++)
		if (w->op[i].kind == WHEN_SYMBOL)
			each(arg, w->op[i].value);
}
