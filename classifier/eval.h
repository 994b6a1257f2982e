/* Private to the room: what was said of every text (eval.c) and the report on it (eval_report.c). */
#pragma once

#include "classifier/train.h"

enum judge_by { BY_RULES, BY_MODEL, BY_BOTH };
#define JUDGES 3

struct judged {
	enum label label[JUDGES];
	float score[JUDGES];
	float known; /* share of words that the model knew */
	bool tested; /* took part */
	uint32_t fold;
};
struct eval_result {
	const struct texts *t;
	struct judged *at; /* by text */
	const char *how;
	double seconds; /* of judging by both; 0: not measured */
	bool rules, model;
};
/* A header line and one line a text: where it stands, its fold, its label, and what was said; separated by TAB. */
void eval_each(const struct eval_result *r, struct buf *out);
void eval_report(const struct eval_result *r, struct buf *out);
