/* Private to cases: what the files of one batch share. A batch is one transaction; its memory is the caller's arena, but for the
 * parameter arrays and text buffers, which the connection's owner keeps from batch to batch. */
#pragma once

#include <assert.h>

#include "cases/cases.h"

#define LEDGER_ARRAYS 32
#define NOBODY SIZE_MAX
#define TRUST_NEW 1.0F /* of a reporter without history; the default in `subject` */

/* One reporter of the batch. */
struct person {
	uint8_t mac[MAC_LEN];
	int64_t id; /* 0: not known yet */
	float trust;
	struct slice number; /* E.164 digits */
	bool wanted;         /* a claimed record names it */
	bool made;           /* by this batch, unless another worker was quicker */
};

/* One sender of the batch. */
struct party {
	const struct filing *by; /* a filing that names it; its attributes */
	int64_t id;
	bool fresh; /* made by this batch: nothing is known of it */
};

/* What the ledger knows of a filing beside it. */
struct filed {
	size_t person;  /* index, NOBODY */
	size_t party;   /* index, NOBODY: no sender */
	size_t touched; /* index, NOBODY: no vote */
	int32_t seq;    /* of its outcome; 0: none */
	bool merged;    /* its vote was there already */
	float weight;
	bool known; /* it claimed an id that was heard of before: contact facts may wait for it */
};

#define CASE_ID 24

/* The case that a report joins, as it was read: the open one, or the one that was closed last. */
struct open_case {
	char id[CASE_ID]; /* "": there is none */
	int64_t first_at;
	char state[12];
	bool settled; /* it is closed, and reopens when something joins */
};

/* A case that the batch touches, of a touched sender and service. */
struct kase {
	size_t touched;
	enum report_class cls;
	char id[CASE_ID];
	int64_t reports, first_at, due_at;
	bool opened;     /* by this batch */
	bool reopened;   /* by this batch: it was closed */
	bool look;       /* its state may change */
	const char *was; /* its state so far */
};

/* An episode or a wish of the machine that is there already. */
struct known {
	size_t touched;
	enum report_class cls;
	bool wish;
	int64_t decided_at, until;
	int64_t id; /* of an episode */
	enum rung rung;
	int reporters, matched;
	char state[12], reason[16], action[12]; /* of a wish the detail */
};

struct work {
	struct filed *filed; /* one per filing */
	struct person *people;
	size_t n_people;
	struct party *parties;
	size_t n_parties;
	bool *fresh;         /* per touched: its sender is new */
	struct known *known; /* what the machine decided before, by place, class and time */
	size_t n_known;
	struct open_case (*open)[CLASSES];          /* per touched */
	struct open_case shared[SERVICES][CLASSES]; /* of reports without a sender */
	struct kase *cases;
	size_t n_cases;
	bool shadow; /* nothing is wished for */
	bool facts;  /* the batch holds no reports: its senders are judged again */
};

/* Held in common by whoever notes activity, so that a sender that becomes known meanwhile is not missed: again.c. */
#define ACTIVITY_LOCK "461263627634"

/* Rows that go as one parameter. */
enum ledger_row {
	ROW_CLAIM,
	ROW_SUBJECT,
	ROW_VOTE,
	ROW_STANDING,
	ROW_GLEANED_TEXT,
	ROW_GLEANED_EVIDENCE,
	LEDGER_ROWS
};

struct ledger {
	struct pg *pg;
	struct pg_row_type rows[LEDGER_ROWS];
	struct pg_array arrays[LEDGER_ARRAYS];
	size_t n_arrays;
	struct buf audit; /* lines of this batch */
	struct buf out;
	struct work *work; /* between claim and settle; in the batch's arena */
};

/* Arrays for one statement: begin, take as many as needed, send. pg_send copies, so the next statement begins anew. */
void arrays_begin(struct ledger *l);
struct pg_array *array_of(struct ledger *l, enum pg_type type);
struct pg_array *rows_of(struct ledger *l, enum ledger_row row);

/* Which of several records about one thing is the last. Within a partition the offset says so. Between partitions, as after a topic was given
 * more of them, it is the records' timestamps, taken so that in one batch they never go back within a partition. */
struct fact_clock {
	int32_t part; /* of the last one asked about; -1: none yet */
	int64_t at;
};
int64_t fact_stamp(struct fact_clock *c, const struct filing *f);
/* t: the row that is there. */
#define FACT_LATER(t)                                                               \
	t ".source <> excluded.source OR CASE WHEN " t ".part = excluded.part"      \
	  " THEN " t ".\"offset\" < excluded.\"offset\" ELSE (" t ".stamped_at, " t \
	  ".\"offset\", " t                                                         \
	  ".part) < (excluded.stamped_at, excluded.\"offset\", excluded.part) END"

/* The touched sender and service; NULL: the batch does not touch it. */
const struct touched *touched_at(
	const struct touched *t, size_t n, int64_t sender_id, enum service service);
/* "8491*****78"; a name as it is. Borrowed from either. */
const char *masked_sender(const struct sender *s, char room[MASKED_TEXT]);

/* claim.c: fence, control, ids. Sends its statements; the answers settle dispositions and outcome numbers. */
struct claims;
MUST_USE enum rc claims_send(struct ledger *l, const struct ledger_settings *s,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct claims **out,
	struct err *e);
