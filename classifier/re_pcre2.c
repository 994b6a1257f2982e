/* One pattern: compiled by PCRE2 with its JIT, matched under limits. Leaves out which patterns are allowed (pattern.c) and which are
 * tried at all (scan_hs.c). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "classifier/rules.h"

/* A match that goes on for longer is given up. The JIT and the interpreter count differently; both are held to it. */
#define STEPS_MAX 20000
#define HEAP_KIB 4096
#define JIT_STACK_MIN (32 * 1024)
#define JIT_STACK_MAX (512 * 1024)

struct re {
	pcre2_code *code;
	size_t width; /* characters that a match takes at most */
	bool jit;
};
struct re_scratch {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};

static enum rc compile(struct slice pattern, uint32_t options, struct re **out, char why[RE_WHY])
{
	OWN(re_free) struct re *r = calloc(1, sizeof(*r));
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int error = PCRE2_ERROR_NOMEMORY;
	PCRE2_SIZE at = 0;
	size_t width_at;

	if (r != NULL && context != NULL) {
		(void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
		(void)pcre2_set_max_pattern_length(context, BOUND_PATTERN);
		r->code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
			options | PCRE2_USE_OFFSET_LIMIT | PCRE2_UTF | PCRE2_CASELESS |
				PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP,
			&error, &at, context);
	}
	pcre2_compile_context_free(context);
	if (r == NULL || r->code == NULL) {
		PCRE2_UCHAR text[128];

		(void)pcre2_get_error_message(error, text, sizeof(text));
		(void)snprintf(why, RE_WHY, "%s (byte %zu)", (const char *)text, (size_t)at + 1);
		return RC_INVALID;
	}
	r->width = pattern_refused(pattern, &width_at) == NULL ? pattern_width(pattern) : SIZE_MAX;
	*out = TAKE(r);
	return RC_OK;
}

enum rc re_compile(struct slice pattern, struct re **out, char why[RE_WHY])
{
	enum rc rc = compile(pattern, 0, out, why);

	/* Where the kernel gives no executable memory the interpreter does the same work, slower. */
	if (rc == RC_OK)
		(*out)->jit = pcre2_jit_compile((*out)->code, PCRE2_JIT_COMPLETE) == 0;
	return rc;
}

enum rc re_compile_probe(struct slice pattern, struct re **out, char why[RE_WHY])
{
	return compile(pattern, PCRE2_NO_START_OPTIMIZE, out, why);
}

void re_free(struct re *r)
{
	if (r == NULL)
		return;
	pcre2_code_free(r->code);
	free(r);
}

bool re_matches_empty(const struct re *r)
{
	uint32_t empty = 0;

	(void)pcre2_pattern_info(r->code, PCRE2_INFO_MATCHEMPTY, &empty);
	return empty != 0;
}

struct re_scratch *re_scratch_new(void)
{
	OWN(re_scratch_free) struct re_scratch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->context = pcre2_match_context_create(NULL);
	s->data = pcre2_match_data_create(1, NULL);
	if (s->context == NULL || s->data == NULL)
		return NULL;
	(void)pcre2_set_match_limit(s->context, STEPS_MAX);
	(void)pcre2_set_depth_limit(s->context, STEPS_MAX);
	(void)pcre2_set_heap_limit(s->context, HEAP_KIB);
	s->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (s->stack != NULL) /* without a JIT there is none, and none is needed */
		pcre2_jit_stack_assign(s->context, NULL, s->stack);
	return TAKE(s);
}

void re_scratch_free(struct re_scratch *s)
{
	if (s == NULL)
		return;
	pcre2_jit_stack_free(s->stack);
	pcre2_match_data_free(s->data);
	pcre2_match_context_free(s->context);
	free(s);
}

static enum re_found find(const struct re *r, struct re_scratch *s, struct slice subject,
	size_t start, size_t *from, size_t *to)
{
	int n = r->jit ? pcre2_jit_match(r->code, (PCRE2_SPTR)subject.ptr, subject.len, start,
				 PCRE2_NO_UTF_CHECK, s->data, s->context)
		       : pcre2_match(r->code, (PCRE2_SPTR)subject.ptr, subject.len, start,
				 PCRE2_NO_UTF_CHECK, s->data, s->context);

	if (n == PCRE2_ERROR_NOMATCH)
		return RE_NO;
	if (n < 0)
		return RE_GAVE_UP;
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->data);
	*from = at[0];
	*to = at[1] > at[0] ? at[1] : at[0];
	return RE_YES;
}

enum re_found re_find(
	const struct re *r, struct re_scratch *s, struct slice subject, size_t *from, size_t *to)
{
	(void)pcre2_set_offset_limit(s->context, PCRE2_UNSET);
	return find(r, s, subject, 0, from, to);
}

/* The byte `characters` before `at`, or a little before that. */
static size_t back(struct slice text, size_t at, size_t characters)
{
	while (at > 0 && characters > 0) {
		at--;
		characters -= ((unsigned char)text.ptr[at] & 0xC0) != 0x80;
	}
	return at;
}

enum re_found re_find_near(const struct re *r, struct re_scratch *s, struct slice subject,
	struct span seen, size_t *from, size_t *to)
{
	(void)pcre2_set_offset_limit(s->context, seen.last);
	return find(r, s, subject, back(subject, seen.first, r->width), from, to);
}

bool re_needs_more(const struct re *r, struct slice subject, uint32_t steps)
{
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int n = PCRE2_ERROR_MATCHLIMIT;

	if (context != NULL && data != NULL) {
		(void)pcre2_set_match_limit(context, steps);
		(void)pcre2_set_heap_limit(context, HEAP_KIB);
		n = pcre2_match(r->code, (PCRE2_SPTR)subject.ptr, subject.len, 0,
			PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	return n < 0 && n != PCRE2_ERROR_NOMATCH;
}
