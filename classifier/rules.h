/* Private to the room: what a pack is made of, shared by the files that read it (pack.c, rules_yaml.c), compile it (re_pcre2.c,
 * scan_hs.c) and run it (verdict.c). */
#pragma once

#include "classifier/classifier.h"

#define BOUND_COMBINATIONS 1000
#define BOUND_PACK_FILES 1000
#define BOUND_PATTERN 2000
#define BOUND_WHEN_OPS 256
#define PATTERN_DEPTH 20
#define REPEAT_MAX \
	200 /* the largest bound of a quantifier: keeps a search from growing with the square of the text */

/* ---- pattern.c ---- */

/* Holds a pattern to the part of the language that docs/rules.md allows. NULL: fine; else static text, and *at_byte where. */
const char *pattern_refused(struct slice pattern, size_t *at_byte);

/* ---- width.c ---- */

/* The most characters that a match of an allowed pattern takes. */
size_t pattern_width(struct slice pattern);

/* ---- weaken.c ---- */

/* Appends a pattern without gaps that matches in every text in which `pattern` does. False: nothing rare is sure to be there. */
bool pattern_weaken(struct slice pattern, struct buf *out);

/* ---- re_pcre2.c ---- */

struct re;         /* immutable, shared by threads */
struct re_scratch; /* a thread's */
enum re_found { RE_NO, RE_YES, RE_GAVE_UP };
#define RE_WHY 256

/* RC_INVALID: `why` says what and where. */
MUST_USE enum rc re_compile(struct slice pattern, struct re **out, char why[RE_WHY]);
/* The same pattern for re_needs_more only: without the shortcuts that a text can be made to defeat. */
MUST_USE enum rc re_compile_probe(struct slice pattern, struct re **out, char why[RE_WHY]);
void re_free(struct re *r);
OWNER(re_free, struct re);
/* It can match without reading a character. */
bool re_matches_empty(const struct re *r);
struct re_scratch *re_scratch_new(void); /* NULL when out of memory */
void re_scratch_free(struct re_scratch *s);
OWNER(re_scratch_free, struct re_scratch);
/* subject must be UTF-8. *from and *to are set with RE_YES. RE_GAVE_UP: more steps than a match may take. */
enum re_found re_find(
	const struct re *r, struct re_scratch *s, struct slice subject, size_t *from, size_t *to);
/* Where the ends of what was seen of a pattern stand: every match takes in one of them. */
struct span {
	uint32_t first, last;
};
/* The same when that is known: looks only where a match can begin. */
enum re_found re_find_near(const struct re *r, struct re_scratch *s, struct slice subject,
	struct span seen, size_t *from, size_t *to);
/* More than `steps` backtracking steps from some position of the subject. Counted, not timed: the same on every machine. */
bool re_needs_more(const struct re *r, struct slice subject, uint32_t steps);

/* ---- scan_cache.c ---- */

#define SCAN_CACHE_PATH 1024
#define SCAN_CACHE_BYTES ((size_t)256 << 20)

/* The file kept under the key, its cap being the bound; false: none, or damaged. */
bool scan_cache_get(const char *dir, const uint8_t key[SHA256_LEN], struct buf *out);
struct slice scan_cache_body(const struct buf *b); /* of one that was got */
/* Written beside and renamed. Makes the folder (not those above it). */
void scan_cache_put(const char *dir, const uint8_t key[SHA256_LEN], struct slice body);

/* ---- scan_hs.c ---- */

/* One scan over a text that says which of many patterns may match; never leaves out one that does. */
struct prefilter;         /* immutable, shared by threads */
struct prefilter_scratch; /* a thread's */

/* Patterns by their number; a pattern with ptr NULL takes no part. A pattern that cannot be prefiltered is a candidate in every text. */
/* lower: the texts will be folded ones, which hold no capitals; that makes a much smaller scan. */
MUST_USE enum rc prefilter_new(
	const struct slice *pattern, size_t n, bool lower, struct prefilter **out, struct err *e);
/* The same, taken from a file of dir when one was kept under what went in (salt, patterns, library, processor); *kept says so. */
MUST_USE enum rc prefilter_cached(const struct slice *pattern, size_t n, bool lower,
	const char *dir, const uint8_t salt[SHA256_LEN], struct prefilter **out, bool *kept,
	struct err *e);
/* Keeps it there for the next start. A folder that cannot be written to costs that start its time, and nothing else. */
void prefilter_keep(const struct prefilter *f, const char *dir);
void prefilter_free(struct prefilter *f);
OWNER(prefilter_free, struct prefilter);
/* Fits both; either may be NULL. */
MUST_USE enum rc prefilter_scratch_new(const struct prefilter *a, const struct prefilter *b,
	struct prefilter_scratch **out, struct err *e);
void prefilter_scratch_free(struct prefilter_scratch *s);
OWNER(prefilter_scratch_free, struct prefilter_scratch);
/* Sets the bits of the candidates in `out` and leaves the others; span (may be NULL), by number: of the candidates, whose bits must have been clear,
 * where. text must be UTF-8. */
void prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s, struct slice text,
	uint64_t *out, struct span *span);