MUST_USE enum rc claims_recv(struct ledger *l, struct claims *k, struct ledger_batch *b,
	struct control *control, bool *fenced, struct err *e);

/* people.c: reporters and senders, found or made. */
MUST_USE enum rc people_send(
	struct ledger *l, struct work *w, struct ledger_batch *b, struct arena *a, struct err *e);
MUST_USE enum rc people_recv(struct ledger *l, struct work *w, struct err *e);
MUST_USE enum rc people_make(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct err *e);

/* votes.c: votes merged and read back, what is known of their senders. */
MUST_USE enum rc votes_merge(struct ledger *l, struct work *w, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct touched **touched, size_t *n_touched,
	struct err *e);

/* Protection, votes, floors, decisions and open cases of the touched senders, who are locked; w->open and w->fresh are set. */
MUST_USE enum rc votes_read(struct ledger *l, struct work *w, struct touched *t, size_t n,
	int64_t now_us, struct arena *a, struct err *e);

/* contacts.c: contact facts beside the reports. contacts_waiting gives claimed reports those that came before them; contacts_note keeps
 * the batch's, and changes the votes of reports that are there already. */
MUST_USE enum rc contacts_waiting(
	struct ledger *l, struct work *w, struct ledger_batch *b, struct err *e);
MUST_USE enum rc contacts_note(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct touched **touched,
	size_t *n_touched, struct err *e);
/* Cases that the facts left without a reason to be, or with another beginning. */
MUST_USE enum rc contacts_mend(struct ledger *l, const struct work *w, const struct touched *t,
	int64_t now_us, struct arena *a, int *sent, struct err *e);

/* facts.c: the other facts, each into its table. Senders whose number has another subscriber are touched: what came before counts no more. */
MUST_USE enum rc facts_note(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct touched **touched,
	size_t *n_touched, struct err *e);

/* decided.c: what was decided before. */
MUST_USE enum rc known_send(struct ledger *l, const struct pg_param touched[3], struct err *e);
MUST_USE enum rc known_recv(
	struct ledger *l, struct work *w, size_t n_touched, struct arena *a, struct err *e);

/* casework.c: cases found, opened and moved. `sent` counts the statements whose answers are still to be received. */
MUST_USE enum rc cases_send_open(struct ledger *l, const struct pg_param touched[3], struct err *e);
MUST_USE enum rc cases_recv_open(struct ledger *l, struct work *w, struct err *e);
MUST_USE enum rc cases_shared(struct ledger *l, const struct ledger_settings *s, struct work *w,
	const struct ledger_batch *b, int64_t now_us, struct arena *a, struct err *e);
MUST_USE enum rc cases_gather(struct ledger *l, const struct ledger_settings *s, struct work *w,
	const struct ledger_batch *b, const struct touched *t, size_t n_touched, struct arena *a,
	struct err *e);
MUST_USE enum rc cases_store(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, const struct touched *t, int64_t now_us, struct arena *a, int *sent,
	struct err *e);
/* Receives what cases_store sent, `sent` answers: what became of cases goes into the audit. */
MUST_USE enum rc cases_recv(struct ledger *l, const struct work *w, const struct touched *t,
	size_t n, int sent, struct err *e);
void case_new_id(char out[CASE_ID]);
/* The case of a touched sender and class; NULL: the batch touches none. */
const struct kase *case_of(const struct work *w, size_t touched, enum report_class c);
/* When the ladder of a class begins to count, once it left observe; else TIME_NONE. */
int64_t case_counting(const struct touched *t, enum report_class c);

/* forged.c: cases of senders whose number or name somebody else uses. Sent and received like the other cases. */
MUST_USE enum rc forged_send(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, const struct touched *t, size_t n, int64_t now_us, struct arena *a,
	int *sent, struct err *e);
MUST_USE enum rc forged_recv(
	struct ledger *l, const struct touched *t, size_t n, int sent, struct err *e);

/* actions.c: what was decided, and the wishes that follow. */
struct ruling;
struct docket {
	struct ruling *at;
	size_t n;
	bool recorded; /* its episodes were sent and answer with audit lines */
};
MUST_USE enum rc actions_send(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, const struct touched *t, size_t n_touched, int64_t now_us,
	struct arena *a, struct docket *out, int *sent, struct err *e);
/* Receives what actions_send sent, in its order. */
MUST_USE enum rc actions_recv(struct ledger *l, const struct docket *d, int sent,
	const struct touched *t, size_t n_touched, struct err *e);

/* glean.c: what the texts of the claimed reports have in common with others, left for whoever folds it. */
MUST_USE enum rc glean_send(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct ledger_batch *b, int *sent, struct err *e);

/* store.c: reports, quarantine, messages out, counters, standing, audit. */
MUST_USE enum rc reports_copy(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, const struct ledger_batch *b, int64_t now_us, struct err *e);
MUST_USE enum rc records_send(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, const struct ledger_batch *b, int64_t now_us, struct arena *a,
	int *sent, struct err *e);
MUST_USE enum rc standing_send(struct ledger *l, const struct ledger_settings *s,
	const struct touched *touched, size_t n_touched, int *sent, struct err *e);
MUST_USE enum rc audit_send(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, int64_t now_us, struct arena *a, int *sent, struct err *e);

/* control.c */
extern const char control_read_sql[];
MUST_USE enum rc control_of(struct pg_result *r, struct control *out, struct err *e);
