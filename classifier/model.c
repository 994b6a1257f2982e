/* What the token model says of a text: two sums of weights, a gate for texts it does not know, and a cap. A pure function of model and folded
 * text; the model is shared by threads. Leaves out the file and how weights come about. */
#include "classifier/model.h"

#include <math.h>

/* One block of features: the length of its vector, and the two sums. */
struct block {
	double scale; /* 1 / length, 0 when nothing is known */
	int64_t sum[MODEL_HEADS];
};

static struct block look(const struct model_bank *m, const uint32_t *bucket, size_t n)
{
	struct block b = {0};
	uint64_t square = 0;

	for (size_t i = 0; i < n; i++) {
		const struct model_cell *c = &m->cell[bucket[i]];

		square += (uint64_t)c->rare * c->rare;
		b.sum[HEAD_BAD] += c->rare * c->weight[HEAD_BAD];
		b.sum[HEAD_SCAM] += c->rare * c->weight[HEAD_SCAM];
	}
	b.scale = square > 0 ? 1 / sqrt((double)square) : 0;
	return b;
}

static double odds(const struct model_bank *s, const struct block b[2], enum model_head head)
{
	return s->bias[head] +
		s->unit[head] *
		((double)b[0].sum[head] * b[0].scale + (double)b[1].sum[head] * b[1].scale);
}

/* The bank that knows most words; the first of equals. */
static const struct model_bank *best_bank(
	const struct model *m, const struct features *f, size_t *known)
{
	const struct model_bank *best = NULL;

	*known = 0;
	for (size_t k = 0; k < m->banks; k++) {
		size_t n = 0;

		for (size_t i = 0; i < f->words; i++)
			n += model_seen(m->bank[k].seen, m->seen_bits, f->word[i].hash);
		if (n <= *known)
			continue;
		*known = n;
		best = &m->bank[k];
	}
	return best;
}

static double gate_of(const struct model_bank *b, size_t words, size_t known)
{
	double share =
		((double)known / (double)words - b->known_none) / (b->known_all - b->known_none);
	double enough = (double)known / b->words_all;

	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return share * (enough > 1 ? 1 : enough);
}

/* The word whose features moved the sum most in its direction. */
static void strongest(const struct model_bank *m, const struct features *f, const struct block b[2],
	struct model_said *out)
{
	double sum[MODEL_WORDS], sign = out->bad < 0 ? -1 : 1, best = 0;

	memset(sum, 0, f->words * sizeof(*sum));
	for (size_t i = 0; i < f->all; i++) {
		const struct model_cell *c = &m->cell[f->bucket[i]];

		sum[f->owner[i]] +=
			sign * b[i >= f->of_words].scale * (c->rare * c->weight[HEAD_BAD]);
	}
	for (size_t i = 0; i < f->words; i++)
		if (sum[i] > best) {
			best = sum[i];
			out->from = f->word[i].from;
			out->to = f->word[i].to;
		}
}

void model_judge(
	const struct model *m, struct slice folded, struct features *f, struct model_said *out)
{
	const struct model_bank *bank;
	struct block b[2];
	size_t known;
	double bad;

	*out = (struct model_said){.lang = ""};
	features_of(folded, m->bits, f);
	bank = best_bank(m, f, &known);
	if (bank == NULL)
		return;
	out->lang = bank->lang;
	out->known = (double)known / (double)f->words;
	out->gate = gate_of(bank, f->words, known);
	if (out->gate <= 0)
		return;
	b[0] = look(bank, f->bucket, f->of_words);
	b[1] = look(bank, f->bucket + f->of_words, f->all - f->of_words);
	bad = out->gate * odds(bank, b, HEAD_BAD);
	out->alone = bad > bank->cap ? bank->cap : bad < -bank->cap ? -bank->cap : bad;
	out->bad = out->alone * (out->alone > 0 ? bank->share_bad : bank->share_ham);
	if (out->bad > 0)
		out->scam = 1 / (1 + exp(-odds(bank, b, HEAD_SCAM)));
	strongest(bank, f, b, out);
}
