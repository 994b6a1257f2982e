/* metrics: counters, gauges and histograms in the Prometheus text format. Looking a cell up and adding to it take no lock; only a
 * new family or a new cell does. Nothing is ever freed: what counts has the life of the process. Leaves out summaries, exemplars
 * and pushing. */
#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"

#define FAMILIES 512
#define CELLS 1000
#define SLOTS 2048 /* of the hash table: a power of two, at most half full */
#define LABELS 3
#define LABEL_CAP 128 /* bytes kept of one label value */

static const double bounds_s[] = {
	0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60};

struct histogram {
	_Atomic uint64_t in[ARRAY_LEN(bounds_s) + 1]; /* the last: above all bounds */
};

struct metric_cell {
	_Atomic uint64_t bits; /* a double: the value, or a histogram's sum */
	struct histogram *histogram;
	char *labels; /* as written: topic="a",partition="3" */
	size_t key_len;
	char key[]; /* the values, each followed by a NUL */
};

struct metric {
	enum metric_kind kind;
	const char *name, *help, *label_list;
	const char *label[LABELS]; /* point into the list */
	size_t label_len[LABELS], labels;
	struct metric_cell *_Atomic *slots; /* NULL until the first cell with labels */
	struct metric_cell *all[CELLS + 1]; /* in order of birth; one more for "other" */
	_Atomic size_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *_Atomic families[FAMILIES];
static _Atomic size_t family_count;

/* What is handed out when there is no room or no memory: it counts how often, and nothing else is lost. */
static struct metric_cell overflow_cell = {.labels = (char *)""};
static struct metric overflow = {.kind = METRIC_GAUGE,
	.name = "khien_metrics_overflow",
	.help = "Observations of metrics beyond the bounds of families or memory",
	.all = {&overflow_cell},
	.count = 1};

static uint64_t bits_of(double v)
{
	uint64_t b;

	memcpy(&b, &v, sizeof(b));
	return b;
}

static double double_of(uint64_t b)
{
	double v;

	memcpy(&v, &b, sizeof(v));
	return v;
}

static void add(_Atomic uint64_t *to, double by)
{
	uint64_t old = atomic_load_explicit(to, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		to, &old, bits_of(double_of(old) + by), memory_order_relaxed, memory_order_relaxed))
		;
}

/* ---- families ---- */

static bool name_ok(const char *s)
{
	if (!(*s >= 'a' && *s <= 'z') && *s != '_')
		return false;
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static struct metric *family_find(const char *name)
{
	size_t n = atomic_load_explicit(&family_count, memory_order_acquire);

	for (size_t i = 0; i < n; i++) {
		struct metric *m = atomic_load_explicit(&families[i], memory_order_relaxed);

		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

static struct metric_cell *cell_new(const struct metric *m, const char *key, size_t key_len);

static struct metric *family_new(
	enum metric_kind kind, const char *name, const char *labels, const char *help)
{
	struct metric *m = calloc(1, sizeof(*m));
	struct slice rest, one;

	if (m == NULL || (m->name = strdup(name)) == NULL || (m->help = strdup(help)) == NULL ||
		(m->label_list = strdup(labels)) == NULL)
		return NULL; /* out of memory: what was taken is as good as lost */
	m->kind = kind;
	for (rest = slice_str(m->label_list); slice_cut(&rest, ',', &one);) {
		assert(m->labels < LABELS);
		m->label[m->labels] = one.ptr;
		m->label_len[m->labels++] = one.len;
	}
	if (m->labels == 0) { /* it shows its 0 from the start */
		m->all[0] = cell_new(m, "", 0);
		if (m->all[0] == NULL)
			return NULL;
		m->count = 1;
	}
	return m;
}

struct metric *metric_family(
	enum metric_kind kind, const char *name, const char *labels, const char *help)
{
	struct metric *m = family_find(name);
	size_t n;

	if (m != NULL)
		return m;
	assert(name_ok(name));
	pthread_mutex_lock(&lock);
	m = family_find(name);
	n = atomic_load_explicit(&family_count, memory_order_relaxed);
	if (m == NULL && n < FAMILIES)
		m = family_new(kind, name, labels, help);
	if (m != NULL && family_find(name) == NULL) {
		atomic_store_explicit(&families[n], m, memory_order_relaxed);
		atomic_store_explicit(&family_count, n + 1, memory_order_release);
	}
	pthread_mutex_unlock(&lock);
	return m != NULL ? m : &overflow;
}

/* ---- cells ---- */

static void put_label(struct buf *b, struct slice name, struct slice value)
{
	if (b->len > 0)
		buf_byte(b, ',');
	buf_add(b, name);
	buf_add(b, SLICE("=\""));
	while (value.len > 0) {
		uint32_t cp;
		size_t n = slice_utf8(value, &cp);

		if (n == 0)
			buf_byte(b, '?');
		else if (cp == '\n')
			buf_add(b, SLICE("\\n"));
		else if (cp == '"' || cp == '\\')
			buf_fmt(b, "\\%c", (char)cp);
		else
			buf_add(b, slice_of(value.ptr, n));
		n = n == 0 ? 1 : n;
		value = slice_of(value.ptr + n, value.len - n);
	}
	buf_byte(b, '"');
}

static struct metric_cell *cell_new(const struct metric *m, const char *key, size_t key_len)
{
	struct metric_cell *c = calloc(1, sizeof(*c) + key_len);
	const char *value = key;
	struct buf text;

	if (c == NULL)
		return NULL;
	memcpy(c->key, key, key_len);
	c->key_len = key_len;
	if (m->kind == METRIC_HISTOGRAM &&
		(c->histogram = calloc(1, sizeof(*c->histogram))) == NULL) {
		free(c);
		return NULL;
	}
	buf_init(&text, (size_t)LABELS * LABEL_CAP * 4);
	for (size_t i = 0; i < m->labels; i++) {
		put_label(&text, slice_of(m->label[i], m->label_len[i]), slice_str(value));
		value += strlen(value) + 1;
	}
	buf_add(&text, SLICE(""));
	c->labels = text.ptr;
	if (text.failed || c->labels == NULL) {
		buf_done(&text);
		free(c->histogram);
		free(c);
		return NULL;
	}
	return c;
}

static uint64_t hash_of(const char *key, size_t len)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)key[i]) * UINT64_C(1099511628211);
	return h ^ h >> 29;
}

