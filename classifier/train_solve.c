/* Logistic regression with L2 by dual coordinate descent, and Platt's two numbers. One dual variable a row, kept as its log odds t: with v = C /
 * (1 + exp(-t)) the weights are the sum of v * y * x over the rows, and the optimum in one row is the root of t + q (v(t) - v(t0)) + y w·x, which
 * grows in t, so Newton's steps between two bounds always find it. Passes go over the rows in an order that depends on their number alone. */
#include <math.h>
#include <stdlib.h>

#include "classifier/train.h"

#define PASSES 60
#define NEWTONS 12
#define DONE 1e-3 /* the largest change of a log odds in a pass at which it is over */

static double block(const struct rows *r, size_t from, size_t to, const double *w)
{
	double sum = 0;

	for (size_t k = from; k < to; k++)
		sum += w[r->col[k]] * (double)r->value[r->col[k]];
	return sum;
}

double row_dot(const struct rows *r, size_t i, const double *w)
{
	size_t from = r->start[i], to = r->start[i + 1], border = from + r->words[i];

	return block(r, from, border, w) * r->scale[i][0] +
		block(r, border, to, w) * r->scale[i][1];
}

static void push(const struct rows *r, size_t i, double *w, double *bias, double by)
{
	size_t from = r->start[i], to = r->start[i + 1], border = from + r->words[i];

	for (size_t k = from; k < border; k++)
		w[r->col[k]] += by * r->scale[i][0] * (double)r->value[r->col[k]];
	for (size_t k = border; k < to; k++)
		w[r->col[k]] += by * r->scale[i][1] * (double)r->value[r->col[k]];
	*bias += by;
}

static double share(double t)
{
	return 1 / (1 + exp(-t));
}

/* The root of t + q * c * (share(t) - v0) + g, where v0 is the share now. */
static double best(double t, double q, double c, double v0, double g)
{
	double lo = -g - q * c * (1 - v0), hi = -g + q * c * v0;

	for (int n = 0; n < NEWTONS; n++) {
		double s = share(t), f = t + q * c * (s - v0) + g;

		if (f > 0)
			hi = t < hi ? t : hi;
		else
			lo = t > lo ? t : lo;
		double next = t - f / (1 + q * c * s * (1 - s));

		next = next > lo && next < hi ? next : (lo + hi) / 2;
		if (fabs(next - t) < 1e-9)
			return next;
		t = next;
	}
	return t;
}

static double visit(const struct rows *r, size_t i, const double *cost, const int8_t *y, double *t,
	double *w, double *bias)
{
	double q = 1 + (r->scale[i][0] > 0) + (r->scale[i][1] > 0); /* |x|^2 with the bias */
	double was = share(t[i]), g = y[i] * (row_dot(r, i, w) + *bias);
	double next = best(t[i], q, cost[i], was, g), moved = fabs(next - t[i]);

	push(r, i, w, bias, cost[i] * y[i] * (share(next) - was));
	t[i] = next;
	return moved;
}

enum rc solve(const struct rows *r, const double *cost, const int8_t *y, double *w, double *bias,
	struct err *e)
{
	double *t = calloc(r->n + 1, sizeof(*t));
	uint32_t *order = calloc(r->n + 1, sizeof(*order));
	uint64_t random = 1;
	size_t n = 0;

	if (t == NULL || order == NULL) {
		free(t);
		free(order);
		return err_set(e, RC_RETRY, "out of memory");
	}
	memset(w, 0, r->cols * sizeof(*w));
	*bias = 0;
	for (size_t i = 0; i < r->n; i++)
		if (cost[i] > 0) {
			order[n++] = (uint32_t)i;
			t[i] = -4;
			push(r, i, w, bias, cost[i] * y[i] * share(t[i]));
		}
	for (int pass = 0; pass < PASSES; pass++) {
		double moved = 0;

		for (size_t i = n; i > 1; i--) {
			random = random * UINT64_C(6364136223846793005) +
				UINT64_C(1442695040888963407);
			size_t k = (size_t)(random >> 33) % i;
			uint32_t swap = order[i - 1];

			order[i - 1] = order[k];
			order[k] = swap;
		}
		for (size_t i = 0; i < n; i++)
			moved = fmax(moved, visit(r, order[i], cost, y, t, w, bias));
		if (moved < DONE)
			break;
	}
	free(t);
	free(order);
	return RC_OK;
}

void platt(const double *x, const int8_t *y, const double *weight, size_t n, double *a, double *b)
{
	*a = 1;
	*b = 0;
	for (int pass = 0; pass < 50; pass++) {
		double ga = 1e-3 * (*a - 1), gb = 0, haa = 1e-3, hab = 0, hbb = 1e-9;

		for (size_t i = 0; i < n; i++) {
			if (weight[i] <= 0)
				continue;
			double p = share(*a * x[i] + *b), d = weight[i] * (p - (y[i] > 0)),
			       h = weight[i] * p * (1 - p);

			ga += d * x[i];
			gb += d;
			haa += h * x[i] * x[i];
			hab += h * x[i];
			hbb += h;
		}
		double det = haa * hbb - hab * hab, da, db;

		if (!(det > 1e-12))
			return;
		da = (hbb * ga - hab * gb) / det;
		db = (haa * gb - hab * ga) / det;
		double most = fmax(fabs(da), fabs(db)), cut = most > 2 ? 2 / most : 1;

		*a = fmax(0.01, *a - cut * da);
		*b -= cut * db;
		if (most < 1e-9)
			return;
	}
}
