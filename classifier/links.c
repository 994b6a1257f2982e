/* The packs' lists of what kinds of links there are (docs/rules.md, links): top-level domains, shorteners, and brands with the domains
 * that are their own; and whether a domain imitates a brand. Reading a text for links is extract.c. */
#include <stdlib.h>

#include "classifier/rules.h"

#define BRAND_MAX 32

struct brand {
	struct slice skeleton; /* in the pool */
	size_t first, owns;    /* its domains, in own[] */
};
struct links {
	struct slice *tld, *abused, *shortener,
		*own; /* sorted, but own; borrowed from the pack's files */
	size_t tlds, abuseds, shorteners, owns;
	struct brand *brand;
	size_t brands;
	char *pool;
};

static int by_text(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int cmp = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return cmp != 0 ? cmp : (x->len > y->len) - (x->len < y->len);
}

static bool among(const struct slice *list, size_t n, struct slice s)
{
	return n > 0 && bsearch(&s, list, n, sizeof(s), by_text) != NULL;
}

bool links_is_abused(const struct links *l, struct slice label)
{
	return among(l->abused, l->abuseds, label);
}

bool links_is_tld(const struct links *l, struct slice label)
{
	return among(l->tld, l->tlds, label) || links_is_abused(l, label);
}

bool links_is_shortener(const struct links *l, struct slice domain)
{
	return among(l->shortener, l->shorteners, domain);
}

/* ---- imitations ---- */

/* What a label looks like: one writing for what the eye takes for the same. Never longer. */
static size_t skeleton(struct slice s, char *out)
{
	static const char look[256] = {['0'] = 'o',
		['1'] = 'l',
		['3'] = 'e',
		['4'] = 'a',
		['5'] = 's',
		['7'] = 't',
		['8'] = 'b',
		['i'] = 'l'};
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = look[(unsigned char)s.ptr[i]];

		c = c != '\0' ? c : s.ptr[i];
		if (n > 0 && ((out[n - 1] == 'r' && c == 'n') || (out[n - 1] == 'v' && c == 'v')))
			out[n - 1] = c == 'n' ? 'm' : 'w';
		else
			out[n++] = c;
	}
	return n;
}

static bool contains(struct slice s, struct slice part)
{
	return memmem(s.ptr, s.len, part.ptr, part.len) != NULL;
}

/* They differ by one letter put in, left out or changed. */
static bool one_apart(struct slice a, struct slice b)
{
	size_t i = 0;
	struct slice x, y;

	if (a.len > b.len + 1 || b.len > a.len + 1 || slice_eq(a, b))
		return false;
	while (i < a.len && i < b.len && a.ptr[i] == b.ptr[i])
		i++;
	x = slice_of(a.ptr + i, a.len - i);
	y = slice_of(b.ptr + i, b.len - i);
	if (x.len >= y.len)
		x = slice_of(x.ptr + 1, x.len - 1);
	if (b.len - i >= a.len - i)
		y = slice_of(y.ptr + 1, y.len - 1);
	return slice_eq(x, y);
}

static bool part_has(struct slice label, struct slice brand, bool nearly)
{
	struct slice part;

	while (slice_cut(&label, '-', &part))
		if (nearly ? one_apart(part, brand) : slice_eq(part, brand))
			return true;
	return false;
}

static bool has_brand(struct slice label, struct slice brand, bool abused)
{
	if (brand.len >= 5)
		return contains(label, brand) || (brand.len >= 8 && part_has(label, brand, true));
	return part_has(label, brand, false) || (abused && slice_starts(label, brand));
}

static bool is_own(const struct links *l, const struct brand *b, struct slice domain)
{
	for (size_t i = b->first; i < b->first + b->owns; i++) {
		struct slice own = l->own[i];

		if (domain.len >= own.len &&
			memcmp(domain.ptr + domain.len - own.len, own.ptr, own.len) == 0 &&
			(domain.len == own.len || domain.ptr[domain.len - own.len - 1] == '.'))
			return true;
	}
	return false;
}

bool links_is_lookalike(const struct links *l, struct slice domain, bool abused)
{
	char room[DOMAIN_MAX];
	struct slice look[DOMAIN_LABELS], rest = domain, label;
	size_t labels = 0, len = 0;

	while (slice_cut(&rest, '.', &label)) {
		look[labels].ptr = room + len;
		look[labels].len = skeleton(label, room + len);
		len += look[labels++].len;
	}
	for (size_t i = 0; i < l->brands; i++)
		for (size_t k = 0; k + 1 < labels; k++)
			if (has_brand(look[k], l->brand[i].skeleton, abused) &&
				!is_own(l, &l->brand[i], domain))
				return true;
	return false;
}

/* ---- reading the lists ---- */

struct reading {
	struct links *l;
	const char *file;
	struct complaints *c;
	size_t pool;
};

