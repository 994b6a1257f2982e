/* One batch in memory: records decoded and judged into filings for the ledger, and the senders it touched judged from their votes. Pure but for
 * the decoder's and classifier's scratch; knows no database and no Kafka beyond the record. */
#pragma once

#include "engine/judge.h"
#include "ingest/ingest.h"

struct filings {
	struct filing *at; /* by partition, then offset */
	size_t n, room;
};

/* Decodes and judges one record of a topic into the next filing. part is its index in the ledger batch. RC_LIMIT: the arena is full, nothing was added. */
MUST_USE enum rc filings_add(struct filings *f, struct decoder *d, struct scan *s,
	const struct judge *j, const struct plan *plan, enum feed of, const struct kafka_record *r,
	int32_t part, struct arena *a);

/* Makes the record the next filing without looking into it: kept in quarantine for this reason. reason and detail are borrowed. */
void filings_unread(struct filings *f, const struct kafka_record *r, int32_t part,
	const char *reason, const char *detail);

/* How alike two sketches are, packed as in a filing. */
double sketches_packed_alike(struct slice a, struct slice b);

/* Score and ladder of every touched sender, into its outputs. RC_LIMIT when the arena is full. */
MUST_USE enum rc judge_touched(const struct judge *j, const struct control *control, int64_t now_us,
	struct touched *t, size_t n, struct arena *a);
