/* Reads the documents of a rule folder into rules and combinations, with a complaint for everything that docs/rules.md does not allow.
 * What needs all rules at once (unique ids, combinations, patterns) is done in pack.c. */
#include <stdlib.h>

#include "classifier/fold.h"
#include "classifier/rules.h"

struct reading {
	struct pack *p;
	const char *file;
	struct complaints *c;
	const char *head_file; /* where bias, scam_share and caps stood, NULL: not yet */
};

static bool text_is(const struct yaml *n)
{
	return n != NULL && n->kind == YAML_SCALAR && n->value.len > 0;
}

static bool all_of(struct slice s, const char *chars)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\0' || strchr(chars, s.ptr[i]) == NULL)
			return false;
	return s.len > 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static void read_version(struct reading *r, const struct yaml *root, struct pack_file *f)
{
	const struct yaml *n = yaml_need(root, r->file, "pack", r->c);

	if (n == NULL)
		return;
	if (n->kind != YAML_SCALAR || n->value.len >= sizeof(f->version) ||
		!all_of(n->value, LOWER DIGITS ".-"))
		complain(r->c, r->file, n->line, "\"pack\" must be 1 to 40 of a-z 0-9 . -");
	else
		memcpy(f->version, n->value.ptr, n->value.len + 1);
}

/* scale, shift and label_at may stand beside bias, and nowhere else. */
static void read_calibration(struct reading *r, const struct yaml *root, bool beside_bias)
{
	static const struct {
		const char *name;
		double min, max;
	} key[] = {{"scale", 0.1, 10}, {"shift", -10, 10}, {"label_at", 0.01, 0.99}};
	double *out[] = {&r->p->scale, &r->p->shift, &r->p->label_at};

	for (size_t i = 0; i < ARRAY_LEN(key); i++) {
		const struct yaml *n = yaml_get(root, key[i].name);

		if (n == NULL)
			continue;
		if (!beside_bias)
			complain(r->c, r->file, n->line, "\"%s\" stands beside \"bias\" only",
				key[i].name);
		else
			(void)yaml_real(n, r->file, key[i].min, key[i].max, out[i], r->c);
	}
}

/* bias, scam_share and caps: in one file of the folder, together. */
static void read_head(struct reading *r, const struct yaml *root)
{
	static const char *const caps[] = {"scam", "spam", "ham", NULL};
	static const enum label label[] = {LABEL_SCAM, LABEL_SPAM, LABEL_HAM};
	const struct yaml *bias = yaml_get(root, "bias"), *share = yaml_get(root, "scam_share"),
			  *cap = yaml_get(root, "caps");

	read_calibration(r, root, bias != NULL);
	if (bias == NULL && share == NULL && cap == NULL)
		return;
	if (r->head_file != NULL) {
		complain(r->c, r->file, root->line,
			"\"bias\", \"scam_share\" and \"caps\" stand in %s already", r->head_file);
		return;
	}
	r->head_file = r->file;
	(void)yaml_real(
		yaml_need(root, r->file, "bias", r->c), r->file, -20, -0.01, &r->p->bias, r->c);
	(void)yaml_real(yaml_need(root, r->file, "scam_share", r->c), r->file, 0, 1,
		&r->p->scam_share, r->c);
	cap = yaml_need(root, r->file, "caps", r->c);
	if (cap == NULL)
		return;
	if (cap->kind != YAML_MAP) {
		complain(r->c, r->file, cap->line, "\"caps\" must be a map of scam, spam and ham");
		return;
	}
	(void)yaml_only(cap, r->file, caps, r->c);
	for (size_t i = 0; i < ARRAY_LEN(label); i++)
		(void)yaml_real(yaml_need(cap, r->file, caps[i], r->c), r->file, 0.01, 100,
			&r->p->cap[label[i]], r->c);
}

static const char *read_symbol(struct reading *r, const struct yaml *map)
{
	const struct yaml *n = yaml_need(map, r->file, "symbol", r->c);

	if (n == NULL)
		return NULL;
	if (n->kind != YAML_SCALAR || n->value.len < 3 || n->value.len > 48 ||
		!all_of(n->value, UPPER DIGITS "_") || n->value.ptr[0] < 'A' ||
		n->value.ptr[0] > 'Z' || slice_eq(n->value, SLICE("AND")) ||
		slice_eq(n->value, SLICE("NOT")) || slice_eq(n->value, SLICE("COUNT"))) {
		complain(r->c, r->file, n->line,
			"\"symbol\" must be 3 to 48 of A-Z 0-9 _, a letter first, and not AND, "
			"NOT, COUNT");
		return NULL;
	}
	return n->value.ptr;
}

