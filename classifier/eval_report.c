/* The report on judged texts: counts, precision, recall and F1 with intervals, calibration, false alarms. Intervals of shares are Wilson's, of F1 by
 * drawing families again 400 times; both 95 %. Texts are shown cut, so the report is as private as the texts. */
#include "classifier/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DRAWS 400
#define ALARMS 100
#define SHOWN 110
#define PRIOR \
	2.2 /* of the report on a training: one text in ten is spam or scam, as the shipped packs have it */

struct counts {
	size_t tp, fp, fn, tn;
};

static bool bad(enum label l)
{
	return l == LABEL_SPAM || l == LABEL_SCAM;
}

/* want: LABEL_NONE for spam or scam together. */
static void count(
	struct counts *c, enum label truth, enum label said, enum label want, size_t times)
{
	bool is = want == LABEL_NONE ? bad(truth) : truth == want;
	bool called = want == LABEL_NONE ? bad(said) : said == want;

	c->tp += is && called ? times : 0;
	c->fp += !is && called ? times : 0;
	c->fn += is && !called ? times : 0;
	c->tn += !is && !called ? times : 0;
}

static double ratio(size_t a, size_t b)
{
	return b > 0 ? (double)a / (double)b : 0;
}

static double f1(const struct counts *c)
{
	return ratio(2 * c->tp, 2 * c->tp + c->fp + c->fn);
}

static void wilson(size_t k, size_t n, double out[2])
{
	double z = 1.959964, p = ratio(k, n), d = (double)n;

	out[0] = out[1] = 0;
	if (n == 0)
		return;
	double mid = (p + z * z / (2 * d)) / (1 + z * z / d);
	double half = z / (1 + z * z / d) * sqrt(p * (1 - p) / d + z * z / (4 * d * d));

	out[0] = fmax(0, mid - half);
	out[1] = fmin(1, mid + half);
}

struct group {
	const char *what;
	struct slice lang, source; /* empty: any */
	enum label want;
};

static struct slice before_slash(struct slice s)
{
	struct slice out = s;

	return slice_cut(&s, '/', &out) ? out : s;
}

static bool in_group(const struct eval_result *r, const struct group *g, size_t i)
{
	const struct text *x = &r->t->at[i];

	return r->at[i].tested && (g->lang.len == 0 || slice_eq(g->lang, x->lang)) &&
		(g->source.len == 0 || slice_eq(g->source, before_slash(x->source)));
}

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Families are drawn again with Poisson weights of mean 1, by a fixed sequence. */
static void f1_interval(
	const struct eval_result *r, const struct group *g, enum judge_by by, double out[2])
{
	double draw[DRAWS];

	for (uint64_t d = 0; d < DRAWS; d++) {
		struct counts c = {0};

		for (size_t i = 0; i < r->t->n; i++) {
			if (!in_group(r, g, i))
				continue;
			uint64_t h = (r->t->at[i].family + 1) * UINT64_C(0x9E3779B97F4A7C15) ^
				(d + 1) * UINT64_C(0xD1B54A32D192ED03);

			h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
			h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
			double u = (double)((h ^ h >> 31) >> 11) / 9007199254740992.0, p = exp(-1),
			       sum = p;
			size_t times = 0;

			while (u > sum && times < 8) {
				p /= (double)++times;
				sum += p;
			}
			count(&c, r->t->at[i].label, r->at[i].label[by], g->want, times);
		}
		draw[d] = f1(&c);
	}
	qsort(draw, DRAWS, sizeof(*draw), by_double);
	out[0] = draw[DRAWS / 40];
	out[1] = draw[DRAWS - 1 - DRAWS / 40];
}

static const char *const judge_names[JUDGES] = {"rules", "model", "both"};

static void line(
	const struct eval_result *r, const struct group *g, enum judge_by by, struct buf *out)
{
	struct counts c = {0};
	double p[2], rec[2], f[2], fa[2];

	for (size_t i = 0; i < r->t->n; i++)
		if (in_group(r, g, i))
			count(&c, r->t->at[i].label, r->at[i].label[by], g->want, 1);
	wilson(c.tp, c.tp + c.fp, p);
	wilson(c.tp, c.tp + c.fn, rec);
	wilson(c.fp, c.fp + c.tn, fa);
	f1_interval(r, g, by, f);
	buf_fmt(out,
		"%-18s %-5s %6zu %6zu  %.3f [%.3f %.3f]  %.3f [%.3f %.3f]  %.3f [%.3f %.3f]  %4zu  "
		"%5.2f%% [%.2f %.2f]\n",
		g->what, judge_names[by], c.tp + c.fn, c.fp + c.tn, ratio(c.tp, c.tp + c.fp), p[0],
		p[1], ratio(c.tp, c.tp + c.fn), rec[0], rec[1], f1(&c), f[0], f[1], c.fp,
		100 * ratio(c.fp, c.fp + c.tn), 100 * fa[0], 100 * fa[1]);
}

