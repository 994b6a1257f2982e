/* yaml: one YAML document as a tree that remembers its lines; libyaml does the reading. Only what configuration needs: maps with
 * plain keys, lists, scalars. Aliases, anchors, tags, several documents and duplicate keys are refused, so what a person reads in
 * the file is what is loaded. Scalars stay text; the typed readers decide. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/yaml.h"

#define DEPTH 32

struct yaml_doc {
	struct arena *arena;
	const char *name;
	struct yaml *root;
};

/* The state of building: the open containers, and the key that waits for its value. */
struct builder {
	struct yaml_doc *doc;
	struct err *e;
	struct open_node {
		struct yaml *node;
		const struct yaml **tail;
		struct slice key;
		int key_line;
		bool has_key;
	} open[DEPTH];
	size_t depth;
};

static enum rc bad(struct builder *b, int line, const char *what)
{
	return err_set(b->e, RC_INVALID, "%s:%d: %s", b->doc->name, line, what);
}

static enum rc out_of_room(struct builder *b)
{
	return err_set(b->e, RC_LIMIT, "%s: out of memory", b->doc->name);
}

static int by_key(const void *a, const void *b)
{
	const struct yaml *x = *(const struct yaml *const *)a, *y = *(const struct yaml *const *)b;
	size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
	int cmp = memcmp(x->key.ptr, y->key.ptr, n);

	if (cmp == 0)
		cmp = (x->key.len > y->key.len) - (x->key.len < y->key.len);
	return cmp != 0 ? cmp : (x->line > y->line) - (x->line < y->line);
}

/* Sorted, so that a hostile file of many keys costs no square. */
static enum rc refuse_duplicates(struct builder *b, const struct yaml *map)
{
	const struct yaml **all = arena_array(b->doc->arena, map->count, sizeof(struct yaml *));
	size_t n = 0;

	if (all == NULL)
		return out_of_room(b);
	for (const struct yaml *k = map->child; k != NULL; k = k->next)
		all[n++] = k;
	qsort((void *)all, n, sizeof(all[0]), by_key);
	for (size_t i = 1; i < n; i++)
		if (slice_eq(all[i - 1]->key, all[i]->key))
			return err_set(b->e, RC_INVALID,
				"%s:%d: \"%.*s\" was given before, in line %d", b->doc->name,
				all[i]->line, (int)all[i]->key.len, all[i]->key.ptr,
				all[i - 1]->line);
	return RC_OK;
}

/* Hangs a new node where it belongs; *out stays open for its children. */
static enum rc attach(struct builder *b, enum yaml_kind kind, int line, struct yaml **out)
{
	struct yaml *n = arena_alloc(b->doc->arena, sizeof(*n));
	struct open_node *top = b->depth > 0 ? &b->open[b->depth - 1] : NULL;

	if (n == NULL)
		return out_of_room(b);
	n->kind = kind;
	n->line = line;
	n->value = SLICE("");
	n->key = SLICE("");
	if (top == NULL) {
		b->doc->root = n;
	} else {
		if (top->node->kind == YAML_MAP) {
			n->key = top->key;
			n->line = top->key_line;
			top->has_key = false;
		}
		*top->tail = n;
		top->tail = &n->next;
		top->node->count++;
	}
	*out = n;
	return RC_OK;
}

static enum rc on_scalar(struct builder *b, const yaml_event_t *ev, int line)
{
	struct slice text = slice_of((const char *)ev->data.scalar.value, ev->data.scalar.length);
	struct slice copy = arena_copy(b->doc->arena, text);
	struct open_node *top = b->depth > 0 ? &b->open[b->depth - 1] : NULL;
	struct yaml *n;
	enum rc rc;

	if (copy.ptr == NULL)
		return out_of_room(b);
	if (top != NULL && top->node->kind == YAML_MAP && !top->has_key) {
		if (memchr(text.ptr, '\0', text.len) != NULL)
			return bad(b, line, "a NUL in a key");
		top->key = copy;
		top->key_line = line;
		top->has_key = true;
		return RC_OK;
	}
	if (memchr(text.ptr, '\0', text.len) != NULL)
		return bad(b, line, "a NUL in a value");
	rc = attach(b, YAML_SCALAR, line, &n);
	if (rc != RC_OK)
		return rc;
	n->value = copy;
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return RC_OK;
}

static enum rc on_open(struct builder *b, enum yaml_kind kind, int line)
{
	struct open_node *top = b->depth > 0 ? &b->open[b->depth - 1] : NULL;
	struct yaml *n;
	enum rc rc;

	if (b->depth == DEPTH)
		return bad(b, line, "nested too deep");
	if (top != NULL && top->node->kind == YAML_MAP && !top->has_key)
		return bad(b, line, "a key must be a plain word");
	rc = attach(b, kind, line, &n);
	if (rc == RC_OK)
		b->open[b->depth++] = (struct open_node){.node = n, .tail = &n->child};
	return rc;
}

