/* khien order import, preview: the file is read and shown, and unless it is only a preview taken in. */
#include "app/order.h"

#include <stdio.h>

static void tell(const struct order *o)
{
	(void)printf("order %.*s of %.*s: %.*s, %zu items, %zu no senders, %zu named twice\n",
		(int)o->document_no.len, o->document_no.ptr, (int)o->issuer.len, o->issuer.ptr,
		(int)o->action.len, o->action.ptr, o->n, o->invalid, o->duplicates);
	for (size_t i = 0; i < o->n; i++) {
		const struct order_item *x = &o->items[i];

		if (x->fault != NULL)
			(void)printf("  line %d: %.*s: %s\n", x->line, (int)x->shown.len,
				x->shown.ptr, x->fault);
		else if (x->same_as != 0)
			(void)printf("  line %d: %.*s: the same sender as line %d\n", x->line,
				(int)x->shown.len, x->shown.ptr, x->same_as);
	}
}

void order_tell_done(const struct order_done *d)
{
	if (d->waits)
		(void)printf("it waits: a second person accepts the valid items with khien order "
			     "approve\n");
	else
		(void)printf("to be listed %lld, held %lld, not ours %lld, expired %lld%s%s\n",
			(long long)d->wished, (long long)d->held, (long long)d->not_ours,
			(long long)d->expired, d->breach ? "; after its deadline" : "",
			d->former_gone ? "; what it amends or revokes was not in force here" : "");
}

/* Reads, shows, and unless it is only a preview takes the file in. */
static enum rc read_it(struct desk *d, const struct order_args *args, bool preview, struct err *e)
{
	BUF_OWN struct buf file;
	struct complaints c;
	struct order o;
	struct order_done done;

	buf_init(&file, BOUND_ORDER_FILE);
	enum rc rc = file_read(args->first, false, &file, e);
	if (rc != RC_OK)
		return rc;
	complaints_init(&c);
	rc = order_read(d->plan, args->first, buf_slice(&file), d->arena, &c, &o, e);
	(void)fprintf(stderr, "%.*s", (int)c.text.len, c.text.len > 0 ? c.text.ptr : "");
	complaints_done(&c);
	if (rc == RC_OK)
		tell(&o);
	if (rc == RC_OK && !preview) {
		rc = order_import(d->pg, d->keys, &o, buf_slice(&file), args->accept_valid,
			d->actor, d->now_us, d->arena, &done, e);
		if (rc == RC_OK)
			order_tell_done(&done);
	}
	return rc;
}

enum rc order_take_in(struct desk *d, const struct order_args *args, struct err *e)
{
	return read_it(d, args, false, e);
}

enum rc order_preview(struct desk *d, const struct order_args *args, struct err *e)
{
	return read_it(d, args, true, e);
}
