/* What the readers of one text put what they found into: each item once, copied, with its place in the raw text. */
#include "classifier/reader.h"

void extract_put(struct reader *r, enum evidence_kind kind, struct slice value, unsigned flags,
	const char *from, const char *to)
{
	if (r->n == BOUND_EVIDENCE)
		return;
	for (size_t i = 0; i < r->n; i++)
		if (r->out[i].kind == kind && slice_eq(r->out[i].value, value))
			return;
	struct slice copy = arena_copy(r->arena, value);
	if (copy.ptr == NULL) {
		r->full_arena = true;
		return;
	}
	size_t a = (size_t)(from - r->start), b = (size_t)(to - r->start);
	while (b < r->f->text.len && b > 0 && r->f->map[b] == r->f->map[b - 1])
		b++;
	r->out[r->n++] =
		(struct evidence){kind, flags, copy, r->f->map[a], r->f->map[b] - r->f->map[a]};
}