/* The slot of the key: its cell, or the empty one where it belongs. */
static struct metric_cell *_Atomic *slot_of(
	struct metric_cell *_Atomic *slots, const char *key, size_t len)
{
	for (uint64_t i = hash_of(key, len);; i++) {
		struct metric_cell *_Atomic *s = &slots[i % SLOTS];
		struct metric_cell *c = atomic_load_explicit(s, memory_order_acquire);

		if (c == NULL || (c->key_len == len && memcmp(c->key, key, len) == 0))
			return s;
	}
}

static void append(struct metric *m, struct metric_cell *c)
{
	size_t n = atomic_load_explicit(&m->count, memory_order_relaxed);

	m->all[n] = c;
	atomic_store_explicit(&m->count, n + 1, memory_order_release);
}

static struct metric_cell *cell_add(struct metric *m, const char *key, size_t len)
{
	struct metric_cell *_Atomic *slots = __atomic_load_n(&m->slots, __ATOMIC_RELAXED);
	struct metric_cell *_Atomic *s;
	struct metric_cell *c;

	if (slots == NULL) {
		slots = calloc(SLOTS, sizeof(slots[0]));
		if (slots == NULL)
			return NULL;
		__atomic_store_n(&m->slots, slots, __ATOMIC_RELEASE);
	}
	s = slot_of(slots, key, len);
	c = atomic_load_explicit(s, memory_order_relaxed);
	if (c != NULL)
		return c;
	if (atomic_load_explicit(&m->count, memory_order_relaxed) >= CELLS) {
		key = "other\0other\0other"; /* what comes after the bound shares one cell */
		len = m->labels * 6;
		s = slot_of(slots, key, len);
		c = atomic_load_explicit(s, memory_order_relaxed);
		if (c != NULL)
			return c;
	}
	c = cell_new(m, key, len);
	if (c != NULL) {
		append(m, c);
		atomic_store_explicit(s, c, memory_order_release);
	}
	return c;
}

struct metric_cell *metric_at(struct metric *m, const char *v1, const char *v2, const char *v3)
{
	const char *const v[LABELS] = {v1, v2, v3};
	struct metric_cell *_Atomic *slots;
	struct metric_cell *c = NULL;
	char key[LABELS * LABEL_CAP];
	size_t len = 0;