static void read_class(struct reading *r, const struct yaml *map, enum label *label, double *weight)
{
	const struct yaml *n = yaml_need(map, r->file, "class", r->c),
			  *w = yaml_need(map, r->file, "weight", r->c);

	if (n != NULL && (!text_is(n) || !label_parse(n->value, label) || *label == LABEL_NONE)) {
		complain(r->c, r->file, n->line, "\"class\" must be ham, spam or scam");
		return;
	}
	if (n == NULL || w == NULL)
		return;
	(void)yaml_real(w, r->file, *label == LABEL_HAM ? -10 : 0, *label == LABEL_HAM ? 0 : 10,
		weight, r->c);
}

static void need_text(struct reading *r, const struct yaml *map, const char *key)
{
	const struct yaml *n = yaml_need(map, r->file, key, r->c);

	if (n != NULL && !text_is(n))
		complain(r->c, r->file, n->line, "\"%s\" must be a text", key);
}

static const struct yaml *need_examples(struct reading *r, const struct yaml *map, const char *key)
{
	const struct yaml *n = yaml_need(map, r->file, key, r->c);

	if (n == NULL)
		return NULL;
	if (n->kind != YAML_LIST || n->count == 0) {
		complain(r->c, r->file, n->line, "\"%s\" must be a list of one or more texts", key);
		return NULL;
	}
	for (const struct yaml *x = n->child; x != NULL; x = x->next)
		if (!text_is(x) || x->value.len > BOUND_CONTENT) {
			complain(r->c, r->file, x->line,
				"an example must be a text of 1 to %d bytes", BOUND_CONTENT);
			return NULL;
		}
	return n;
}

static void read_text(struct reading *r, const struct yaml *map, struct rule *rule)
{
	const struct yaml *which = yaml_get(map, "text"), *group = yaml_get(map, "group");

	rule->raw = text_is(which) && slice_eq(which->value, SLICE("raw"));
	if (which != NULL && !rule->raw &&
		!(text_is(which) && slice_eq(which->value, SLICE("folded"))))
		complain(r->c, r->file, which->line, "\"text\" must be folded or raw");
	if (group != NULL &&
		(!text_is(group) || group->value.len > 32 ||
			!all_of(group->value, LOWER DIGITS "_-")))
		complain(r->c, r->file, group->line, "\"group\" must be 1 to 32 of a-z 0-9 _ -");
}

static void read_shadow(struct reading *r, const struct yaml *map, bool *out)
{
	const struct yaml *n = yaml_get(map, "shadow");

	if (n != NULL)
		(void)yaml_bool(n, r->file, out, r->c);
}

static void read_rule(struct reading *r, const struct yaml *map, struct rule *rule)
{
	static const char *const keys[] = {"id", "symbol", "class", "weight", "pattern",
		"description", "match", "nomatch", "text", "group", "shadow", "evidence", NULL};
	const struct yaml *pattern, *evidence;

	*rule = (struct rule){.file = r->file, .line = map->line};
	(void)yaml_only(map, r->file, keys, r->c);
	(void)yaml_int(yaml_need(map, r->file, "id", r->c), r->file, 1, 99999999, &rule->id, r->c);
	rule->symbol = read_symbol(r, map);
	read_class(r, map, &rule->label, &rule->weight);
	need_text(r, map, "description");
	evidence = yaml_get(map, "evidence");
	if (evidence == NULL)
		need_text(r, map, "pattern");
	else if (yaml_get(map, "pattern") != NULL || yaml_get(map, "text") != NULL)
		complain(r->c, r->file, evidence->line,
			"\"evidence\" stands instead of \"pattern\" and \"text\"");
	else if (!text_is(evidence) || !fact_parse(evidence->value, &rule->fact))
		complain(r->c, r->file, evidence->line,
			"\"evidence\" must be domain, url, phone, account, handle, shortener, "
			"lookalike, abused_tld, hidden or ip_address");
	read_text(r, map, rule);
	read_shadow(r, map, &rule->shadow);
	rule->match = need_examples(r, map, "match");
	rule->nomatch = need_examples(r, map, "nomatch");
	pattern = yaml_get(map, "pattern");
	if (text_is(pattern)) {
		rule->pattern = pattern->value;
		rule->pattern_line = pattern->line;
	}
}

static void read_combination(struct reading *r, const struct yaml *map, struct combination *out)
{
	static const char *const keys[] = {
		"symbol", "class", "weight", "when", "description", "shadow", NULL};
	const struct yaml *when;

	*out = (struct combination){.file = r->file, .line = map->line};
	(void)yaml_only(map, r->file, keys, r->c);
	out->symbol = read_symbol(r, map);
	read_class(r, map, &out->label, &out->weight);
	need_text(r, map, "description");
	need_text(r, map, "when");
	read_shadow(r, map, &out->shadow);
	when = yaml_get(map, "when");
	if (text_is(when)) {
		out->text = when->value;
		out->when_line = when->line;
	}
}