static inline bool bit_get(const uint64_t *bits, size_t i)
{
	return (bits[i / 64] >> (i % 64) & 1) != 0;
}
static inline void bit_set(uint64_t *bits, size_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* ---- when.c ---- */

struct when_op {
	enum when_kind { WHEN_SYMBOL, WHEN_NOT, WHEN_AND, WHEN_OR, WHEN_COUNT } kind;
	uint32_t
		value; /* SYMBOL: number of the rule; COUNT: how many symbols are taken off the stack */
	uint32_t at_least; /* COUNT */
};
struct when {
	struct when_op *op; /* in the order of a stack machine */
	size_t ops;
};
/* The number of the plain rule of this name; false when there is none. */
struct when_names {
	bool (*find)(const void *arg, struct slice name, uint32_t *out);
	const void *arg;
};
/* The caller owns out->op (free). NULL: fine; else static text, and *near is where in the text it went wrong. */
const char *when_parse(
	struct slice text, struct when_names names, struct when *out, struct slice *near);
bool when_holds(const struct when *w, const uint64_t *fired);
/* Calls back with each rule that it names; one that is named twice comes twice. Without one of them fired it does not hold. */
void when_named(const struct when *w, void (*each)(void *arg, uint32_t rule), void *arg);

/* ---- links.c ---- */

#define DOMAIN_LABELS 10
#define DOMAIN_MAX (DOMAIN_LABELS * 64)

struct pack;
struct links; /* immutable */
/* The `links` of all files of the pack; what is wrong is complained about. */
MUST_USE enum rc links_read(
	const struct pack *p, struct complaints *c, struct links **out, struct err *e);
void links_free(struct links *l);
OWNER(links_free, struct links);
bool links_is_tld(const struct links *l, struct slice label);
bool links_is_abused(const struct links *l, struct slice label);
bool links_is_shortener(const struct links *l, struct slice domain);
/* The domain, of at most DOMAIN_LABELS labels, has a brand's name in it and is not the brand's own. */
bool links_is_lookalike(const struct links *l, struct slice domain, bool abused);

/* ---- extract.c ---- */

MUST_USE enum rc extract(const struct links *l, const struct folded *f, struct arena *a,
	struct evidence out[BOUND_EVIDENCE], size_t *n);

/* ---- facts.c ---- */

/* What a rule with `evidence` wants. */
enum wanted_fact {
	FACT_NONE,
	FACT_DOMAIN,
	FACT_URL,
	FACT_PHONE,
	FACT_ACCOUNT,
	FACT_HANDLE,
	FACT_SHORTENER,
	FACT_LOOKALIKE,
	FACT_ABUSED_TLD,
	FACT_HIDDEN,
	FACT_IP
};
bool fact_parse(struct slice s, enum wanted_fact *out);
/* The first item that is so; NULL: none. */
const struct evidence *fact_find(enum wanted_fact f, const struct evidence *e, size_t n);

/* ---- pack.c ---- */

struct rule {
	int64_t id;
	const char *symbol;
	double weight;
	enum label label;
	bool raw; /* text: raw */
	bool shadow;
	enum wanted_fact fact; /* FACT_NONE: it has a pattern */
	struct slice pattern;
	struct re *re;
	const struct yaml *match, *nomatch; /* lists of texts */
	const char *file;
	int line, pattern_line;
};
struct combination {
	const char *symbol;
	double weight;
	enum label label;
	bool shadow;
	struct slice text;
	struct when when;
	const char *file;
	int line, when_line;
};
struct pack_file {
	char *path, *name; /* name: without the folder */
	struct buf bytes;
	struct yaml_doc *doc;
	char version[41];
};
struct pack {
	struct pack_file *file; /* what the texts below borrow from */
	size_t files;
	char *version;
	uint8_t hash[SHA256_LEN];
	double bias, scam_share, cap[LABEL_SCAM + 1];
	double scale, shift, label_at; /* 1, 0 and 0.5 when no file says otherwise */
	struct rule *rule;
	size_t rules;
	struct combination *combination;
	size_t combinations;
	struct fold_table *fold;
	struct links *links;
	uint32_t *fact_rule; /* numbers of rules with a fact */
	size_t fact_rules;
	uint64_t *
		named_by; /* of each rule, combination_words words: bits of the combinations that name it */
	size_t combination_words;
	struct prefilter *folded, *raw; /* NULL: no rule of that kind */
};

/* ---- rules_try.c ---- */

/* Complains about slow patterns, and about examples that do not match or that match what they must not. The prefilters are there. */
MUST_USE enum rc rules_try(const struct pack *p, struct complaints *c, struct err *e);

/* ---- rules_yaml.c ---- */

/* Reads all documents of p->file into rules, combinations, bias, share, caps and versions; complains about what is wrong. Patterns are
 * not compiled and `when` is not parsed here. RC_RETRY when out of memory. */
MUST_USE enum rc rules_read(struct pack *p, struct complaints *c, struct err *e);
/* Brings the documents' words and spellings into p->fold. */
void rules_read_words(struct pack *p, struct complaints *c);
