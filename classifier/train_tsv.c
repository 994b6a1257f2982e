/* Labelled texts from TSV files: UTF-8, a header line, one text a line, no quoting. Exact doubles (as folded, without digits and signs) are
 * kept once. Every bad line is complained about with file and line. */
#include <stdlib.h>

#include "classifier/fold.h"
#include "classifier/rules.h"
#include "classifier/train.h"

#define COLUMNS 32
#define TEXTS_MAX 500000
#define GROWTH 160 /* a text and its folded copy, cut, against the bytes of its line, at most */

enum rc texts_new(const struct pack *p, struct texts **out, struct err *e)
{
	OWN(texts_free) struct texts *t = calloc(1, sizeof(*t));

	if (t == NULL ||
		(t->scratch = arena_new((size_t)BOUND_CONTENT * FOLD_GROWTH * 25 + 65536)) == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	t->fold = p->fold;
	*out = TAKE(t);
	return RC_OK;
}

void texts_free(struct texts *t)
{
	if (t == NULL)
		return;
	free(t->at);
	for (size_t i = 0; i < t->arenas; i++)
		arena_free(t->arena[i]);
	free(t->arena);
	arena_free(t->scratch);
	free(t);
}

size_t texts_count(const struct texts *t)
{
	return t->n;
}

struct columns {
	int label, text, lang, source;
	size_t n;
};

static const char *read_header(struct slice line, struct columns *out)
{
	struct columns c = {-1, -1, -1, -1, 0};
	const struct {
		struct slice name;
		int *at;
	} known[] = {{SLICE("label"), &c.label}, {SLICE("text"), &c.text}, {SLICE("lang"), &c.lang},
		{SLICE("source"), &c.source}};

	for (struct slice field; slice_cut(&line, '\t', &field); c.n++)
		for (size_t i = 0; i < ARRAY_LEN(known); i++) {
			if (!slice_eq(field, known[i].name))
				continue;
			if (*known[i].at >= 0)
				return "a column stands twice in the header";
			*known[i].at = (int)c.n;
		}
	if (c.label < 0 || c.text < 0)
		return "the header line needs the columns label and text, separated by TAB";
	if (c.n > COLUMNS)
		return "more than 32 columns";
	*out = c;
	return NULL;
}

static const char *read_row(const struct columns *c, struct slice line, struct text *x)
{
	struct slice field[COLUMNS] = {0};
	size_t n = 0;

	if (!slice_utf8_valid(line))
		return "not UTF-8";
	if (memchr(line.ptr, '\0', line.len) != NULL)
		return "a NUL byte";
	for (struct slice rest = line; n < COLUMNS; n++) {
		const char *tab = memchr(rest.ptr, '\t', rest.len);

		field[n] = slice_of(rest.ptr, tab != NULL ? (size_t)(tab - rest.ptr) : rest.len);
		if (tab == NULL) {
			n++;
			break;
		}
		rest = slice_of(tab + 1, rest.len - field[n].len - 1);
	}
	if (n != c->n)
		return "not as many columns as the header";
	if (!label_parse(slice_trim(field[c->label]), &x->label) || x->label == LABEL_NONE)
		return "the label is none of ham, spam, scam";
	x->raw = slice_trim(field[c->text]);
	x->lang = c->lang >= 0 ? slice_trim(field[c->lang]) : SLICE("");
	for (size_t i = 0; i < x->lang.len; i++)
		if (x->lang.len > 7 || x->lang.ptr[i] < 'a' || x->lang.ptr[i] > 'z')
			return "the language is not at most 7 of a-z";
	x->source = c->source >= 0 ? slice_trim(field[c->source]) : SLICE("");
	return NULL;
}

/* Over letters alone: what differs in digits, signs and blanks only is the same text. */
static uint64_t key_of(struct slice folded)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < folded.len; i++) {
		unsigned char c = (unsigned char)folded.ptr[i];

		if ((c >= 'a' && c <= 'z') || c >= 0x80)
			h = (h ^ c) * UINT64_C(0x100000001b3);
	}
	return h;
}

static enum rc keep(struct texts *t, struct arena *a, struct text *x, struct err *e)
{
	struct folded f;

