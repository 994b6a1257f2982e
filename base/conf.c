/* conf: the tables of all rooms against one YAML file. Everything wrong is collected before anything is refused, and what is
 * loaded never changes: a reload makes a new struct conf. Leaves out command line options and watching the file. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/bounds.h"
#include "base/conf.h"
#include "base/file.h"

#define NAME_CAP 128
#define TREE_DEPTH 8

struct value {
	const struct conf_item *item;
	int line; /* 0: the default */
	const char *text;
	double real;
	int64_t num; /* also 0 and 1 of a bool */
	const char **list;
	size_t count;
	bool given;
};

struct conf {
	struct arena *arena;
	const char *path;
	struct value *values; /* sorted by name */
	size_t n;
};

/* What a load carries about. */
struct load {
	struct conf *conf;
	struct complaints *complaints;
	bool out_of_memory;
};

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	arena_free(c->arena);
	free(c);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct value *)a)->item->name, ((const struct value *)b)->item->name);
}

/* The value of this name, or NULL. */
static struct value *find(const struct conf *c, const char *name)
{
	const struct conf_item item = {.name = name};
	const struct value key = {.item = &item};

	return bsearch(&key, c->values, c->n, sizeof(c->values[0]), by_name);
}

static const struct value *must_find(const struct conf *c, const char *name)
{
	const struct value *v = find(c, name);

	assert(v != NULL);
	return v;
}

static const char *type_name(enum conf_type t)
{
	static const char *const names[] = {
		[CONF_TEXT] = "text",
		[CONF_INT] = "whole number",
		[CONF_REAL] = "number",
		[CONF_BOOL] = "true or false",
		[CONF_SPAN_S] = "span of time",
		[CONF_LIST] = "list",
		[CONF_FILE] = "file",
		[CONF_CHOICE] = "choice",
	};

	return names[t];
}

static bool bounded(const struct conf_item *i)
{
	return i->min != 0 || i->max != 0;
}

/* Range of a number, of a text's length or of a list's count. */
static bool in_range(struct load *l, const struct value *v, double x, const char *what)
{
	if (!bounded(v->item) || (x >= v->item->min && x <= v->item->max))
		return true;
	complain(l->complaints, l->conf->path, v->line,
		"%s: %s %.15g is not between %.15g and %.15g", v->item->name, what, x, v->item->min,
		v->item->max);
	return false;
}

static bool is_choice(const char *choices, struct slice s)
{
	struct slice rest = slice_str(choices), one;

	while (slice_cut(&rest, '|', &one))
		if (slice_eq(one, s))
			return true;
	return false;
}

/* A file's path: relative ones start in the configuration's folder. */
static const char *resolve(struct load *l, struct slice path)
{
	const char *slash = strrchr(l->conf->path, '/');
	struct arena *a = l->conf->arena;
	const char *out;

	if (path.len == 0 || path.ptr[0] == '/' || slash == NULL)
		out = arena_copy(a, path).ptr;
	else
		out = arena_fmt(a, "%.*s/%.*s", (int)(slash - l->conf->path), l->conf->path,
			(int)path.len, path.ptr);
	l->out_of_memory = l->out_of_memory || out == NULL;
	return out != NULL ? out : "";
}

/* A secret must be there and be ours alone; its content is looked at when it is used. */
static void check_secret(struct load *l, const struct value *v)
{
	struct stat st;

	if (v->text[0] == '\0')
		return;
	if (stat(v->text, &st) != 0)
		complain(l->complaints, l->conf->path, v->line,
			"%s: cannot look at the secret file %s", v->item->name, v->text);
	else if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		complain(l->complaints, l->conf->path, v->line,
			"%s: %s has mode %04o; a secret must not be open to group or others (chmod "
			"600)",
			v->item->name, v->text, (unsigned)st.st_mode & 07777);
}

static void wrong(struct load *l, const struct value *v, const char *want)
{
	complain(l->complaints, l->conf->path, v->line, "%s must be %s, not \"%.100s\"",
		v->item->name, want, v->text);
}

