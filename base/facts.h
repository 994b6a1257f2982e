/* What comes on the topics beside the reports, understood: the decoder fills it, the ledger keeps it. Slices live in the batch's
 * arena. docs/formats.md defines each. */
#pragma once

#include "base/crypto.h"
#include "base/sender.h"
#include "base/words.h"

/* The topics that the engine reads; a batch is of one of them. */
enum feed {
	FEED_COMPLAINTS, /* reports: they have a struct of their own */
	FEED_CONTACTS,
	FEED_ACTIVITY,
	FEED_POLL_ANSWERS,
	FEED_PROVISIONING_RESULTS,
	FEED_NOTICE_RESULTS,
	FEED_SUBSCRIPTIONS,
};
#define FEED_COUNT 7
const char *feed_name(enum feed
		f); /* "complaints", "contacts", "activity", "poll_answers" … as in kafka.topics.NAME */

/* contacts/1: what the carrier's own records say of the contact that a report is about. */
struct fact_contact {
	struct slice report_id;
	uint8_t id_hash[MAC_LEN];
	enum matched matched;
	enum origin origin;
	int32_t duration_s; /* -1: absent */
	struct slice
		extra; /* message_id, service and unknown fields as one JSON object, or empty */
};

/* activity/1: what a sender did on the network in a span of time. */
enum activity_count {
	ACT_SMS_OUT,
	ACT_CALLS_OUT,
	ACT_SMS_IN,
	ACT_CALLS_IN,
	ACT_NEW_CONTACTS,
	ACT_SHORT_CALLS,
	ACT_SHORT_GAPS,
	ACT_DISTINCT_PEERS,
	ACTIVITY_COUNTS
};
struct fact_activity {
	struct sender sender;
	int64_t from, to;
	int64_t counts[ACTIVITY_COUNTS]; /* 0 when absent */
};

/* poll-answers/1 */
struct fact_poll {
	struct slice poll_id;
	struct sender sender;
	int64_t yes, no, silent;
};

/* provisioning-results/1 and notice-results/1. status: "done", "failed", "not_ours"; "delivered", "undelivered". */
struct fact_result {
	struct slice request_id;
	const char *status;
	int64_t at;
};

/* subscriptions/1. event: "reassigned", "ported_in", "ported_out", "terminated". */
struct fact_subscription {
	struct sender number;
	const char *event;
	struct slice carrier;
	int64_t at;
};

struct fact {
	enum feed of;
	union {
		struct fact_contact contact;
		struct fact_activity activity;
		struct fact_poll poll;
		struct fact_result result;
		struct fact_subscription subscription;
	};
};

/* Why an accepted report about a sender weighs what it weighs, of its contact alone: "counted", "no_contact" or "spoofed". *spoofed as
 * struct vote has it. docs/judgement.md section 3. */
const char *contact_reason(
	enum matched m, enum origin o, const struct sender *about, bool *spoofed);
