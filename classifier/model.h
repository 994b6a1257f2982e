/* Private to the room: the token model, from the folded text to features (model_features.c), from features to evidence (model.c), and its
 * file (model_file.c). The exact definitions are in docs/model.md. Training is train.h. */
#pragma once

#include "classifier/classifier.h"

#define MODEL_TEXT 4096 /* bytes of the folded text that are looked at */
#define MODEL_FEATURES (12 * MODEL_TEXT + 16)
#define MODEL_WORDS (MODEL_TEXT + 1)
#define MODEL_BITS_MIN 10
#define MODEL_BITS_MAX 22
#define MODEL_HEAD 1024 /* bytes of the file before the first bank */
#define MODEL_MAGIC "khien-m1"

/* ---- features ---- */

struct model_word {
	uint64_t hash;     /* of the word alone: says whether training has seen it */
	uint32_t at;       /* where it begins in norm, a blank before and after it */
	uint16_t from, to; /* where in the folded text */
};
/* What a text is to the model. Each bucket stands once in its block. */
struct features {
	struct model_word word[MODEL_WORDS + 1]; /* and an end */
	size_t words;
	uint32_t bucket
		[MODEL_FEATURES]; /* first the block of words and pairs, then the block of parts of words */
	uint16_t owner[MODEL_FEATURES]; /* of a verdict: the word that brings it */
	size_t of_words, all;
	int64_t moved[MODEL_WORDS][2]; /* of a verdict: what each word brought, in each block */
	char norm[3 * MODEL_TEXT + 4]; /* all words in a row, one blank between */
	size_t norm_len;
	uint32_t table[4 * MODEL_FEATURES]; /* what was met already */
};
/* Cuts the folded text into features with 2^bits buckets. Linear. */
void features_of(struct slice folded, unsigned bits, struct features *out);

struct model_bank;
/* One block of a text's features as a bank sees them: the square of the vector's length, and a sum for each head. */
struct block_sums {
	uint64_t square;
	int64_t sum[2];
};
/* The words alone: out->word and out->norm. */
void features_words(struct slice folded, struct features *out);
/* After features_words, the same features as features_of without keeping them: only those that the bank has weights for are looked at. */
void features_weigh(
	struct features *f, const struct model_bank *m, unsigned bits, struct block_sums out[2]);

/* ---- the model ---- */

enum model_head { HEAD_BAD, HEAD_SCAM }; /* spam or scam against ham; scam against spam */
#define MODEL_HEADS 2
#define MODEL_BANKS 8

struct model_cell {
	int8_t weight[MODEL_HEADS];
	uint8_t rare; /* how rare the feature is, the value that it has in a text; 0: training did not meet it often enough, it is left out */
	uint8_t zero;
};
/* What was learnt of one language. A text is judged by the bank that knows most of its words. */
struct model_bank {
	char lang[8];
	double bias[MODEL_HEADS], unit[MODEL_HEADS];
	double known_none,
		known_all; /* share of known words at which it says nothing, and says all */
	double words_all;  /* known words from which it says all */
	double cap;        /* of the evidence, either way */
	double share_bad,
		share_ham; /* of the evidence that goes into a verdict beside the rules, which speak of the same words */
	const uint8_t *seen;           /* 2^seen_bits bits */
	const struct model_cell *cell; /* 2^bits */
};
struct model {
	uint32_t bits, seen_bits, banks;
	char version[40];
	struct model_bank bank[MODEL_BANKS];
	uint8_t hash[SHA256_LEN];
	void *map; /* the file; NULL: somebody else's memory */
	size_t map_len;
};

struct model_said {
	double alone; /* log odds that it is spam or scam rather than ham, after the gate and the cap; 0 is "not sure" */
	double bad;       /* what of it goes into a verdict */
	double scam;      /* 0..1: which part of a positive one speaks of scam */
	double known;     /* share of words that the bank has seen */
	const char *lang; /* of the bank; "" when none knows the text */
	double gate;      /* 0..1 */
	size_t from,
		to; /* the words of the folded text that moved it most its way; empty when it says nothing */
};
/* Pure; f is scratch. */
void model_judge(
	const struct model *m, struct slice folded, struct features *f, struct model_said *out);

/* ---- the file ---- */

/* Reads head and checks of a whole file in memory; out borrows. RC_INVALID says what is wrong with it. */
MUST_USE enum rc model_parse(struct slice file, struct model *out, struct err *e);
/* Writes a whole file of a model that stands in memory; its hash and map are not looked at. RC_RETRY: out of memory. */
MUST_USE enum rc model_format(const struct model *m, struct buf *out, struct err *e);

static inline bool model_seen(const uint8_t *seen, unsigned seen_bits, uint64_t hash)
{
	uint64_t i = hash >> (64 - seen_bits);

	return (seen[i / 8] >> (i % 8) & 1) != 0;
}