/* The list under `key`, or NULL. Room for its maps is made in *array. */
static const struct yaml *list_of(struct reading *r, const struct yaml *root, const char *key,
	size_t have, size_t bound, void **array, size_t size, enum rc *rc)
{
	const struct yaml *n = yaml_get(root, key);
	void *grown;

	if (n == NULL)
		return NULL;
	if (n->kind != YAML_LIST) {
		complain(r->c, r->file, n->line, "\"%s\" must be a list", key);
		return NULL;
	}
	if (have + n->count > bound) {
		complain(r->c, r->file, n->line, "more than %zu of \"%s\" in the folder", bound,
			key);
		return NULL;
	}
	grown = reallocarray(*array, have + n->count + 1, size);
	if (grown == NULL) {
		*rc = RC_RETRY;
		return NULL;
	}
	*array = grown;
	return n;
}

static enum rc read_lists(struct reading *r, const struct yaml *root)
{
	struct pack *p = r->p;
	void *rules = p->rule, *combinations = p->combination;
	enum rc rc = RC_OK;
	const struct yaml *list =
		list_of(r, root, "rules", p->rules, BOUND_RULES, &rules, sizeof(*p->rule), &rc);

	p->rule = rules;
	for (const struct yaml *n = list != NULL ? list->child : NULL; n != NULL; n = n->next) {
		if (n->kind == YAML_MAP)
			read_rule(r, n, &p->rule[p->rules++]);
		else
			complain(r->c, r->file, n->line, "a rule must be a map");
	}
	list = list_of(r, root, "combine", p->combinations, BOUND_COMBINATIONS, &combinations,
		sizeof(*p->combination), &rc);
	p->combination = combinations;
	for (const struct yaml *n = list != NULL ? list->child : NULL; n != NULL; n = n->next) {
		if (n->kind == YAML_MAP)
			read_combination(r, n, &p->combination[p->combinations++]);
		else
			complain(r->c, r->file, n->line, "a combination must be a map");
	}
	return rc;
}

enum rc rules_read(struct pack *p, struct complaints *c, struct err *e)
{
	static const char *const keys[] = {"pack", "bias", "scam_share", "caps", "scale", "shift",
		"label_at", "rules", "combine", "words", "spellings", "links", NULL};
	struct reading r = {.p = p, .c = c};

	p->scale = 1;
	p->shift = 0;
	p->label_at = 0.5;

	for (size_t i = 0; i < p->files; i++) {
		const struct yaml *root = yaml_root(p->file[i].doc);

		r.file = p->file[i].path;
		if (root->kind != YAML_MAP) {
			complain(c, r.file, root->line, "the file must be a map");
			continue;
		}
		(void)yaml_only(root, r.file, keys, c);
		read_version(&r, root, &p->file[i]);
		read_head(&r, root);
		if (read_lists(&r, root) != RC_OK)
			return err_set(e, RC_RETRY, "out of memory");
	}
	if (r.head_file == NULL && p->files > 0)
		complain(c, p->file[0].path, 0,
			"\"bias\", \"scam_share\" and \"caps\" are missing in every file of the "
			"folder");
	return RC_OK;
}

static void read_words(
	struct reading *r, const struct yaml *root, const char *key, enum yaml_kind kind)
{
	const struct yaml *list = yaml_get(root, key);

	if (list == NULL)
		return;
	if (list->kind != kind) {
		complain(r->c, r->file, list->line, "\"%s\" must be a %s", key,
			kind == YAML_LIST ? "list of words" : "map of spellings and words");
		return;
	}
	for (const struct yaml *n = list->child; n != NULL; n = n->next) {
		struct slice word = kind == YAML_LIST ? n->value : n->key;
		const char *why = n->kind != YAML_SCALAR
			? "is no text"
			: fold_table_word(r->p->fold, word, n->value);

		if (why != NULL)
			complain(r->c, r->file, n->line, "\"%s\": \"%.*s\" %s", key, (int)word.len,
				word.ptr, why);
	}
}

void rules_read_words(struct pack *p, struct complaints *c)
{
	struct reading r = {.p = p, .c = c};

	for (size_t i = 0; i < p->files; i++) {
		const struct yaml *root = yaml_root(p->file[i].doc);

		r.file = p->file[i].path;
		read_words(&r, root, "words", YAML_LIST);
		read_words(&r, root, "spellings", YAML_MAP);
	}
}
