/* Judges labelled texts by the rules, by the model and by both: by a model that is given, or by models that never saw the text's family (folds) or
 * its source. Leaves out the report. */
#include "classifier/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "classifier/rules.h"

#define FOLDS_MAX 64

static void judge(const struct eval_options *o, struct scan *s, const struct model *m,
	struct features *f, const struct text *x, struct judged *out)
{
	static const struct model_said silent;
	struct model_said said = silent;
	struct verdict v;

	out->tested = true;
	if (m != NULL) {
		model_judge(m, x->folded, f, &said);
		out->known = (float)said.known;
		out->score[BY_MODEL] = (float)(1 / (1 + exp(-(o->pack->bias + said.alone))));
		out->label[BY_MODEL] = out->score[BY_MODEL] < 0.5F ? LABEL_HAM
			: said.scam >= o->pack->scam_share         ? LABEL_SCAM
								   : LABEL_SPAM;
	}
	classify(s, x->raw, &v);
	out->score[BY_BOTH] = (float)v.score;
	out->label[BY_BOTH] = v.label;
}

static void judge_by_rules(struct scan *s, const struct text *x, struct judged *out)
{
	struct verdict v;

	classify(s, x->raw, &v);
	out->score[BY_RULES] = (float)v.score;
	out->label[BY_RULES] = v.label;
}

/* The part of the source's name before a slash. */
static struct slice source_of(const struct text *x)
{
	struct slice rest = x->source, out = rest;

	return slice_cut(&rest, '/', &out) ? out : x->source;
}

/* Numbers the folds of the texts that are tested; SIZE_MAX: never tested. Answers how many there are. */
static size_t number_folds(const struct texts *t, const struct eval_options *o, size_t *fold)
{
	size_t first[FOLDS_MAX], n = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct text *x = &t->at[i];
		size_t k = 0;

		fold[i] = SIZE_MAX;
		if (x->always)
			continue;
		if (!o->by_source) {
			fold[i] = o->folds > 0 ? text_fold(t, x, o->folds) : 0;
			continue;
		}
		while (k < n && !slice_eq(source_of(&t->at[first[k]]), source_of(x)))
			k++;
		if (k == n && n < FOLDS_MAX)
			first[n++] = i;
		fold[i] = k < n ? k : n - 1;
	}
	return o->by_source ? n : o->folds > 0 ? o->folds : 1;
}

struct run {
	const struct texts *t;
	const struct eval_options *o;
	struct bag *bag;
	size_t *fold;
	bool *learn;
	struct judged *at;
	struct features *features;
	struct scan *scan;
	double seconds;
};

static enum rc judge_fold_by(struct run *r, const struct model *m, size_t fold, struct err *e)
{
	for (size_t i = 0; i < r->t->n; i++)
		if (r->fold[i] == fold) {
			r->at[i].fold = (uint32_t)fold;
			judge_by_rules(r->scan, &r->t->at[i], &r->at[i]);
		}
	double start = r->o->now_s != NULL ? r->o->now_s() : 0;
	enum rc rc = scan_model(r->scan, m, e);
	for (size_t i = 0; rc == RC_OK && i < r->t->n; i++)
		if (r->fold[i] == fold)
			judge(r->o, r->scan, m, r->features, &r->t->at[i], &r->at[i]);
	r->seconds += r->o->now_s != NULL ? r->o->now_s() - start : 0;
	if (rc == RC_OK)
		rc = scan_model(r->scan, NULL, e);
	return rc;
}

static enum rc train_and_judge(struct run *r, size_t fold, struct err *e)
{
	BUF_OWN struct buf file;
	struct model m;

	buf_init(&file, (size_t)256 << 20);
	for (size_t i = 0; i < r->t->n; i++) {
		r->learn[i] = r->fold[i] != fold;
		/* a family that is tested is never learnt from, also where folds are sources */
		if (r->learn[i] && r->o->by_source && r->fold[r->t->at[i].family] == fold)
			r->learn[i] = false;
	}
	enum rc rc = bag_train(r->bag, r->learn, &r->o->train, NULL, &file, e);
	if (rc == RC_OK)
		rc = model_parse(buf_slice(&file), &m, e);
	return rc == RC_OK ? judge_fold_by(r, &m, fold, e) : rc;
}

static void run_done(struct run *r)
{
	bag_free(r->bag);
	free(r->fold);
	free(r->learn);
	free(r->at);
	free(r->features);
	scan_free(r->scan);
}

static enum rc run_all(struct run *r, struct err *e)
{
	const struct eval_options *o = r->o;
	bool training = o->folds > 0 || o->by_source;
	size_t n = r->t->n;
	enum rc rc;

	r->fold = calloc(n + 1, sizeof(*r->fold));
	r->learn = calloc(n + 1, sizeof(*r->learn));
	r->at = calloc(n + 1, sizeof(*r->at));
	r->features = malloc(sizeof(*r->features));
	if (r->fold == NULL || r->learn == NULL || r->at == NULL || r->features == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = scan_new(o->pack, &r->scan, e);
	if (rc == RC_OK && training)
		rc = bag_new(r->t, o->train.bits, &r->bag, e);
	size_t folds = number_folds(r->t, o, r->fold);
	for (size_t fold = 0; rc == RC_OK && fold < folds; fold++)
		rc = training ? train_and_judge(r, fold, e) : judge_fold_by(r, o->model, fold, e);
	return rc;
}

enum rc model_eval(
	const struct texts *t, const struct eval_options *o, struct buf *report, struct err *e)
{
	struct run r = {.t = t, .o = o};
	enum rc rc = run_all(&r, e);
	struct eval_result result = {
		t, r.at, "", r.seconds, true, o->model != NULL || r.bag != NULL};
	char how[100] = "";

	if (o->by_source)
		(void)snprintf(how, sizeof(how), "each source judged by a model of the others");
	else if (o->folds > 0)
		(void)snprintf(how, sizeof(how), "%zu folds, each judged by a model of the others",
			o->folds);
	result.how = how;
	if (rc == RC_OK)
		(o->each ? eval_each : eval_report)(&result, report);
	run_done(&r);
	return rc;
}