static enum rc on_close(struct builder *b)
{
	const struct yaml *n = b->open[--b->depth].node;

	return n->kind == YAML_MAP && n->count > 1 ? refuse_duplicates(b, n) : RC_OK;
}

static enum rc on_event(struct builder *b, const yaml_event_t *ev)
{
	int line = (int)ev->start_mark.line + 1;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return bad(b, line, "an alias (*name) is not understood here");
	case YAML_SCALAR_EVENT:
		if (ev->data.scalar.anchor != NULL || ev->data.scalar.tag != NULL)
			return bad(b, line,
				"anchors (&name) and tags (!name) are not understood here");
		return on_scalar(b, ev, line);
	case YAML_SEQUENCE_START_EVENT:
		if (ev->data.sequence_start.anchor != NULL || ev->data.sequence_start.tag != NULL)
			return bad(b, line,
				"anchors (&name) and tags (!name) are not understood here");
		return on_open(b, YAML_LIST, line);
	case YAML_MAPPING_START_EVENT:
		if (ev->data.mapping_start.anchor != NULL || ev->data.mapping_start.tag != NULL)
			return bad(b, line,
				"anchors (&name) and tags (!name) are not understood here");
		return on_open(b, YAML_MAP, line);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(b);
	case YAML_DOCUMENT_START_EVENT:
		if (b->doc->root != NULL)
			return bad(b, line, "a second document begins; one file is one document");
		return RC_OK;
	default:
		return RC_OK;
	}
}

static enum rc build(struct builder *b, yaml_parser_t *parser)
{
	for (;;) {
		yaml_event_t ev;
		yaml_event_type_t type;
		enum rc rc;

		if (yaml_parser_parse(parser, &ev) == 0) {
			int line = (int)parser->problem_mark.line + 1;

			if (parser->error == YAML_MEMORY_ERROR)
				return out_of_room(b);
			if (parser->error == YAML_READER_ERROR)
				return err_set(b->e, RC_INVALID, "%s: byte %zu: %s", b->doc->name,
					parser->problem_offset, parser->problem);
			return bad(b, line, parser->problem != NULL ? parser->problem : "not YAML");
		}
		type = ev.type;
		rc = on_event(b, &ev);
		yaml_event_delete(&ev);
		if (rc != RC_OK || type == YAML_STREAM_END_EVENT)
			return rc;
	}
}

void yaml_free(struct yaml_doc *d)
{
	if (d == NULL)
		return;
	arena_free(d->arena);
	free(d);
}

enum rc yaml_parse(const char *name, struct slice text, struct yaml_doc **out, struct err *e)
{
	OWN(yaml_free) struct yaml_doc *d = calloc(1, sizeof(*d));
	struct builder b = {.doc = d, .e = e};
	yaml_parser_t parser;
	struct yaml *n;
	size_t room;
	enum rc rc;

	/* the densest file, "[a,a,…", makes one node and one copy of every two bytes */
	if (d == NULL || __builtin_mul_overflow(text.len, (size_t)128, &room) ||
		__builtin_add_overflow(room, (size_t)65536, &room) ||
		(d->arena = arena_new(room)) == NULL)
		return err_set(e, RC_LIMIT, "%s: out of memory", name);
	d->name = arena_copy(d->arena, slice_str(name)).ptr;
	if (d->name == NULL || yaml_parser_initialize(&parser) == 0)
		return err_set(e, RC_LIMIT, "%s: out of memory", name);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&parser, (const unsigned char *)(text.len > 0 ? text.ptr : ""), text.len);
	rc = build(&b, &parser);
	yaml_parser_delete(&parser);
	if (rc == RC_OK && d->root == NULL) /* nothing but comments: a map without keys */
		rc = attach(&b, YAML_MAP, 1, &n);
	if (rc == RC_OK)
		*out = TAKE(d);
	return rc;
}

enum rc yaml_load(const char *path, size_t cap_bytes, struct yaml_doc **out, struct err *e)
{
	BUF_OWN struct buf text;
	enum rc rc;

	buf_init(&text, cap_bytes);
	rc = file_read(path, false, &text, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		rc = RC_INVALID;
	return rc == RC_OK ? yaml_parse(path, buf_slice(&text), out, e) : rc;
}

const struct yaml *yaml_root(const struct yaml_doc *d)
{
	return d->root;
}

const char *yaml_name(const struct yaml_doc *d)
{
	return d->name;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	struct slice want = slice_str(key);

	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *n = map->child; n != NULL; n = n->next)
		if (slice_eq(n->key, want))
			return n;
	return NULL;
}

