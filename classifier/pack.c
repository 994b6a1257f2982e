/* Loads a folder of rule packs: all files, all rules, all examples, or nothing. What is wrong is complained about in stages (files,
 * keys, names, patterns, examples), each over the whole folder. Leaves out trying the
 * patterns, which is rules_try.c, and running the rules, which is verdict.c. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "classifier/fold.h"
#include "classifier/rules.h"

/* ---- files ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pack_file *)a)->name, ((const struct pack_file *)b)->name);
}

static bool is_pack(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".yaml") == 0;
}

static enum rc add_file(struct pack *p, const char *dir, const char *name, struct err *e)
{
	struct pack_file *grown = reallocarray(p->file, p->files + 1, sizeof(*grown));
	struct pack_file *f;

	if (grown == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	p->file = grown;
	f = &p->file[p->files++];
	*f = (struct pack_file){0};
	buf_init(&f->bytes, BOUND_CONFIG_FILE);
	if (asprintf(&f->path, "%s/%s", dir, name) < 0) {
		f->path = NULL;
		return err_set(e, RC_RETRY, "out of memory");
	}
	f->name = f->path + strlen(dir) + 1;
	return RC_OK;
}

static enum rc list_files(struct pack *p, const char *dir, struct complaints *c, struct err *e)
{
	DIR *d = opendir(dir);
	enum rc rc = RC_OK;

	if (d == NULL) {
		complain(c, dir, 0, "cannot be read: %s", strerror(errno));
		return RC_OK;
	}
	for (const struct dirent *f = readdir(d); f != NULL && rc == RC_OK; f = readdir(d)) {
		if (!is_pack(f->d_name))
			continue;
		if (p->files == BOUND_PACK_FILES) {
			complain(c, dir, 0, "more than %d files", BOUND_PACK_FILES);
			break;
		}
		rc = add_file(p, dir, f->d_name, e);
	}
	(void)closedir(d);
	if (rc == RC_OK && p->files == 0)
		complain(c, dir, 0, "no rule pack (*.yaml) in this folder");
	if (p->files > 0)
		qsort(p->file, p->files, sizeof(*p->file), by_name);
	return rc;
}

static enum rc read_files(struct pack *p, struct complaints *c, struct err *e)
{
	for (size_t i = 0; i < p->files; i++) {
		struct pack_file *f = &p->file[i];
		struct err why = {0};
		enum rc rc = file_read(f->path, false, &f->bytes, &why);

		if (rc == RC_OK)
			rc = yaml_parse(f->path, buf_slice(&f->bytes), &f->doc, &why);
		if (rc == RC_RETRY)
			return err_set(e, rc, "%s", why.text);
		if (rc != RC_OK)
			complain_text(c, why.text);
	}
	return RC_OK;
}

/* Over each file's name, length and bytes, the look-alikes last: all that a verdict depends on. */
static enum rc hash_files(struct pack *p, const char *fold_table_path, struct err *e)
{
	BUF_OWN struct buf all;
	BUF_OWN struct buf fold;
	size_t bound = (p->files + 1) * (BOUND_CONFIG_FILE + 512);
	enum rc rc;

	buf_init(&all, bound);
	buf_init(&fold, BOUND_CONFIG_FILE);
	rc = file_read(fold_table_path, false, &fold, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < p->files; i++) {
		buf_fmt(&all, "%s\n%zu\n", p->file[i].name, p->file[i].bytes.len);
		buf_add(&all, buf_slice(&p->file[i].bytes));
	}
	buf_fmt(&all, "homoglyphs.tsv\n%zu\n", fold.len);
	buf_add(&all, buf_slice(&fold));
	if (all.failed)
		return err_set(e, RC_RETRY, "out of memory");
	sha256(buf_slice(&all), p->hash);
	return RC_OK;
}

static enum rc join_versions(struct pack *p, struct err *e)
{
	p->version = calloc(p->files, sizeof(p->file->version));
	if (p->version == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0, at = 0; i < p->files; i++)
		at += (size_t)sprintf(
			p->version + at, "%s%s", i > 0 ? "+" : "", p->file[i].version);
	return RC_OK;
}

/* ---- names ---- */

/* A symbol, or an id, and where it stands. */
struct named {
	const char *symbol;
	int64_t id;
	uint32_t rule; /* UINT32_MAX: a combination */
	const char *file;
	int line;
};
struct names {
	struct named *by_symbol;
	size_t n;
};

static int by_symbol(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int cmp = strcmp(x->symbol, y->symbol);

	return cmp != 0 ? cmp : (x->rule > y->rule) - (x->rule < y->rule);
}

static int by_id(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->id != y->id ? (x->id < y->id ? -1 : 1)
			      : (x->rule > y->rule) - (x->rule < y->rule);
}

