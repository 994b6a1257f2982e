/* Private to app: the two files of khien order. */
#pragma once

#include "app/app.h"

struct order_args {
	const char *conf, *first, *second, *columns, *by;
	bool accept_valid;
};

/* What the verbs need in hand. */
struct desk {
	const struct keys *keys;
	const struct plan *plan;
	struct pg *pg;
	struct arena *arena;
	char actor[80];
	int64_t now_us;
};

enum rc order_take_in(struct desk *d, const struct order_args *args, struct err *e);
enum rc order_preview(struct desk *d, const struct order_args *args, struct err *e);
void order_tell_done(const struct order_done *d);