/* `$NAME` at the start is the environment's value, `$$` a dollar sign. */
static bool expand(struct load *l, const struct value *v, struct slice *s)
{
	char name[NAME_CAP];
	const char *env, *all;
	size_t n = 0;

	if (s->len < 2 || s->ptr[0] != '$')
		return true;
	*s = slice_of(s->ptr + 1, s->len - 1);
	if (s->ptr[0] == '$')
		return true;
	while (n < s->len && n < sizeof(name) - 1 &&
		((s->ptr[n] >= 'A' && s->ptr[n] <= 'Z') || (s->ptr[n] >= 'a' && s->ptr[n] <= 'z') ||
			s->ptr[n] == '_' || (n > 0 && s->ptr[n] >= '0' && s->ptr[n] <= '9')))
		n++;
	memcpy(name, s->ptr, n);
	name[n] = '\0';
	env = n > 0 ? getenv(name) : NULL;
	if (env == NULL) {
		complain(l->complaints, l->conf->path, v->line,
			"%s: the environment has no $%s (write $$ for a dollar sign)",
			v->item->name, name);
		return false;
	}
	all = arena_fmt(l->conf->arena, "%s%.*s", env, (int)(s->len - n), s->ptr + n);
	l->out_of_memory = l->out_of_memory || all == NULL;
	*s = slice_str(all != NULL ? all : "");
	return true;
}

/* One scalar into the value; complains itself. */
static void set_scalar(struct load *l, struct value *v, struct slice s)
{
	const struct conf_item *i = v->item;
	struct slice copy = arena_copy(l->conf->arena, s);
	bool flag = false;

	l->out_of_memory = l->out_of_memory || copy.ptr == NULL;
	v->text = copy.ptr != NULL ? copy.ptr : "";
	switch (i->type) {
	case CONF_TEXT:
		(void)in_range(l, v, (double)s.len, "the length");
		break;
	case CONF_FILE:
		v->text = resolve(l, s);
		if (i->secret)
			check_secret(l, v);
		break;
	case CONF_CHOICE:
		if (!is_choice(i->choices, s))
			wrong(l, v, i->choices);
		break;
	case CONF_INT:
		if (slice_i64(s, &v->num) != RC_OK)
			wrong(l, v, "a whole number");
		else
			(void)in_range(l, v, (double)v->num, "the value");
		v->real = (double)v->num;
		break;
	case CONF_SPAN_S:
		if (yaml_as_span_s(s, &v->num) != RC_OK)
			wrong(l, v, "a span of time such as 90s, 15m, 24h or 7d");
		else
			(void)in_range(l, v, (double)v->num, "the span of seconds");
		v->real = (double)v->num;
		break;
	case CONF_REAL:
		if (yaml_as_real(s, &v->real) != RC_OK)
			wrong(l, v, "a number");
		else
			(void)in_range(l, v, v->real, "the value");
		break;
	case CONF_BOOL:
		if (yaml_as_bool(s, &flag) != RC_OK)
			wrong(l, v, "true or false");
		v->num = flag ? 1 : 0;
		break;
	case CONF_LIST:
		break; /* set_list */
	}
}

static void list_add(struct load *l, struct value *v, struct slice s)
{
	struct slice copy = arena_copy(l->conf->arena, s);

	l->out_of_memory = l->out_of_memory || copy.ptr == NULL;
	v->list[v->count++] = copy.ptr != NULL ? copy.ptr : "";
}

static bool list_room(struct load *l, struct value *v, size_t n)
{
	v->list = (const char **)arena_array(l->conf->arena, n + 1, sizeof(char *));
	v->count = 0;
	l->out_of_memory = l->out_of_memory || v->list == NULL;
	return v->list != NULL;
}

/* "a, b" as one scalar: the form of defaults and of environment values. */
static void set_list_text(struct load *l, struct value *v, struct slice s)
{
	size_t n = 1;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == ',' ? 1 : 0;
	if (!list_room(l, v, n))
		return;
	for (struct slice one; slice_cut(&s, ',', &one);) {
		one = slice_trim(one);
		if (one.len > 0)
			list_add(l, v, one);
	}
	(void)in_range(l, v, (double)v->count, "the number of entries");
}

static void set_list(struct load *l, struct value *v, const struct yaml *list)
{
	if (!list_room(l, v, list->count))
		return;
	for (const struct yaml *n = list->child; n != NULL; n = n->next) {
		struct slice s = n->value;

		if (n->kind != YAML_SCALAR)
			complain(l->complaints, l->conf->path, n->line,
				"%s: entries must be plain values", v->item->name);
		else if (expand(l, v, &s))
			list_add(l, v, s);
	}
	(void)in_range(l, v, (double)v->count, "the number of entries");
}

