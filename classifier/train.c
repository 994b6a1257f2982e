/* From labelled texts to a model file: features, weights of texts, two regressions, calibration on texts left out, whole numbers. The formulas are
 * docs/model.md section 2. Leaves out reading texts and writing files. */
#include "classifier/train.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLDS 4        /* of the calibration */
#define FAMILIES_MIN 2 /* a feature or word of fewer families is left out */
#define SEEN_BITS 18
#define KNOWN_NONE 0.25
#define KNOWN_ALL 0.70
#define WORDS_ALL 4
#define CAP 6
/* A language of which few texts of spam and scam were received (those of --with are not counted) cannot condemn a text without the rules. */
#define FEW_BAD 150
#define CAP_FEW 3
#define SHARE_BAD 0.7
/* Where no rules speak of the same words, nothing is said twice. */
#define SHARE_BAD_ALONE 0.8
#define SHARE_HAM 0.3
#define SIDE_MIN 20 /* texts of ham, and of spam and scam, that a language needs */
#define REAL_MIN 20

void bag_free(struct bag *b)
{
	if (b == NULL)
		return;
	free(b->all.start);
	free(b->all.col);
	free(b->all.words);
	free(b->word_start);
	free(b->word);
	free(b);
}

static bool grow(void **at, size_t *room, size_t need, size_t size)
{
	if (need <= *room)
		return true;
	size_t more = *room * 2 + need;
	void *p = reallocarray(*at, more, size);

	if (p == NULL)
		return false;
	*at = p;
	*room = more;
	return true;
}

static bool fill(struct bag *b, struct features *f)
{
	const struct texts *t = b->t;
	size_t cols = 0, words = 0;

	for (size_t i = 0; i < t->n; i++) {
		size_t at = b->all.start[i], w = b->word_start[i];

		features_of(t->at[i].folded, b->bits, f);
		if (!grow((void **)&b->all.col, &cols, at + f->all, sizeof(*b->all.col)) ||
			!grow((void **)&b->word, &words, w + f->words, sizeof(*b->word)))
			return false;
		memcpy(b->all.col + at, f->bucket, f->all * sizeof(*f->bucket));
		for (size_t k = 0; k < f->words; k++)
			b->word[w + k] = f->word[k].hash;
		b->all.words[i] = (uint32_t)f->of_words;
		b->all.start[i + 1] = at + f->all;
		b->word_start[i + 1] = w + f->words;
	}
	return true;
}

enum rc bag_new(const struct texts *t, unsigned bits, struct bag **out, struct err *e)
{
	OWN(bag_free) struct bag *b = calloc(1, sizeof(*b));
	struct features *f = malloc(sizeof(*f));
	bool ok = b != NULL && f != NULL;

	if (ok) {
		*b = (struct bag){
			.t = t, .bits = bits, .all = {.n = t->n, .cols = (size_t)1 << bits}};
		b->all.start = calloc(t->n + 1, sizeof(*b->all.start));
		b->all.words = calloc(t->n + 1, sizeof(*b->all.words));
		b->word_start = calloc(t->n + 1, sizeof(*b->word_start));
		ok = b->all.start != NULL && b->all.words != NULL && b->word_start != NULL &&
			fill(b, f);
	}
	free(f);
	if (!ok)
		return err_set(e, RC_RETRY, "out of memory");
	*out = TAKE(b);
	return RC_OK;
}

/* ---- what is common enough to learn ---- */

/* For every bucket its column among those that at least FAMILIES_MIN families of the learners have, else UINT32_MAX; and how rare it is, as a
 * whole number of sixteenths. Answers how many columns. */
