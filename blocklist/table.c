/* Tables of shards: a new one from an old one and edits. Only the shards that an edit touches are made anew. */
#include <stdlib.h>

#include "blocklist/table.h"

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		shard_free(t->shards[i]);
	free(t);
}

void table_free_old(struct table *was, const struct table *t)
{
	if (was == NULL)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		if (was->shards[i] != t->shards[i])
			shard_free(was->shards[i]);
	free(was);
}

void table_mark(const struct table *t, int service, struct list_mark *out)
{
	*out = t->mark;
	if (service == SERVICE_SMS) {
		out->count = t->sms.count;
		out->digest = t->sms.digest;
	} else if (service == SERVICE_VOICE) {
		out->count -= t->sms.count;
		digest_part(&out->digest, &t->sms.digest);
	}
}

bool table_find(const struct table *t, enum scope scope, enum service service, struct slice value,
	struct entry *out)
{
	return shard_find(
		table_shard(t, shard_key(scope, service, value)), scope, service, value, out);
}

bool table_each(const struct table *t, int service, entry_each *each, void *arg)
{
	for (size_t i = 0; i < SHARDS; i++)
		if (!shard_each(t->shards[i], service, each, arg))
			return false;
	return true;
}

static bool into_bucket(void *arg, const struct entry *e)
{
	struct digest *buckets = arg;

	digest_add(&buckets[entry_bucket(e)], e);
	return true;
}

void feed_buckets(const struct table *t, int service, struct digest out[256])
{
	memset(out, 0, 256 * sizeof(out[0]));
	(void)table_each(t, service, into_bucket, out);
}

static enum rc edit_all(struct table *t, const struct edit *edits, size_t n, size_t *done)
{
	for (size_t i = 0, to; i < n; i = to) {
		uint16_t at = edits[i].shard;
		struct shard *made = NULL;

		for (to = i; to < n && edits[to].shard == at; to++)
			;
		enum rc rc = shard_edit(t->shards[at], edits + i, to - i, &made);

		if (rc == RC_RETRY)
			return rc;
		t->bytes = t->bytes - shard_bytes(t->shards[at]) + shard_bytes(made);
		t->shards[at] = made;
		*done = to;
	}
	return RC_OK;
}

enum rc table_edit(const struct table *from, struct edit *edits, size_t n, struct table **out)
{
	struct table *t = malloc(sizeof(*t));
	size_t done = 0;

	if (t == NULL)
		return RC_RETRY;
	if (from != NULL) {
		memcpy(t, from, offsetof(struct table, pins)); /* it may just be pinned */
		t->pins = 0;
		t->next = NULL;
	} else
		*t = (struct table){.bytes = sizeof(*t)};
	qsort(edits, n, sizeof(*edits), edit_cmp);
	enum rc rc = edit_all(t, edits, n, &done);

	if (rc == RC_OK) {
		*out = t;
		return RC_OK;
	}
	for (size_t i = 0; i < done; i++) /* the new ones only */
		if (i == 0 || edits[i].shard != edits[i - 1].shard)
			shard_free(t->shards[edits[i].shard]);
	free(t);
	return rc;
}