static void set_default(struct load *l, struct value *v)
{
	size_t before = l->complaints->count;

	if (v->item->def == NULL) {
		complain(l->complaints, l->conf->path, 1, "%s is missing: %s", v->item->name,
			v->item->help != NULL ? v->item->help : "it must be given");
		return;
	}
	if (v->item->type == CONF_LIST)
		set_list_text(l, v, slice_str(v->item->def));
	else if (v->item->type == CONF_FILE || v->item->def[0] != '\0')
		set_scalar(l, v, slice_str(v->item->def));
	else
		v->text = ""; /* "" of any type: not set, and so in no range */
	assert(l->complaints->count == before || v->item->secret);
}

static bool is_null(const struct yaml *n)
{
	return !n->quoted &&
		(n->value.len == 0 || slice_eq(n->value, SLICE("~")) ||
			slice_eq(n->value, SLICE("null")));
}

static void set(struct load *l, struct value *v, const struct yaml *n)
{
	struct slice s = n->value;

	v->line = n->line;
	v->given = true;
	if (n->kind == YAML_LIST && v->item->type == CONF_LIST) {
		set_list(l, v, n);
		return;
	}
	if (n->kind != YAML_SCALAR) {
		complain(l->complaints, l->conf->path, n->line, "%s must be a %s, not a %s",
			v->item->name, type_name(v->item->type),
			n->kind == YAML_LIST ? "list" : "map");
		return;
	}
	if (is_null(n)) {
		complain(l->complaints, l->conf->path, n->line,
			"%s has no value (write \"\" for an empty one)", v->item->name);
		return;
	}
	if (!expand(l, v, &s))
		return;
	if (v->item->type == CONF_LIST)
		set_list_text(l, v, s);
	else
		set_scalar(l, v, s);
}

/* Is this dotted path the start of some item's name? */
static bool is_section(const struct conf *c, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < c->n; i++)
		if (strncmp(c->values[i].item->name, path, n) == 0 &&
			c->values[i].item->name[n] == '.')
			return true;
	return false;
}

/* Walks the tree without recursion; `path` is the dotted name of where it stands. */
static void walk_tree(struct load *l, const struct yaml *root)
{
	const struct yaml *next[TREE_DEPTH] = {root->child};
	size_t len[TREE_DEPTH] = {0}, depth = 1;
	char path[NAME_CAP];

	while (depth > 0) {
		const struct yaml *n = next[depth - 1];
		struct value *v;
		size_t at = len[depth - 1];
		int put;

		if (n == NULL) {
			depth--;
			continue;
		}
		next[depth - 1] = n->next;
		put = snprintf(path + at, sizeof(path) - at, "%s%.*s", at > 0 ? "." : "",
			(int)n->key.len, n->key.ptr);
		if (put < 0 || (size_t)put >= sizeof(path) - at) {
			complain(l->complaints, l->conf->path, n->line,
				"a name that long is not known");
			continue;
		}
		v = find(l->conf, path);
		if (v != NULL) {
			set(l, v, n);
		} else if (!is_section(l->conf, path)) {
			complain(l->complaints, l->conf->path, n->line, "%s is not known", path);
		} else if (n->kind == YAML_MAP && depth < TREE_DEPTH) {
			next[depth] = n->child;
			len[depth] = at + (size_t)put;
			depth++;
		} else if (n->kind != YAML_SCALAR ||
			!is_null(n)) { /* "kafka:" alone: all defaults */
			complain(l->complaints, l->conf->path, n->line,
				"%s must be a map of settings", path);
		}
	}
}