static size_t number_columns(
	const struct bag *b, const bool *learn, uint32_t *column, uint8_t *rare)
{
	size_t n = 0, cols = b->all.cols, families = 0;
	uint32_t *last = malloc(cols * sizeof(*last)), *count = calloc(cols, sizeof(*count));

	if (last == NULL || count == NULL) {
		free(last);
		free(count);
		return 0;
	}
	memset(last, 0xFF, cols * sizeof(*last));
	for (size_t i = 0; i < b->all.n; i++) {
		families += learn[i] && b->t->at[i].family == i;
		for (size_t k = b->all.start[i]; learn[i] && k < b->all.start[i + 1]; k++) {
			uint32_t bucket = b->all.col[k], family = b->t->at[i].family;

			count[bucket] += last[bucket] != family;
			last[bucket] = family;
		}
	}
	for (size_t c = 0; c < cols; c++) {
		column[c] = UINT32_MAX;
		rare[c] = 0;
		if (count[c] < FAMILIES_MIN)
			continue;
		double idf = 16 * (1 + log((double)(families + 1) / (double)(count[c] + 1)));

		column[c] = (uint32_t)n++;
		rare[c] = (uint8_t)lrint(idf < 1 ? 1 : idf > 255 ? 255 : idf);
	}
	free(last);
	free(count);
	return n;
}

static int slice_cmp(struct slice a, struct slice b)
{
	int d = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return d != 0 ? d : a.len < b.len ? -1 : a.len > b.len;
}

struct sighting {
	uint64_t word;
	uint32_t family;
};

static int by_word(const void *a, const void *b)
{
	const struct sighting *x = a, *y = b;

	if (x->word != y->word)
		return x->word < y->word ? -1 : 1;
	return x->family < y->family ? -1 : x->family > y->family;
}

static bool mark_seen(const struct bag *b, const bool *learn, uint8_t *seen)
{
	struct sighting *s = malloc((b->word_start[b->all.n] + 1) * sizeof(*s));
	size_t n = 0;

	if (s == NULL)
		return false;
	for (size_t i = 0; i < b->all.n; i++)
		for (size_t k = b->word_start[i]; learn[i] && k < b->word_start[i + 1]; k++)
			s[n++] = (struct sighting){b->word[k], b->t->at[i].family};
	qsort(s, n, sizeof(*s), by_word);
	for (size_t i = 0, k; i < n; i = k) {
		size_t families = 1;

		for (k = i + 1; k < n && s[k].word == s[i].word; k++)
			families += s[k].family != s[k - 1].family;
		uint64_t bit = s[i].word >> (64 - SEEN_BITS);
		if (families >= FAMILIES_MIN)
			seen[bit / 8] = (uint8_t)(seen[bit / 8] | 1u << bit % 8);
	}
	free(s);
	return true;
}

/* ---- one training ---- */

struct job {
	const struct bag *b;
	const bool *learn;
	uint32_t *column;
	uint8_t *rare; /* by bucket */
	struct rows rows;
	double *cost, *w, *fold_cost, *x;
	int8_t *y;
	double bias, a, c; /* calibrated: a * x + c */
};

static void job_done(struct job *j)
{
	free(j->column);
	free(j->rare);
	free(j->rows.scale);
	free(j->rows.value);
	free(j->rows.start);
	free(j->rows.col);
	free(j->rows.words);
	free(j->cost);
	free(j->w);
	free(j->fold_cost);
	free(j->x);
	free(j->y);
}