const struct yaml *yaml_need(
	const struct yaml *map, const char *file, const char *key, struct complaints *c)
{
	const struct yaml *n = yaml_get(map, key);

	if (n == NULL)
		complain(c, file, map != NULL ? map->line : 0, "\"%s\" is missing", key);
	return n;
}

/* "\"weight\" must be …" for a map's child, "must be …" for an item of a list. */
static bool wrong(const struct yaml *n, const char *file, struct complaints *c, const char *want)
{
	if (n == NULL)
		complain(c, file, 0, "a value is missing; it must be %s", want);
	else if (n->kind != YAML_SCALAR)
		complain(c, file, n->line, "%s%.*s%smust be %s, not a %s",
			n->key.len > 0 ? "\"" : "", (int)n->key.len, n->key.ptr,
			n->key.len > 0 ? "\" " : "", want, n->kind == YAML_LIST ? "list" : "map");
	else
		complain(c, file, n->line, "%s%.*s%smust be %s, not \"%.*s\"",
			n->key.len > 0 ? "\"" : "", (int)n->key.len, n->key.ptr,
			n->key.len > 0 ? "\" " : "", want,
			(int)(n->value.len < 100 ? n->value.len : 100), n->value.ptr);
	return false;
}

bool yaml_int(const struct yaml *n, const char *file, int64_t min, int64_t max, int64_t *out,
	struct complaints *c)
{
	char want[96];
	int64_t v;

	(void)snprintf(want, sizeof(want), "a whole number from %lld to %lld", (long long)min,
		(long long)max);
	if (n == NULL || n->kind != YAML_SCALAR || slice_i64(n->value, &v) != RC_OK || v < min ||
		v > max)
		return wrong(n, file, c, want);
	*out = v;
	return true;
}

enum rc yaml_as_real(struct slice s, double *out)
{
	char text[64], *end;
	double v;

	if (s.len == 0 || s.len >= sizeof(text))
		return RC_INVALID;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	/* decimal only: strtod also takes blanks, hexadecimal, inf and nan */
	if (text[strspn(text, "0123456789+-.eE")] != '\0' || text[0] == '+')
		return RC_INVALID;
	v = strtod(text, &end);
	if (*end != '\0' || end == text || !isfinite(v))
		return RC_INVALID;
	*out = v;
	return RC_OK;
}

bool yaml_real(const struct yaml *n, const char *file, double min, double max, double *out,
	struct complaints *c)
{
	char want[96];
	double v;

	(void)snprintf(want, sizeof(want), "a number from %g to %g", min, max);
	if (n == NULL || n->kind != YAML_SCALAR || yaml_as_real(n->value, &v) != RC_OK || v < min ||
		v > max)
		return wrong(n, file, c, want);
	*out = v;
	return true;
}

enum rc yaml_as_bool(struct slice s, bool *out)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq(s, slice_str(words[i]))) {
			*out = i % 2 == 1;
			return RC_OK;
		}
	}
	return RC_INVALID;
}

bool yaml_bool(const struct yaml *n, const char *file, bool *out, struct complaints *c)
{
	if (n == NULL || n->kind != YAML_SCALAR || yaml_as_bool(n->value, out) != RC_OK)
		return wrong(n, file, c, "true or false");
	return true;
}

enum rc yaml_as_span_s(struct slice s, int64_t *out)
{
	int64_t v, unit = 1;

	if (s.len > 0) {
		switch (s.ptr[s.len - 1]) {
		case 's':
			s.len--;
			break;
		case 'm':
			unit = 60;
			s.len--;
			break;
		case 'h':
			unit = 3600;
			s.len--;
			break;
		case 'd':
			unit = 86400;
			s.len--;
			break;
		default:
			break;
		}
	}
	if (slice_i64(s, &v) != RC_OK || v < 0 || __builtin_mul_overflow(v, unit, &v))
		return RC_INVALID;
	*out = v;
	return RC_OK;
}

bool yaml_span_s(const struct yaml *n, const char *file, int64_t *out, struct complaints *c)
{
	if (n == NULL || n->kind != YAML_SCALAR || yaml_as_span_s(n->value, out) != RC_OK)
		return wrong(n, file, c, "a span of time such as 90s, 15m, 24h or 7d");
	return true;
}

bool yaml_only(
	const struct yaml *map, const char *file, const char *const *keys, struct complaints *c)
{
	bool ok = true;

	if (map == NULL || map->kind != YAML_MAP)
		return wrong(map, file, c, "a map of keys and values");
	for (const struct yaml *n = map->child; n != NULL; n = n->next) {
		bool known = false;

		for (const char *const *k = keys; *k != NULL && !known; k++)
			known = slice_eq(n->key, slice_str(*k));
		if (!known)
			complain(c, file, n->line, "\"%.*s\" is not known here", (int)n->key.len,
				n->key.ptr);
		ok = ok && known;
	}
	return ok;
}