	if (m->labels == 0)
		return m->all[0];
	for (size_t i = 0; i < m->labels; i++) {
		size_t n = v[i] != NULL ? strnlen(v[i], LABEL_CAP - 1) : 0;

		if (n > 0)
			memcpy(key + len, v[i], n);
		key[len + n] = '\0';
		len += n + 1;
	}
	slots = __atomic_load_n(&m->slots, __ATOMIC_ACQUIRE);
	if (slots != NULL)
		c = atomic_load_explicit(slot_of(slots, key, len), memory_order_acquire);
	if (c == NULL) {
		pthread_mutex_lock(&lock);
		c = cell_add(m, key, len);
		pthread_mutex_unlock(&lock);
	}
	return c != NULL ? c : &overflow_cell;
}

void metric_add(struct metric_cell *c, double by)
{
	add(&c->bits, c == &overflow_cell ? 1 : by);
}

void metric_set(struct metric_cell *c, double value)
{
	if (c == &overflow_cell)
		add(&c->bits, 1);
	else
		atomic_store_explicit(&c->bits, bits_of(value), memory_order_relaxed);
}

void metric_observe(struct metric_cell *c, double seconds)
{
	size_t i = 0;

	if (c->histogram == NULL) {
		metric_add(c, 1);
		return;
	}
	while (i < ARRAY_LEN(bounds_s) && !(seconds <= bounds_s[i]))
		i++;
	atomic_fetch_add_explicit(&c->histogram->in[i], 1, memory_order_relaxed);
	add(&c->bits, seconds);
}

double metric_get(const struct metric_cell *c)
{
	uint64_t n = 0;

	if (c->histogram == NULL)
		return double_of(atomic_load_explicit(&c->bits, memory_order_relaxed));
	for (size_t i = 0; i < ARRAY_LEN(c->histogram->in); i++)
		n += atomic_load_explicit(&c->histogram->in[i], memory_order_relaxed);
	return (double)n;
}

/* ---- the page ---- */

static void put_number(struct buf *out, double v)
{
	if (isnan(v))
		buf_add(out, SLICE("NaN"));
	else if (isinf(v))
		buf_add(out, v > 0 ? SLICE("+Inf") : SLICE("-Inf"));
	else if (fabs(v) < 9007199254740992.0 && v == floor(v))
		buf_fmt(out, "%.0f", v);
	else
		buf_fmt(out, "%.17g", v);
}

static void put_line(
	struct buf *out, const char *name, const char *suffix, const char *labels, double v)
{
	buf_fmt(out, "%s%s", name, suffix);
	if (labels[0] != '\0')
		buf_fmt(out, "{%s}", labels);
	buf_byte(out, ' ');
	put_number(out, v);
	buf_byte(out, '\n');
}

/* The count is the sum of the buckets as they were read, so the line "+Inf" always equals it. */
static void put_histogram(struct buf *out, const char *name, const struct metric_cell *c)
{
	const char *comma = c->labels[0] != '\0' ? "," : "";
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(c->histogram->in); i++) {
		sum += atomic_load_explicit(&c->histogram->in[i], memory_order_relaxed);
		if (i < ARRAY_LEN(bounds_s))
			buf_fmt(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, c->labels, comma,
				bounds_s[i], (unsigned long long)sum);
		else
			buf_fmt(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, c->labels, comma,
				(unsigned long long)sum);
	}
	put_line(out, name, "_sum", c->labels,
		double_of(atomic_load_explicit(&c->bits, memory_order_relaxed)));
	put_line(out, name, "_count", c->labels, (double)sum);
}

static void put_family(struct buf *out, struct metric *m)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	size_t n = atomic_load_explicit(&m->count, memory_order_acquire);

	buf_fmt(out, "# HELP %s ", m->name);
	for (const char *p = m->help; *p != '\0'; p++) {
		if (*p == '\\' || *p == '\n')
			buf_add(out, *p == '\n' ? SLICE("\\n") : SLICE("\\\\"));
		else
			buf_byte(out, *p);
	}
	buf_fmt(out, "\n# TYPE %s %s\n", m->name, kinds[m->kind]);
	for (size_t i = 0; i < n; i++) {
		if (m->kind == METRIC_HISTOGRAM)
			put_histogram(out, m->name, m->all[i]);
		else
			put_line(out, m->name, "", m->all[i]->labels, metric_get(m->all[i]));
	}
}

void metrics_write(struct buf *out)
{
	size_t n = atomic_load_explicit(&family_count, memory_order_acquire);

	for (size_t i = 0; i < n; i++)
		put_family(out, atomic_load_explicit(&families[i], memory_order_relaxed));
	if (metric_get(&overflow_cell) > 0)
		put_family(out, &overflow);
}