static bool job_rows(struct job *j)
{
	const struct rows *all = &j->b->all;
	size_t n = 0;

	j->column = malloc(all->cols * sizeof(*j->column));
	j->rare = malloc(all->cols);
	j->rows = (struct rows){.n = all->n};
	j->rows.scale = calloc(all->n + 1, sizeof(*j->rows.scale));
	j->rows.start = calloc(all->n + 1, sizeof(*j->rows.start));
	j->rows.words = calloc(all->n + 1, sizeof(*j->rows.words));
	j->rows.col = malloc((all->start[all->n] + 1) * sizeof(*j->rows.col));
	j->cost = calloc(all->n + 1, sizeof(*j->cost));
	j->fold_cost = calloc(all->n + 1, sizeof(*j->cost));
	j->x = calloc(all->n + 1, sizeof(*j->x));
	j->y = calloc(all->n + 1, sizeof(*j->y));
	if (j->column == NULL || j->rare == NULL || j->rows.scale == NULL ||
		j->rows.start == NULL || j->rows.words == NULL || j->rows.col == NULL ||
		j->cost == NULL || j->fold_cost == NULL || j->x == NULL || j->y == NULL)
		return false;
	j->rows.cols = number_columns(j->b, j->learn, j->column, j->rare);
	j->w = malloc((j->rows.cols + 1) * sizeof(*j->w));
	j->rows.value = malloc((j->rows.cols + 1) * sizeof(*j->rows.value));
	if (j->w == NULL || j->rows.value == NULL || j->rows.cols == 0)
		return false;
	for (size_t i = 0; i < all->n; i++) {
		for (size_t k = all->start[i]; k < all->start[i + 1]; k++) {
			uint32_t c = j->column[all->col[k]];
			bool first = k < all->start[i] + all->words[i];

			if (c == UINT32_MAX)
				continue;
			j->rows.words[i] += first;
			j->rows.col[n++] = c;
			j->rows.value[c] = j->rare[all->col[k]];
			j->rows.scale[i][!first] +=
				(double)j->rows.value[c] * (double)j->rows.value[c];
		}
		for (int k = 0; k < 2; k++)
			j->rows.scale[i][k] =
				j->rows.scale[i][k] > 0 ? 1 / sqrt(j->rows.scale[i][k]) : 0;
		j->rows.start[i + 1] = n;
	}
	return true;
}

/* Who is a positive (1), a negative (-1), or has nothing to say (0) to a head. */
static int8_t side(enum label l, enum model_head head)
{
	if (head == HEAD_BAD)
		return l == LABEL_HAM ? -1 : 1;
	return l == LABEL_HAM ? 0 : l == LABEL_SCAM ? 1 : -1;
}

/* Both sides weigh the same together. False: there is only one. */
static bool weigh(struct job *j, enum model_head head)
{
	const struct texts *t = j->b->t;
	size_t n[2] = {0};

	for (size_t i = 0; i < t->n; i++) {
		j->y[i] = j->learn[i] ? side(t->at[i].label, head) : 0;
		n[j->y[i] > 0] += j->y[i] != 0;
	}
	for (size_t i = 0; i < t->n; i++)
		j->cost[i] = j->y[i] == 0 || n[0] == 0 || n[1] == 0
			? 0
			: (double)(n[0] + n[1]) / 2 / (double)n[j->y[i] > 0];
	return n[0] > 0 && n[1] > 0;
}

/* Platt's numbers on texts that were left out, FOLDS times; on those that are tested, when there are enough of them. */
static enum rc calibrate(struct job *j, double cost, struct err *e)
{
	const struct texts *t = j->b->t;
	size_t real[2] = {0};
	enum rc rc = RC_OK;

	for (size_t fold = 0; rc == RC_OK && fold < FOLDS; fold++) {
		for (size_t i = 0; i < t->n; i++)
			j->fold_cost[i] =
				text_fold(t, &t->at[i], FOLDS) != fold ? cost * j->cost[i] : 0;
		rc = solve(&j->rows, j->fold_cost, j->y, j->w, &j->bias, e);
		for (size_t i = 0; rc == RC_OK && i < t->n; i++)
			if (text_fold(t, &t->at[i], FOLDS) == fold)
				j->x[i] = row_dot(&j->rows, i, j->w) + j->bias;
	}
	for (size_t i = 0; i < t->n; i++)
		real[j->y[i] > 0] += j->cost[i] > 0 && !t->at[i].always;
	bool only_real = real[0] >= REAL_MIN && real[1] >= REAL_MIN;
	for (size_t i = 0; i < t->n; i++)
		j->fold_cost[i] = only_real && t->at[i].always ? 0 : j->cost[i];
	if (rc == RC_OK)
		platt(j->x, j->y, j->fold_cost, t->n, &j->a, &j->c);
	return rc;
}

