/* What a followed list becomes by a release: its changes sender by sender, then one merge of pointers beside the list that is in force. Whoever
 * asks waits for the swap alone, and a release that does not fit leaves everything as it was. */
#include "blocklist/follow.h"

#include <stdlib.h>

struct follow_change {
	char *line;
	size_t key_len;
	size_t ord;
	bool add;
	struct digest part; /* of the line */
};

void follow_edit_done(struct follow_edit *d)
{
	for (size_t i = 0; i < d->n_changes; i++)
		free(d->change[i].line);
	for (size_t i = 0; i < d->n_came; i++)
		free(d->came[i]);
	free(d->change);
	free(d->gone);
	free(d->came);
	free(d->to.lines);
	*d = (struct follow_edit){0};
}

enum rc follow_edit_add(struct follow_edit *d, const struct entry *one, bool add, struct err *e)
{
	char line[FOLLOW_LINE];

	if (d->n_changes == d->room) {
		size_t room = d->room == 0 ? 64 : 2 * d->room;
		void *more = realloc(d->change, room * sizeof(*d->change));

		if (more == NULL)
			return err_set(e, RC_RETRY, "out of memory");
		d->change = more;
		d->room = room;
	}
	(void)entry_line(one, line, sizeof(line));
	struct follow_change c = {.line = strdup(line),
		.key_len = follow_key_len(line),
		.ord = d->n_changes,
		.add = add};

	if (c.line == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	digest_add(&c.part, one);
	d->change[d->n_changes++] = c;
	return RC_OK;
}

static int same_key(const struct follow_change *x, const struct follow_change *y)
{
	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	return memcmp(x->line, y->line, x->key_len);
}

static int by_key(const void *a, const void *b)
{
	const struct follow_change *x = a, *y = b;
	int key = same_key(x, y);

	return key != 0 ? key : (x->ord > y->ord) - (x->ord < y->ord);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The line of this change's sender; NULL: none. */
static char *held(const struct follow_list *l, const struct follow_change *c)
{
	char key[FOLLOW_LINE];

	memcpy(key, c->line, c->key_len);
	key[c->key_len] = '\0';
	return follow_list_line(l, key, c->key_len);
}

/* What one sender's changes make of his line, in their order. */
static enum rc follow_sender(struct follow_edit *d, const struct follow_list *from, size_t begin,
	size_t end, struct err *e)
{
	char *was = held(from, &d->change[begin]), *now = was;
	size_t made_by = end;

	for (size_t i = begin; i < end; i++) {
		struct follow_change *c = &d->change[i];

		if (c->add && now != NULL)
			return err_set(e, RC_CONFLICT, "an addition of what is there");
		if (!c->add && (now == NULL || strcmp(now, c->line) != 0))
			return err_set(e, RC_CONFLICT, "a removal of what is not there");
		now = c->add ? c->line : NULL;
		made_by = i;
		d->to.mark.count += c->add ? 1 : -1;
		if (c->add)
			digest_join(&d->to.mark.digest, &c->part);
		else
			digest_part(&d->to.mark.digest, &c->part);
	}
	if (was != NULL && now != NULL && strcmp(was, now) == 0)
		return RC_OK;
	if (was != NULL)
		d->gone[d->n_gone++] = was;
	if (now != NULL) {
		d->came[d->n_came++] = now;
		d->change[made_by].line = NULL; /* `came` owns it */
	}
	return RC_OK;
}

struct merge {
	const struct follow_list *from;
	struct follow_list *to;
	const struct follow_edit *d;
	size_t i, gone; /* the next line of from, and of those that are left out */
};

/* The lines of the old list before `end` that stay. */
static void copy_until(struct merge *m, size_t end)
{
	while (m->i < end) {
		size_t stop = end;

		if (m->gone < m->d->n_gone) {
			size_t at = follow_list_at(m->from, m->d->gone[m->gone]);
			stop = at < end ? at : end;
		}
		memcpy(m->to->lines + m->to->n, m->from->lines + m->i,
			(stop - m->i) * sizeof(char *));
		m->to->n += stop - m->i;
		m->i = stop;
		if (stop < end) {
			m->i++;
			m->gone++;
		}
	}
}

enum rc follow_edit_make(struct follow_edit *d, const struct follow_list *from, struct err *e)
{
	enum rc rc = RC_OK;
	size_t room = from->n + d->n_changes + 1;

	d->to = (struct follow_list){
		.lines = calloc(room, sizeof(char *)), .room = room, .mark = from->mark};
	d->gone = calloc(d->n_changes + 1, sizeof(char *));
	d->came = calloc(d->n_changes + 1, sizeof(char *));
	if (d->to.lines == NULL || d->gone == NULL || d->came == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (d->n_changes > 1)
		qsort(d->change, d->n_changes, sizeof(*d->change), by_key);
	for (size_t i = 0, end; rc == RC_OK && i < d->n_changes; i = end) {
		for (end = i + 1;
			end < d->n_changes && same_key(&d->change[i], &d->change[end]) == 0; end++)
			;
		rc = follow_sender(d, from, i, end, e);
	}
	if (rc != RC_OK)
		return rc;
	if (d->n_gone > 1)
		qsort(d->gone, d->n_gone, sizeof(char *), by_bytes);
	if (d->n_came > 1)
		qsort(d->came, d->n_came, sizeof(char *), by_bytes);
	struct merge m = {.from = from, .to = &d->to, .d = d};

	for (size_t i = 0; i < d->n_came; i++) {
		copy_until(&m, follow_list_at(from, d->came[i]));
		d->to.lines[d->to.n++] = d->came[i];
	}
	copy_until(&m, from->n);
	return RC_OK;
}

void follow_edit_swap(struct follow_edit *d, struct follow_list *list)
{
	struct follow_list was = *list;
	char **came = d->came;

	*list = d->to;
	d->to = was;
	/* what the edit frees from now on is what the list had alone */
	d->came = d->gone;
	d->n_came = d->n_gone;
	d->gone = came;
	d->n_gone = 0;
}
