/* Any bytes judged by the shipped packs: the score is a probability, terms point into the content, and judging again gives the same. The
 * first byte chooses: a text, a pattern or a `when`. */
#include "classifier/rules.h"

#include <assert.h>
#include <stdlib.h>

static struct scan *scan;

static void open_scan(void)
{
	static struct pack *pack;
	struct complaints c;
	struct err e;

	complaints_init(&c);
	if (pack_load(SOURCE_DIR "/etc/rules", SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack,
		    &e) != RC_OK ||
		scan_new(pack, &scan, &e) != RC_OK)
		abort();
	complaints_done(&c);
}

static void evidence(struct slice content, const struct verdict *v)
{
	assert(v->evidences <= BOUND_EVIDENCE && v->shadows <= BOUND_SHADOWS);
	for (size_t i = 0; i < v->evidences; i++)
		assert(v->evidence[i].value.len > 0 &&
			v->evidence[i].raw_at + v->evidence[i].raw_len <= content.len);
	if (v->sketch.bands > 0)
		assert(sketch_alike(&v->sketch, &v->sketch) == 1);
}

static void text(struct slice content)
{
	static struct verdict v, again;

	classify(scan, content, &v);
	classify(scan, content, &again);
	assert(v.score >= 0 && v.score <= 1);
	assert((v.label == LABEL_NONE) == (content.len == 0));
	assert(v.label == again.label && v.fingerprint == again.fingerprint &&
		v.terms == again.terms);
	for (size_t i = 0; i < v.terms; i++) {
		const struct slice m = v.term[i].match;

		assert(m.ptr >= content.ptr && m.ptr + m.len <= content.ptr + content.len);
		assert(m.len == 0 || v.term[i].raw_at == (size_t)(m.ptr - content.ptr));
	}
	evidence(content, &v);
}

/* A pattern that is let pass is understood by PCRE2, or refused by it with a cause; it never hangs. */
static void pattern(struct slice p)
{
	BUF_OWN struct buf weak;
	OWN(re_free) struct re *re = NULL;
	OWN(re_free) struct re *weak_re = NULL;
	char why[RE_WHY];
	size_t at;

	buf_init(&weak, (size_t)BOUND_PATTERN * 4);
	if (pattern_refused(p, &at) != NULL) {
		assert(at <= p.len);
		return;
	}
	if (re_compile(p, &re, why) == RC_OK && pattern_weaken(p, &weak)) {
		enum rc rc = re_compile(buf_slice(&weak), &weak_re, why);

		assert(rc == RC_OK);
	}
}

static bool any_name(const void *arg, struct slice name, uint32_t *out)
{
	(void)arg;
	*out = (uint32_t)(unsigned char)name.ptr[0] % 64;
	return true;
}

static void when(struct slice t)
{
	static const uint64_t none[1];
	struct when w = {0};
	struct slice near;

	if (when_parse(t, (struct when_names){any_name, NULL}, &w, &near) == NULL)
		(void)when_holds(&w, none);
	free(w.op);
}

/* Before the first input is timed: compiling the packs takes seconds under a sanitizer. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	open_scan();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct slice rest = slice_of((const char *)data + 1, size - 1);
	if (data[0] == 'P')
		pattern(rest);
	else if (data[0] == 'W')
		when(rest);
	else
		text(rest);
	return 0;
}