/* Weights as whole numbers of a unit, calibrated. */
static void write_weights(
	const struct job *j, enum model_head head, struct model_bank *s, struct model_cell *cell)
{
	double most = 1e-9;

	for (size_t c = 0; c < j->rows.cols; c++)
		most = fmax(most, fabs(j->w[c]));
	for (size_t bucket = 0; bucket < j->b->all.cols; bucket++)
		if (j->column[bucket] != UINT32_MAX)
			cell[bucket].weight[head] =
				(int8_t)lrint(j->w[j->column[bucket]] / most * 127);
	s->unit[head] = j->a * most / 127;
	s->bias[head] = j->a * j->bias + j->c;
}

static enum rc train_head(struct job *j, enum model_head head, double cost, double *evidence,
	struct model_bank *s, struct model_cell *cell, struct err *e)
{
	size_t n = j->rows.n;

	if (!weigh(j, head)) { /* it says the same of every text: what the training held more of */
		size_t of[2] = {0};

		for (size_t i = 0; i < j->rows.n; i++)
			of[j->y[i] > 0] += j->y[i] != 0;
		s->bias[head] = log((double)(of[1] + 1) / (double)(of[0] + 1));
		return RC_OK;
	}
	enum rc rc = calibrate(j, cost, e);
	for (size_t i = 0; rc == RC_OK && evidence != NULL && i < n; i++)
		if (j->y[i] != 0)
			evidence[i] = j->a * j->x[i] + j->c;
	for (size_t i = 0; i < n; i++)
		j->fold_cost[i] = cost * j->cost[i];
	if (rc == RC_OK)
		rc = solve(&j->rows, j->fold_cost, j->y, j->w, &j->bias, e);
	if (rc == RC_OK)
		write_weights(j, head, s, cell);
	return rc;
}

static bool has_few(const struct bag *b, const bool *learn)
{
	size_t n = 0;

	for (size_t i = 0; i < b->t->n; i++)
		n += learn[i] && b->t->at[i].label != LABEL_HAM && !b->t->at[i].always;
	return n < FEW_BAD;
}

/* The shipped rules speak of these languages. */
static bool has_rules(const char *lang)
{
	return lang[0] == '\0' || strcmp(lang, "vi") == 0 || strcmp(lang, "en") == 0;
}

/* One language. seen and cell are zeroed. */
static enum rc train_bank(const struct bag *b, const bool *learn, double cost, double *evidence,
	struct model_bank *out, uint8_t *seen, struct model_cell *cell, struct err *e)
{
	struct job j = {.b = b, .learn = learn};
	enum rc rc = RC_OK;

	out->known_none = KNOWN_NONE;
	out->known_all = KNOWN_ALL;
	out->words_all = WORDS_ALL;
	out->cap = has_few(b, learn) ? CAP_FEW : CAP;
	out->share_bad = has_rules(out->lang) ? SHARE_BAD : SHARE_BAD_ALONE;
	out->share_ham = SHARE_HAM;
	out->seen = seen;
	out->cell = cell;
	if (!job_rows(&j) || !mark_seen(b, learn, seen))
		rc = err_set(e, RC_RETRY, "out of memory, or no two texts have a word in common");
	if (rc == RC_OK)
		rc = train_head(&j, HEAD_BAD, cost, evidence, out, cell, e);
	if (rc == RC_OK)
		rc = train_head(&j, HEAD_SCAM, cost, NULL, out, cell, e);
	for (size_t c = 0; rc == RC_OK && c < b->all.cols; c++)
		cell[c].rare = j.rare[c];
	job_done(&j);
	return rc;
}

/* The next language, in byte order after *lang, that has texts enough of both sides. False: there is none. */
static bool next_lang(const struct texts *t, const bool *learn, bool first, struct slice *lang)
{
	for (;;) {
		const struct text *best = NULL;
		size_t n[2] = {0};

		for (size_t i = 0; i < t->n; i++)
			if (learn[i] && (first || slice_cmp(t->at[i].lang, *lang) > 0) &&
				(best == NULL || slice_cmp(t->at[i].lang, best->lang) < 0))
				best = &t->at[i];
		if (best == NULL)
			return false;
		*lang = best->lang;
		first = false;
		for (size_t i = 0; i < t->n; i++)
			if (learn[i] && slice_eq(t->at[i].lang, *lang))
				n[t->at[i].label != LABEL_HAM]++;
		if (n[0] >= SIDE_MIN && n[1] >= SIDE_MIN)
			return true;
	}
}