static bool is_host(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
			    (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
			    (i > 0 && i + 1 < s.len && (s.ptr[i] == '-' || s.ptr[i] == '.'))))
			return false;
	return s.len > 0 && s.len < DOMAIN_MAX;
}

/* Appends the texts of a list; `dots`: each holds a dot, or none. */
static void read_list(struct reading *r, const struct yaml *list, const char *key, bool dots,
	struct slice *out, size_t *n)
{
	if (list == NULL)
		return;
	if (list->kind != YAML_LIST) {
		complain(r->c, r->file, list->line, "\"%s\" must be a list", key);
		return;
	}
	for (const struct yaml *x = list->child; x != NULL; x = x->next) {
		if (x->kind != YAML_SCALAR || !is_host(x->value) ||
			(memchr(x->value.ptr, '.', x->value.len) != NULL) != dots)
			complain(r->c, r->file, x->line, "\"%s\": want %s of a-z 0-9 -", key,
				dots ? "a domain" : "a last label, without a dot,");
		else
			out[(*n)++] = x->value;
	}
}

static void read_brands(struct reading *r, const struct yaml *map)
{
	struct links *l = r->l;

	if (map == NULL)
		return;
	if (map->kind != YAML_MAP) {
		complain(r->c, r->file, map->line, "\"brands\" must be a map of names and lists");
		return;
	}
	for (const struct yaml *x = map->child; x != NULL; x = x->next) {
		struct brand b = {.first = l->owns};

		if (x->key.len < 3 || x->key.len > BRAND_MAX || !is_host(x->key) ||
			memchr(x->key.ptr, '.', x->key.len) != NULL) {
			complain(r->c, r->file, x->line, "a brand must be 3 to %d of a-z 0-9 -",
				BRAND_MAX);
			continue;
		}
		read_list(r, x, "brands", true, l->own, &l->owns);
		b.owns = l->owns - b.first;
		b.skeleton.ptr = l->pool + r->pool;
		b.skeleton.len = skeleton(x->key, l->pool + r->pool);
		r->pool += b.skeleton.len;
		l->brand[l->brands++] = b;
	}
}

/* How many texts all lists and maps below hold together. */
static size_t texts_below(const struct yaml *links)
{
	size_t n = 1;

	for (const struct yaml *x = links != NULL ? links->child : NULL; x != NULL; x = x->next) {
		n += x->count + 1;
		for (const struct yaml *y = x->child; y != NULL; y = y->next)
			n += y->count + 1;
	}
	return n;
}

enum rc links_read(const struct pack *p, struct complaints *c, struct links **out, struct err *e)
{
	static const char *const keys[] = {"tlds", "abused_tlds", "shorteners", "brands", NULL};
	OWN(links_free) struct links *l = calloc(1, sizeof(*l));
	struct reading r = {.l = l, .c = c};
	size_t n = 1;

	for (size_t i = 0; i < p->files; i++)
		n += texts_below(yaml_get(yaml_root(p->file[i].doc), "links"));
	if (l == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	l->tld = calloc(n, sizeof(*l->tld));
	l->abused = calloc(n, sizeof(*l->abused));
	l->shortener = calloc(n, sizeof(*l->shortener));
	l->own = calloc(n, sizeof(*l->own));
	l->brand = calloc(n, sizeof(*l->brand));
	l->pool = calloc(n, BRAND_MAX);
	if (l->tld == NULL || l->abused == NULL || l->shortener == NULL || l->own == NULL ||
		l->brand == NULL || l->pool == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < p->files; i++) {
		const struct yaml *links = yaml_get(yaml_root(p->file[i].doc), "links");

		r.file = p->file[i].path;
		if (links == NULL)
			continue;
		if (links->kind != YAML_MAP) {
			complain(c, r.file, links->line, "\"links\" must be a map");
			continue;
		}
		(void)yaml_only(links, r.file, keys, c);
		read_list(&r, yaml_get(links, "tlds"), "tlds", false, l->tld, &l->tlds);
		read_list(&r, yaml_get(links, "abused_tlds"), "abused_tlds", false, l->abused,
			&l->abuseds);
		read_list(&r, yaml_get(links, "shorteners"), "shorteners", true, l->shortener,
			&l->shorteners);
		read_brands(&r, yaml_get(links, "brands"));
	}
	qsort(l->tld, l->tlds, sizeof(*l->tld), by_text);
	qsort(l->abused, l->abuseds, sizeof(*l->abused), by_text);
	qsort(l->shortener, l->shorteners, sizeof(*l->shortener), by_text);
	*out = TAKE(l);
	return RC_OK;
}

void links_free(struct links *l)
{
	if (l == NULL)
		return;
	free(l->tld);
	free(l->abused);
	free(l->shortener);
	free(l->own);
	free(l->brand);
	free(l->pool);
	free(l);
}