	arena_reset(t->scratch);
	if (fold(t->fold, x->raw, t->scratch, &f) != RC_OK)
		return err_set(e, RC_RETRY, "out of memory");
	if (f.text.len == 0) {
		t->empty++;
		return RC_OK;
	}
	f.text.len = f.text.len < MODEL_TEXT ? f.text.len : MODEL_TEXT;
	x->folded = arena_copy(a, f.text);
	x->raw = arena_copy(a, x->raw);
	x->lang = arena_copy(a, x->lang);
	x->source = arena_copy(a, x->source);
	x->key = key_of(x->folded);
	if (t->n == t->room) {
		size_t room = t->room * 2 + 1024;
		struct text *at = reallocarray(t->at, room, sizeof(*at));

		if (at == NULL)
			return err_set(e, RC_RETRY, "out of memory");
		t->at = at;
		t->room = room;
	}
	if (x->folded.ptr == NULL || x->raw.ptr == NULL || x->lang.ptr == NULL ||
		x->source.ptr == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	t->at[t->n++] = *x;
	return RC_OK;
}

/* Memory for one more file. */
static struct arena *arena_for(struct texts *t, size_t len)
{
	struct arena **more = reallocarray(t->arena, t->arenas + 1, sizeof(*more));
	struct arena *a;

	if (more == NULL)
		return NULL;
	t->arena = more;
	a = arena_new(len * GROWTH + 65536);
	if (a != NULL)
		t->arena[t->arenas++] = a;
	return a;
}

enum rc texts_parse(struct texts *t, const char *path, struct slice all, bool always,
	struct complaints *c, struct err *e)
{
	struct arena *a = arena_for(t, all.len);
	char *name = a != NULL ? arena_fmt(a, "%s", path) : NULL;
	struct columns columns;
	struct slice line;
	const char *wrong;
	size_t before = c->count;
	int number = 1;

	if (name == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (slice_starts(all, SLICE("\xEF\xBB\xBF")))
		all = slice_of(all.ptr + 3, all.len - 3);
	wrong = slice_line(&all, &line) ? read_header(line, &columns) : "no header line";
	if (wrong != NULL) {
		complain(c, path, 1, "%s", wrong);
		return err_set(e, RC_INVALID, "%s:1: %s", path, wrong);
	}
	while (slice_line(&all, &line)) {
		struct text x = {.always = always, .file = name, .line = ++number};

		if (line.len == 0)
			continue;
		wrong = t->n >= TEXTS_MAX ? "more than 500,000 texts"
					  : read_row(&columns, line, &x);
		if (wrong != NULL) {
			complain(c, path, number, "%s", wrong);
			continue;
		}
		enum rc rc = keep(t, a, &x, e);
		if (rc != RC_OK)
			return rc;
	}
	return c->count == before
		? RC_OK
		: err_set(e, RC_INVALID, "%s: %zu bad lines", path, c->count - before);
}

enum rc texts_add(
	struct texts *t, const char *path, bool always, struct complaints *c, struct err *e)
{
	BUF_OWN struct buf all;

	buf_init(&all, (size_t)1 << 30);
	enum rc rc = file_read(path, false, &all, e);
	return rc == RC_OK ? texts_parse(t, path, buf_slice(&all), always, c, e) : rc;
}

/* ---- doubles ---- */

static int by_key(const void *a, const void *b)
{
	const struct text *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->line != y->line ? (x->line < y->line ? -1 : 1) : strcmp(x->file, y->file);
}

static int by_place(const void *a, const void *b)
{
	const struct text *x = a, *y = b;
	int d = strcmp(x->file, y->file);

	return d != 0 ? d : x->line < y->line ? -1 : x->line > y->line;
}

enum rc texts_settle(struct texts *t, struct err *e)
{
	size_t n = 0;

	if (t->n == 0)
		return RC_OK;
	qsort(t->at, t->n, sizeof(*t->at), by_key);
	for (size_t i = 0; i < t->n; i++) {
		if (n > 0 && t->at[n - 1].key == t->at[i].key) {
			t->doubles++;
			t->conflicts += t->at[n - 1].label != t->at[i].label;
			continue;
		}
		t->at[n++] = t->at[i];
	}
	t->n = n;
	qsort(t->at, t->n, sizeof(*t->at), by_place);
	return families_find(t, e);
}