/* Says what there is, by language. */
static enum rc too_few(const struct texts *t, const bool *learn, struct err *e)
{
	char found[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < t->n; i++) {
		size_t n[2] = {0}, k = 0;

		while (k < i && !(learn[k] && slice_eq(t->at[k].lang, t->at[i].lang)))
			k++;
		if (!learn[i] || k < i || len + 40 > sizeof(found))
			continue;
		for (k = i; k < t->n; k++)
			if (learn[k] && slice_eq(t->at[k].lang, t->at[i].lang))
				n[t->at[k].label != LABEL_HAM]++;
		len += (size_t)snprintf(found + len, sizeof(found) - len, "%s %.*s %zu and %zu",
			len > 0 ? "," : "", (int)t->at[i].lang.len, t->at[i].lang.ptr, n[0], n[1]);
	}
	return err_set(e, RC_INVALID,
		"no language has %d texts of ham and %d of spam and scam (texts of the same "
		"letters count "
		"once); there are%s",
		SIDE_MIN, SIDE_MIN, found[0] != '\0' ? found : " none");
}

enum rc bag_train(const struct bag *b, const bool *learn, const struct train_options *o,
	double *evidence, struct buf *out, struct err *e)
{
	struct model m = {.bits = b->bits, .seen_bits = SEEN_BITS};
	size_t cells = b->all.cols, seen_bytes = ((size_t)1 << SEEN_BITS) / 8;
	struct model_cell *cell = calloc(cells * MODEL_BANKS, sizeof(*cell));
	uint8_t *seen = calloc(seen_bytes * MODEL_BANKS, 1);
	bool *of_lang = calloc(b->t->n + 1, sizeof(*of_lang));
	struct slice lang = {0};
	enum rc rc = RC_OK;

	memcpy(m.version, o->version, strnlen(o->version, sizeof(m.version) - 1));
	if (cell == NULL || seen == NULL || of_lang == NULL)
		rc = err_set(e, RC_RETRY, "out of memory");
	while (rc == RC_OK && m.banks < MODEL_BANKS &&
		next_lang(b->t, learn, m.banks == 0, &lang)) {
		struct model_bank *bank = &m.bank[m.banks];

		memcpy(bank->lang, lang.ptr, lang.len);
		for (size_t i = 0; i < b->t->n; i++)
			of_lang[i] = learn[i] && slice_eq(b->t->at[i].lang, lang);
		rc = train_bank(b, of_lang, o->cost, evidence, bank, seen + m.banks * seen_bytes,
			cell + m.banks * cells, e);
		m.banks++;
	}
	if (rc == RC_OK && m.banks == 0)
		rc = too_few(b->t, learn, e);
	if (rc == RC_OK)
		rc = model_format(&m, out, e);
	free(cell);
	free(seen);
	free(of_lang);
	return rc;
}

enum rc model_train(const struct texts *t, const struct train_options *o, struct buf *out,
	struct buf *report, struct err *e)
{
	OWN(bag_free) struct bag *b = NULL;
	bool *learn = calloc(t->n + 1, sizeof(*learn));
	double *evidence = calloc(t->n + 1, sizeof(*evidence));
	enum rc rc = learn != NULL && evidence != NULL ? bag_new(t, o->bits, &b, e)
						       : err_set(e, RC_RETRY, "out of memory");

	for (size_t i = 0; rc == RC_OK && i < t->n; i++)
		learn[i] = true;
	if (rc == RC_OK)
		rc = bag_train(b, learn, o, evidence, out, e);
	if (rc == RC_OK)
		train_report(t, evidence, report);
	free(learn);
	free(evidence);
	return rc;
}