static void lines(const struct eval_result *r, const struct group *g, struct buf *out)
{
	for (size_t by = 0; by < JUDGES; by++)
		if (by == BY_RULES ? r->rules : by == BY_MODEL ? r->model : r->rules && r->model)
			line(r, g, (enum judge_by)by, out);
}

static bool first_of(const struct eval_result *r, size_t i, bool lang)
{
	for (size_t k = 0; k < i; k++) {
		struct slice a = lang ? r->t->at[k].lang : before_slash(r->t->at[k].source);
		struct slice b = lang ? r->t->at[i].lang : before_slash(r->t->at[i].source);

		if (r->at[k].tested && slice_eq(a, b))
			return false;
	}
	return r->at[i].tested;
}

static void quality(const struct eval_result *r, struct buf *out)
{
	static const struct group whole[] = {{"spam and scam", {0}, {0}, LABEL_NONE},
		{"spam", {0}, {0}, LABEL_SPAM}, {"scam", {0}, {0}, LABEL_SCAM}};

	buf_fmt(out, "%-18s %-5s %6s %6s  %-19s  %-19s  %-19s  %4s  %s\n", "", "by", "are", "not",
		"precision", "recall", "F1", "false", "of the others");
	for (size_t i = 0; i < (r->rules ? ARRAY_LEN(whole) : 1); i++)
		lines(r, &whole[i], out);
	for (int lang = 1; lang >= 0; lang--)
		for (size_t i = 0; i < r->t->n; i++) {
			struct slice s = lang ? r->t->at[i].lang : before_slash(r->t->at[i].source);
			char name[40];

			if (s.len == 0 || !first_of(r, i, lang != 0))
				continue;
			(void)snprintf(name, sizeof(name), "%s %.*s", lang ? "lang" : "source",
				(int)(s.len < 20 ? s.len : 20), s.ptr);
			lines(r,
				&(struct group){name, lang ? s : SLICE(""), lang ? SLICE("") : s,
					LABEL_NONE},
				out);
		}
}

static void calibration(const struct eval_result *r, enum judge_by by, struct buf *out)
{
	size_t n[10] = {0}, is[10] = {0}, all = 0;
	double sum[10] = {0}, brier = 0, off = 0;

	for (size_t i = 0; i < r->t->n; i++) {
		double p = r->at[i].score[by], y = bad(r->t->at[i].label);
		size_t k = p >= 1 ? 9 : (size_t)(p * 10);

		if (!r->at[i].tested)
			continue;
		n[k]++;
		is[k] += y > 0;
		sum[k] += p;
		brier += (p - y) * (p - y);
		all++;
	}
	for (size_t k = 0; k < 10; k++)
		off += fabs(sum[k] - (double)is[k]);
	buf_fmt(out,
		"\ncalibration (%s): Brier %.4f, mean distance of score and share %.4f\n  score    "
		"texts  mean score  share of spam and scam\n",
		judge_names[by], all > 0 ? brier / (double)all : 0,
		all > 0 ? off / (double)all : 0);
	for (size_t k = 0; k < 10; k++) {
		double w[2];

		wilson(is[k], n[k], w);
		if (n[k] > 0)
			buf_fmt(out, "  %.1f-%.1f  %6zu  %.3f       %.3f [%.3f %.3f]\n",
				(double)k / 10, (double)(k + 1) / 10, n[k], sum[k] / (double)n[k],
				ratio(is[k], n[k]), w[0], w[1]);
	}
}

/* ---- false alarms ---- */

/* Notices that must get through, by their own words. */
static const struct {
	const char *name, *sign[8];
} notices[] = {
	{"one-time codes",
		{"otp", "ma xac", "ma dang nhap", "verification code", "security code",
			"ma kich hoat"}},
	{"bank movements",
		{"so du", " sd:", " sd ", "bien dong", "available balance", " tk ", "giao dich"}},
	{"carrier notices",
		{"[tb]", "(tb)", "tb:", "goi cuoc", "viettel", "vinaphone", "mobifone", "data"}},
	{"advertising [QC]", {"[qc]", "(qc)", "qc:"}},
};