static bool find_rule(const void *arg, struct slice name, uint32_t *out)
{
	const struct names *names = arg;
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		struct slice s = slice_str(names->by_symbol[mid].symbol);
		int cmp = memcmp(s.ptr, name.ptr, s.len < name.len ? s.len : name.len);

		if (cmp == 0 && s.len == name.len) {
			*out = names->by_symbol[mid].rule;
			return *out != UINT32_MAX;
		}
		if (cmp < 0 || (cmp == 0 && s.len < name.len))
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* names->by_symbol has room for all. */
static void check_names(const struct pack *p, struct names *names, struct complaints *c)
{
	struct named *all = names->by_symbol;
	size_t n = 0;

	for (size_t i = 0; i < p->rules; i++)
		all[n++] = (struct named){p->rule[i].symbol, p->rule[i].id, (uint32_t)i,
			p->rule[i].file, p->rule[i].line};
	qsort(all, n, sizeof(*all), by_id);
	for (size_t i = 1; i < n; i++)
		if (all[i].id == all[i - 1].id)
			complain(c, all[i].file, all[i].line, "the id %lld stands at %s:%d already",
				(long long)all[i].id, all[i - 1].file, all[i - 1].line);
	for (size_t i = 0; i < p->combinations; i++)
		all[n++] = (struct named){p->combination[i].symbol, 0, UINT32_MAX,
			p->combination[i].file, p->combination[i].line};
	qsort(all, n, sizeof(*all), by_symbol);
	for (size_t i = 1; i < n; i++)
		if (strcmp(all[i].symbol, all[i - 1].symbol) == 0)
			complain(c, all[i].file, all[i].line,
				"the symbol %s stands at %s:%d already", all[i].symbol,
				all[i - 1].file, all[i - 1].line);
	names->n = n;
}

static void parse_combinations(struct pack *p, const struct names *names, struct complaints *c)
{
	const struct when_names find = {find_rule, names};
	static const uint64_t none[BOUND_RULES / 64 + 1];

	for (size_t i = 0; i < p->combinations; i++) {
		struct combination *k = &p->combination[i];
		struct slice near;
		const char *why = when_parse(k->text, find, &k->when, &near);

		if (why != NULL)
			complain(c, k->file, k->when_line, "\"when\": %s%s%.*s%s", why,
				near.len > 0 ? ", at \"" : " at the end", (int)near.len, near.ptr,
				near.len > 0 ? "\"" : "");
		else if (when_holds(&k->when, none))
			complain(c, k->file, k->when_line,
				"\"when\" is true when no rule fires: it would hold for every "
				"text");
	}
}

/* ---- patterns ---- */

static void compile_pattern(struct rule *r, struct complaints *c)
{
	char why[RE_WHY];
	size_t at;
	if (r->fact != FACT_NONE)
		return;
	const char *refused = pattern_refused(r->pattern, &at);

	if (refused != NULL) {
		complain(c, r->file, r->pattern_line, "%s: pattern, byte %zu: %s", r->symbol,
			at + 1, refused);
		return;
	}
	if (re_compile(r->pattern, &r->re, why) != RC_OK) {
		complain(c, r->file, r->pattern_line, "%s: pattern: %s", r->symbol, why);
		return;
	}
	if (re_matches_empty(r->re))
		complain(c, r->file, r->pattern_line,
			"%s: the pattern can match without reading a character", r->symbol);
}

static enum rc compile_prefilter(struct pack *p, bool raw, const char *cache_dir, bool *kept,
	struct prefilter **out, struct err *e)
{
	struct slice *pattern = calloc(p->rules + 1, sizeof(*pattern));
	size_t n = 0;
	enum rc rc = RC_OK;

	if (pattern == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < p->rules; i++) {
		if (p->rule[i].raw != raw || p->rule[i].fact != FACT_NONE)
			continue;
		pattern[i] = p->rule[i].pattern;
		n++;
	}
	if (n > 0)
		rc = prefilter_cached(pattern, p->rules, !raw, cache_dir, p->hash, out, kept, e);
	free(pattern);
	return rc;
}

/* The rules that ask for evidence, so that a verdict need not look through all. */
static enum rc list_facts(struct pack *p, struct err *e)
{
	p->fact_rule = calloc(p->rules + 1, sizeof(*p->fact_rule));
	if (p->fact_rule == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < p->rules; i++)
		if (p->rule[i].fact != FACT_NONE)
			p->fact_rule[p->fact_rules++] = (uint32_t)i;
	return RC_OK;
}

struct naming {
	struct pack *p;
	size_t combination;
};

static void is_named(void *arg, uint32_t rule)
{
	const struct naming *n = arg;

	bit_set(n->p->named_by + rule * n->p->combination_words, n->combination);
}

/* Which combinations a rule may make true, so that a verdict looks at those alone. */
static enum rc list_combinations(struct pack *p, struct err *e)
{
	p->combination_words = p->combinations / 64 + 1;
	p->named_by = calloc((p->rules + 1) * p->combination_words, sizeof(*p->named_by));
	if (p->named_by == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < p->combinations; i++)
		if (p->combination[i].weight != 0)
			when_named(&p->combination[i].when, is_named, &(struct naming){p, i});
	return RC_OK;
}

/* ---- the folder ---- */

static enum rc check_and_compile(struct pack *p, struct complaints *c, struct err *e)
{
	struct names names = {calloc(p->rules + p->combinations + 1, sizeof(struct named)), 0};

	if (names.by_symbol == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	check_names(p, &names, c);
	parse_combinations(p, &names, c);
	free(names.by_symbol);
	for (size_t i = 0; i < p->rules; i++)
		compile_pattern(&p->rule[i], c);
	return RC_OK;
}

/* What was kept was checked when it was: the key holds every byte of the packs. */
static enum rc compile_and_try(
	struct pack *p, const char *cache_dir, struct complaints *c, struct err *e)
{
	size_t before = c->count;
	bool folded_kept = true, raw_kept = true;
	enum rc rc = compile_prefilter(p, false, cache_dir, &folded_kept, &p->folded, e);

	if (rc == RC_OK)
		rc = compile_prefilter(p, true, cache_dir, &raw_kept, &p->raw, e);
	if (rc != RC_OK || (folded_kept && raw_kept && cache_dir[0] != '\0'))
		return rc;
	rc = rules_try(p, c, e);
	if (rc == RC_OK && c->count == before && cache_dir[0] != '\0') {
		if (p->folded != NULL)
			prefilter_keep(p->folded, cache_dir);
		if (p->raw != NULL)
			prefilter_keep(p->raw, cache_dir);
	}
	return rc;
}

static enum rc load(struct pack *p, const char *dir, const char *fold_table_path,
	const char *cache_dir, struct complaints *c, struct err *e)
{
	size_t before = c->count;
	enum rc rc = list_files(p, dir, c, e);

	if (rc == RC_OK)
		rc = read_files(p, c, e);
	if (rc == RC_OK && c->count == before)
		rc = rules_read(p, c, e);
	if (rc == RC_OK && c->count == before)
		rc = check_and_compile(p, c, e);
	if (rc != RC_OK || c->count != before)
		return rc;
	rc = fold_table_load(fold_table_path, &p->fold, e);
	if (rc == RC_INVALID || rc == RC_NONE)
		complain_text(c, e != NULL ? e->text : fold_table_path);
	if (rc == RC_OK)
		rules_read_words(p, c);
	if (rc == RC_OK)
		rc = links_read(p, c, &p->links, e);
	if (rc == RC_OK)
		rc = list_facts(p, e);
	if (rc == RC_OK && c->count == before)
		rc = list_combinations(p, e);
	if (rc == RC_OK && c->count != before)
		return rc;
	if (rc == RC_OK)
		rc = hash_files(p, fold_table_path, e);
	if (rc == RC_OK)
		rc = compile_and_try(p, cache_dir, c, e);
	if (rc == RC_OK)
		rc = join_versions(p, e);
	return rc;
}

enum rc pack_load(const char *rules_dir, const char *fold_table_path, struct complaints *c,
	struct pack **out, struct err *e)
{
	return pack_load_cached(rules_dir, fold_table_path, "", c, out, e);
}

enum rc pack_load_cached(const char *rules_dir, const char *fold_table_path, const char *cache_dir,
	struct complaints *c, struct pack **out, struct err *e)
{
	OWN(pack_free) struct pack *p = calloc(1, sizeof(*p));
	size_t before = c->count;
	enum rc rc;

	if (p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = load(p, rules_dir, fold_table_path, cache_dir, c, e);
	if (c->count != before)
		return err_set(e, RC_INVALID, "%s: %zu error%s", rules_dir, c->count - before,
			c->count - before == 1 ? "" : "s");
	if (rc == RC_OK)
		*out = TAKE(p);
	return rc;
}

void pack_free(struct pack *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->rules; i++)
		re_free(p->rule[i].re);
	for (size_t i = 0; i < p->combinations; i++)
		free(p->combination[i].when.op);
	for (size_t i = 0; i < p->files; i++) {
		yaml_free(p->file[i].doc);
		buf_done(&p->file[i].bytes);
		free(p->file[i].path);
	}
	prefilter_free(p->folded);
	prefilter_free(p->raw);
	links_free(p->links);
	free(p->fact_rule);
	free(p->named_by);
	fold_table_free(p->fold);
	free(p->rule);
	free(p->combination);
	free(p->file);
	free(p->version);
	free(p);
}

const char *pack_version(const struct pack *p)
{
	return p->version;
}

void pack_hash(const struct pack *p, uint8_t out[SHA256_LEN])
{
	memcpy(out, p->hash, SHA256_LEN);
}

size_t pack_rules(const struct pack *p)
{
	return p->rules;
}

enum rc pack_extract(const struct pack *p, const struct folded *f, struct arena *a,
	struct evidence out[BOUND_EVIDENCE], size_t *n)
{
	return extract(p->links, f, a, out, n);
}