static struct conf *conf_new(const char *path, const struct conf_table *const *tables, size_t n)
{
	OWN(conf_free) struct conf *c = calloc(1, sizeof(*c));
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += tables[i]->count;
	/* the file's texts with their alignment, environment values, and resolved paths */
	if (c == NULL ||
		(c->arena = arena_new((size_t)BOUND_CONFIG_FILE * 32 + total * 4096)) == NULL)
		return NULL;
	c->path = arena_copy(c->arena, slice_str(path)).ptr;
	c->values = arena_array(c->arena, total, sizeof(c->values[0]));
	if (c->path == NULL || c->values == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < tables[i]->count; k++)
			c->values[c->n++].item = &tables[i]->items[k];
	if (c->n > 1)
		qsort(c->values, c->n, sizeof(c->values[0]), by_name);
	for (size_t i = 1; i < c->n; i++) /* one name in two tables is a bug of ours */
		assert(strcmp(c->values[i - 1].item->name, c->values[i].item->name) != 0);
	return TAKE(c);
}

enum rc conf_load(const char *path, const struct conf_table *const *tables, size_t n,
	struct complaints *c, struct conf **out, struct err *e)
{
	OWN(conf_free) struct conf *conf = conf_new(path, tables, n);
	OWN(yaml_free) struct yaml_doc *doc = NULL;
	struct load l = {.conf = conf, .complaints = c};
	size_t before = c->count;
	struct err why;
	enum rc rc;

	if (conf == NULL)
		return err_set(e, RC_LIMIT, "%s: out of memory", path);
	rc = yaml_load(path, BOUND_CONFIG_FILE, &doc, &why);
	if (rc != RC_OK) {
		if (rc == RC_LIMIT)
			return err_set(e, rc, "%s", why.text);
		complain_text(c, why.text);
		return err_set(e, RC_INVALID, "%s", why.text);
	}
	if (yaml_root(doc)->kind != YAML_MAP)
		complain(c, path, yaml_root(doc)->line, "the file must be a map of settings");
	else
		walk_tree(&l, yaml_root(doc));
	for (size_t i = 0; i < conf->n; i++)
		if (!conf->values[i].given)
			set_default(&l, &conf->values[i]);
	if (l.out_of_memory)
		return err_set(e, RC_LIMIT, "%s: out of memory", path);
	if (c->count != before)
		return err_set(e, RC_INVALID, "%s: %zu error%s", path, c->count - before,
			c->count - before == 1 ? "" : "s");
	*out = TAKE(conf);
	return RC_OK;
}

const char *conf_text(const struct conf *c, const char *name)
{
	const struct value *v = must_find(c, name);

	assert(v->item->type != CONF_LIST);
	return v->text != NULL ? v->text : "";
}

int64_t conf_int(const struct conf *c, const char *name)
{
	const struct value *v = must_find(c, name);

	assert(v->item->type == CONF_INT || v->item->type == CONF_SPAN_S);
	return v->num;
}

double conf_real(const struct conf *c, const char *name)
{
	const struct value *v = must_find(c, name);

	assert(v->item->type == CONF_REAL || v->item->type == CONF_INT ||
		v->item->type == CONF_SPAN_S);
	return v->real;
}

bool conf_bool(const struct conf *c, const char *name)
{
	const struct value *v = must_find(c, name);

	assert(v->item->type == CONF_BOOL);
	return v->num != 0;
}

size_t conf_count(const struct conf *c, const char *name)
{
	const struct value *v = must_find(c, name);

	assert(v->item->type == CONF_LIST);
	return v->count;
}

const char *conf_at(const struct conf *c, const char *name, size_t i)
{
	const struct value *v = must_find(c, name);

	assert(v->item->type == CONF_LIST && i < v->count);
	return v->list[i];
}

int conf_line(const struct conf *c, const char *name)
{
	return must_find(c, name)->line;
}

const char *conf_path(const struct conf *c)
{
	return c->path;
}

enum rc conf_read_file(const struct conf *c, const char *name, struct buf *out, struct err *e)
{
	const struct value *v = must_find(c, name);
	enum rc rc;

	assert(v->item->type == CONF_FILE);
	if (v->text == NULL || v->text[0] == '\0')
		return err_set(e, RC_NONE, "%s names no file", name);
	rc = file_read(v->text, v->item->secret, out, e);
	if (rc != RC_OK)
		return err_wrap(e, rc, "%s", name);
	if (out->len > 0 && out->ptr[out->len - 1] == '\n') {
		out->len--;
		if (out->len > 0 && out->ptr[out->len - 1] == '\r')
			out->len--;
		out->ptr[out->len] = '\0';
	}
	return RC_OK;
}
