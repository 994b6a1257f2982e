/* What the token model says of a text: two sums of weights, a gate for texts it does not know, and a cap. A pure function of model and folded
 * text; the model is shared by threads. Leaves out the file and how weights come about. */
#include "classifier/model.h"

#include <math.h>

static double scale(const struct block_sums *b)
{
	return b->square > 0 ? 1 / sqrt((double)b->square) : 0;
}

static double odds(const struct model_bank *s, const struct block_sums b[2], enum model_head head)
{
	return s->bias[head] +
		s->unit[head] *
		((double)b[0].sum[head] * scale(&b[0]) + (double)b[1].sum[head] * scale(&b[1]));
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

/* A word that says something to people: two letters or more. */
static bool is_told(const struct features *f, size_t w)
{
	const struct model_word *x = &f->word[w];
	size_t letters = 0;

	for (size_t i = x->at; i + 1 < x[1].at; i++)
		letters += (unsigned char)f->norm[i] >= 'a';
	return letters >= 2;
}

/* The two or three words in a row whose features moved the sum most in its direction; the one word of a text that has but one. */
static void strongest(
	const struct features *f, const struct block_sums b[2], struct model_said *out)
{
	double by[2] = {scale(&b[0]), scale(&b[1])}, sign = out->bad < 0 ? -1 : 1, best = 0;

	for (size_t least = 2; least >= 1 && best <= 0; least--)
		for (size_t w = 0; w < f->words; w++) {
			double sum = 0;

			if (!is_told(f, w))
				continue;
			for (size_t k = 0; k < 3 && w + k < f->words; k++) {
				sum += sign *
					((double)f->moved[w + k][0] * by[0] +
						(double)f->moved[w + k][1] * by[1]);
				if (k + 1 < least || sum <= best || !is_told(f, w + k))
					continue;
				best = sum;
				out->from = f->word[w].from;
				out->to = f->word[w + k].to;
			}
		}
}

void model_judge(
	const struct model *m, struct slice folded, struct features *f, struct model_said *out)
{
	const struct model_bank *bank;
	struct block_sums b[2];
	size_t known;
	double bad;

	*out = (struct model_said){.lang = ""};
	features_words(folded, f);
	bank = best_bank(m, f, &known);
	if (bank == NULL)
		return;
	out->lang = bank->lang;
	out->known = (double)known / (double)f->words;
	out->gate = gate_of(bank, f->words, known);
	if (out->gate <= 0)
		return;
	features_weigh(f, bank, m->bits, b);
	bad = out->gate * odds(bank, b, HEAD_BAD);
	out->alone = bad > bank->cap ? bank->cap : bad < -bank->cap ? -bank->cap : bad;
	out->bad = out->alone * (out->alone > 0 ? bank->share_bad : bank->share_ham);
	if (out->bad > 0)
		out->scam = 1 / (1 + exp(-odds(bank, b, HEAD_SCAM)));
	strongest(f, b, out);
}
