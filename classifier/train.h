/* Private to the room: labelled texts (train_tsv.c), families of near-doubles (train_family.c), the solver (train_solve.c), and what makes a
 * model of them (train.c). Evaluation is eval.h. Everything is deterministic: no clock, no randomness but hashes of the texts. */
#pragma once

#include "classifier/model.h"

struct text {
	enum label label; /* never NONE */
	struct slice raw, folded;
	struct slice lang, source; /* "" when the file has no such column */
	uint32_t family;           /* number of its first member */
	bool always;               /* learnt from, never tested */
	const char *file;
	int line;
	uint64_t key; /* hash of the normalised text: doubles have the same */
};
struct texts {
	struct text *at;
	size_t n, room;
	size_t doubles, conflicts,
		empty; /* left out: same text; of them with another label; no text */
	const struct fold_table *fold; /* the pack's */
	struct arena **arena;          /* one a file */
	size_t arenas;
	struct arena *scratch;
};

/* The bytes of one file; texts_add reads it first. */
MUST_USE enum rc texts_parse(struct texts *t, const char *path, struct slice all, bool always,
	struct complaints *c, struct err *e);
/* Gives every text its family: character 5-grams of the folded text without the value of digits, Jaccard 0.5. RC_RETRY: out of memory. */
MUST_USE enum rc families_find(struct texts *t, struct err *e);
/* The fold of K in which a text is tested; the same for its whole family. */
size_t text_fold(const struct texts *t, const struct text *x, size_t k);

/* ---- the solver ---- */

/* Examples as sparse rows: the columns of row i are col[start[i]] … col[start[i + 1]], the first words[i] of them in the first block; the
 * value of column c in block k of row i is value[c] * scale[i][k], so that each block has the length 1. */
struct rows {
	size_t n, cols;
	size_t *start;
	uint32_t *col, *words;
	double (*scale)[2];
	float *value;
};
/* L2-regularised logistic regression by dual coordinate descent: minimises |w|^2 / 2 + sum over the chosen rows of cost[i] * ln(1 + exp(-y[i] *
 * w·x[i])). Rows with cost 0 take no part. w has cols entries, bias is one more coordinate of value 1. RC_RETRY: out of memory. */
MUST_USE enum rc solve(const struct rows *r, const double *cost, const int8_t *y, double *w,
	double *bias, struct err *e);
double row_dot(const struct rows *r, size_t i, const double *w);
/* Platt: a and b that make 1 / (1 + exp(-(a * x + b))) the weighted share of positives. */
void platt(const double *x, const int8_t *y, const double *weight, size_t n, double *a, double *b);

/* ---- a model of texts ---- */

/* The features of all texts, worked out once for many trainings. */
struct bag {
	const struct texts *t;
	unsigned bits;
	struct rows all;    /* columns are buckets */
	size_t *word_start; /* words of text i: word[word_start[i]] … */
	uint64_t *word;
};
MUST_USE enum rc bag_new(const struct texts *t, unsigned bits, struct bag **out, struct err *e);
void bag_free(struct bag *b);
OWNER(bag_free, struct bag);
/* learn[i]: text i takes part. Writes a whole model file. RC_INVALID: a class is missing. evidence (may be NULL) has room for every text: of
 * those that learn, the calibrated evidence out of fold, before gate and cap. */
MUST_USE enum rc bag_train(const struct bag *b, const bool *learn, const struct train_options *o,
	double *evidence, struct buf *out, struct err *e);
/* What the evidence out of fold says of the texts, where one in ten is spam or scam. */
void train_report(const struct texts *t, const double *evidence, struct buf *out);
