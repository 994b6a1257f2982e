/* The words of a report, a vote and a case that every room speaks, with their names as written in JSON and SQL. The names of an enum
 * come from one table in words.c; NAME_parse answers false for a word that is none of them. */
#pragma once

#include "base/slice.h"

enum disposition { DISP_ACCEPTED, DISP_REJECTED, DISP_DUPLICATE, DISP_ROUTED, DISP_QUARANTINED };
#define DISPOSITIONS 5
bool disposition_parse(struct slice s, enum disposition *out);
const char *disposition_name(
	enum disposition d); /* "accepted", "rejected", "duplicate", "routed", "quarantined" */

enum kind { KIND_S, KIND_V, KIND_LD };
enum service { SERVICE_SMS, SERVICE_VOICE };
enum channel {
	CH_SMS156,
	CH_SMS5656,
	CH_VOICE156,
	CH_PORTAL,
	CH_APP,
	CH_CARE,
	CH_AUTHORITY,
	CH_NETWORK
};
enum matched { MATCHED_UNCHECKED, MATCHED_YES, MATCHED_NO };
enum origin { ORIGIN_UNKNOWN, ORIGIN_OWN, ORIGIN_OTHER, ORIGIN_FOREIGN };
const char *kind_name(enum kind k);
const char *service_name(enum service s);
const char *channel_name(enum channel c);
const char *matched_name(enum matched m);
const char *origin_name(enum origin o);
bool kind_parse(struct slice s, enum kind *out);
bool service_parse(struct slice s, enum service *out);
bool channel_parse(struct slice s, enum channel *out);
bool matched_parse(struct slice s, enum matched *out);
bool origin_parse(struct slice s, enum origin *out);
#define SERVICES 2

enum report_class { CLASS_NUISANCE, CLASS_SCAM };
#define CLASSES 2
const char *class_name(enum report_class c); /* "nuisance", "scam" */
bool class_parse(struct slice s, enum report_class *out);

/* One vote as stored: docs/judgement.md section 3. Times TIME_NONE when unset. */
struct vote {
	int64_t reporter;
	int32_t day;
	float weight;
	float text_score, claim_score;
	bool scam;
	int64_t first_at, last_at, verified_at, scam_at, yes_at, spoof_at;
};
/* What is known of a sender and service beside its votes: docs/judgement.md section 8. All zeros: nothing. */
#define BOUND_LEGS 32
struct signals {
	int campaign;    /* 0..4: how large a campaign its texts belong to */
	float behaviour; /* 0..1 */
	float poll;      /* -1..1 */
	size_t legs;
	int64_t leg_at[BOUND_LEGS]; /* from when on each is a second leg, ascending */
};
/* What makes a day of activity suspicious, and an answer of recipients count: of the policy, docs/policy.md. */
struct cutoffs {
	double calls, messages; /* a day; of fewer nothing follows */
	double new_share, short_share, gap_share, back_share;
	int signs;         /* so many of them are a leg */
	double registered; /* calls and messages times this, of a registered sender of many */
	int poll_answers;
	double poll_share;
};
enum rung { RUNG_OBSERVE, RUNG_VERIFY, RUNG_THROTTLE, RUNG_BAR, RUNG_BAR_BOTH, RUNG_RECALL };
const char *rung_name(
	enum rung r); /* "observe", "verify", "throttle", "bar", "bar_both", "recall" */
bool rung_parse(struct slice s, enum rung *out);

enum label { LABEL_NONE, LABEL_HAM, LABEL_SPAM, LABEL_SCAM }; /* NONE: there was no text */
bool label_parse(struct slice s, enum label *out);            /* "", "ham", "spam", "scam" */
const char *label_name(enum label l);                         /* "", "ham", "spam", "scam" */