static bool says(struct slice folded, const char *sign)
{
	return memmem(folded.ptr, folded.len, sign, strlen(sign)) != NULL;
}

static bool is_notice(struct slice folded, size_t kind)
{
	for (size_t i = 0; i < ARRAY_LEN(notices[0].sign); i++)
		if (notices[kind].sign[i] != NULL && says(folded, notices[kind].sign[i]))
			return true;
	return false;
}

static void alarms(const struct eval_result *r, enum judge_by by, struct buf *out)
{
	size_t shown = 0, all = 0;

	buf_fmt(out, "\nham that is called spam or scam (%s)\n", judge_names[by]);
	for (size_t kind = 0; kind < ARRAY_LEN(notices); kind++) {
		size_t n = 0, wrong = 0;

		for (size_t i = 0; i < r->t->n; i++)
			if (r->at[i].tested && r->t->at[i].label == LABEL_HAM &&
				is_notice(r->t->at[i].folded, kind)) {
				n++;
				wrong += bad(r->at[i].label[by]);
			}
		buf_fmt(out, "  %-18s %zu of %zu\n", notices[kind].name, wrong, n);
	}
	for (size_t i = 0; i < r->t->n; i++) {
		const struct text *x = &r->t->at[i];

		if (!r->at[i].tested || x->label != LABEL_HAM || !bad(r->at[i].label[by]))
			continue;
		all++;
		if (shown++ >= ALARMS)
			continue;
		size_t len = x->raw.len;

		for (len = len < SHOWN ? len : SHOWN;
			len < x->raw.len && (x->raw.ptr[len] & 0xC0) == 0x80;)
			len--;
		buf_fmt(out, "  %s:%d %s %.3f (rules %.3f, model %.3f) %.*s%s\n", x->file, x->line,
			label_name(r->at[i].label[by]), (double)r->at[i].score[by],
			(double)r->at[i].score[BY_RULES], (double)r->at[i].score[BY_MODEL],
			(int)len, x->raw.ptr, len < x->raw.len ? "…" : "");
	}
	buf_fmt(out, "  in all %zu%s\n", all, all > ALARMS ? ", the first 100 shown" : "");
}

void eval_report(const struct eval_result *r, struct buf *out)
{
	enum judge_by by = !r->rules ? BY_MODEL : r->model ? BY_BOTH : BY_RULES;
	size_t tested = 0;

	for (size_t i = 0; i < r->t->n; i++)
		tested += r->at[i].tested;
	buf_fmt(out,
		"%zu texts judged (%zu doubles left out, %zu of them with another label; %zu "
		"without text)%s%s\n\n",
		tested, r->t->doubles, r->t->conflicts, r->t->empty, r->how[0] != '\0' ? "; " : "",
		r->how);
	quality(r, out);
	for (size_t k = 0; k < JUDGES; k++)
		if (k == by || (k == BY_MODEL && r->model))
			calibration(r, (enum judge_by)k, out);
	alarms(r, by, out);
	if (r->seconds > 0)
		buf_fmt(out, "\n%.0f texts judged a second on one core\n",
			(double)tested / r->seconds);
}

void eval_each(const struct eval_result *r, struct buf *out)
{
	buf_fmt(out, "file\tline\tfold\tlabel\tsaid\tscore\trules\tmodel\tknown\n");
	for (size_t i = 0; i < r->t->n; i++) {
		const struct text *x = &r->t->at[i];
		const struct judged *j = &r->at[i];

		if (j->tested)
			buf_fmt(out, "%s\t%d\t%u\t%s\t%s\t%.6f\t%.6f\t%.6f\t%.3f\n", x->file,
				x->line, (unsigned)j->fold, label_name(x->label),
				label_name(j->label[BY_BOTH]), (double)j->score[BY_BOTH],
				(double)j->score[BY_RULES], (double)j->score[BY_MODEL],
				(double)j->known);
	}
}

void train_report(const struct texts *t, const double *evidence, struct buf *out)
{
	struct eval_result r = {.t = t,
		.at = calloc(t->n + 1, sizeof(*r.at)),
		.how = "each judged by a model of other families",
		.model = true};

	if (r.at == NULL)
		return;
	for (size_t i = 0; i < t->n; i++) {
		struct judged *j = &r.at[i];

		j->tested = true;
		j->score[BY_MODEL] = (float)(1 / (1 + exp(PRIOR - evidence[i])));
		j->label[BY_MODEL] = evidence[i] < PRIOR ? LABEL_HAM : LABEL_SPAM;
	}
	eval_report(&r, out);
	free(r.at);
}
