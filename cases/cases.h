/* cases: the ledger. Reports, reporters, senders, votes, cases, actions, outcomes in PostgreSQL; the fence that makes a batch count exactly
 * once. One batch is one transaction in two rounds: ledger_claim reads and locks what the batch touches, the engine judges, ledger_settle
 * writes and commits. */
#pragma once

#include "blocklist/blocklist.h"

/* ---- partitions: offset, fence, conservation ---- */
struct part {
	char topic[64];
	int32_t part;
	int64_t epoch, next_offset;
	int attempts;      /* crashes seen at next_offset */
	char stopped[128]; /* not empty: nobody may take it */
};
/* Takes the partition over: epoch + 1, owner = me; waits for a transaction of the former owner that is still committing, so its answer is
 * the truth. counts the attempt when the former owner did not release it. Creates the row at first sight (next_offset = first). */
MUST_USE enum rc part_acquire(struct pg *c, const char *source, const char *topic, int32_t part,
	const char *me, struct part *out, struct err *e);
/* Sets where a partition that has never moved begins (its oldest record may have been deleted). RC_CONFLICT: not ours, or it has moved. */
MUST_USE enum rc part_begin(
	struct pg *c, const char *source, struct part *p, int64_t first, struct err *e);
MUST_USE enum rc part_release(struct pg *c, const char *source, const struct part *p,
	struct err *e); /* a clean stop: attempts = 0 */
/* Nobody may take it until a person resumes it; from p->next_offset on Kafka has nothing before `to` (smaller: that is not known). With its gap
 * and its audit entry in one transaction of its own. RC_CONFLICT: it has another owner by now, who is left alone. */
MUST_USE enum rc part_stop(struct pg *c, const char *source, const struct part *p, int64_t to,
	int64_t now_us, const char *actor, const char *why, struct err *e);
/* A person lets a stopped partition go on from `from`, also before where it stopped; -1: from where its gap ends. The gap then tells what was passed
 * over, and *from where it goes on. RC_NONE: no such partition; RC_CONFLICT: it is not stopped; RC_INVALID: its gap knows no end, say where. */
MUST_USE enum rc part_resume(struct pg *c, const char *source, const char *topic, int32_t part,
	int64_t *from, int64_t now_us, const char *actor, struct err *e);
/* Appends one JSON object a line: source, topic, partition, owner, next_offset, records, stopped, and of the gap that waits or was the last
 * gap_from, gap_to, noticed_at, resumed_at, resumed_by. Only of one source unless it is NULL. */
MUST_USE enum rc part_list_json(struct pg *c, const char *source, struct buf *out, struct err *e);

/* ---- one batch ---- */

/* One record as the ledger takes it; the engine fills it from the decoder's report and the classifier's verdict. Texts are borrowed until
 * ledger_settle returns. */
struct filing {
	int32_t part; /* index into ledger_batch.parts */
	int64_t offset;
	struct slice bytes;
	int64_t stamped_at; /* the record's timestamp; TIME_NONE when it has none */
	struct slice trace; /* the record's traceparent, or empty: goes with what is said of it */
	enum disposition
		disposition; /* in: ACCEPTED, REJECTED, ROUTED, QUARANTINED; out: the final one */
	const char *reason;  /* in and out */
	const char *detail;
	struct slice report_id;
	enum kind kind;
	enum service service;
	enum channel channel;
	int64_t received_at, occurred_at;
	struct slice reporter; /* E.164 digits */
	bool verified;
	struct sender sender;
	enum attribution attribution;
	const char *carrier, *number_class;
	bool by_table;
	struct slice sender_raw, hint;
	struct slice content, category, extra;
	enum matched matched;
	enum origin origin;
	int32_t duration_s;
	bool counts, spoofed;       /* weight before the reporter's trust is 1 or 0 */
	struct slice registry_text; /* of ROUTED */
	uint8_t id_hash[MAC_LEN], body_mac[MAC_LEN], reporter_mac[MAC_LEN];
	const struct fact *
		fact; /* of a record beside the reports, when it was understood; then only its place counts */
	/* the verdict on the text */
	enum report_class cls;
	enum label label;
	float text_score;   /* the verdict's score when spam or scam, else 0 */
	struct slice terms; /* JSON */
	uint64_t fingerprint;
	/* what its text has in common with others (docs/judgement.md 2.3, 2.4); sketch empty: too short to be compared */
	struct slice sketch,
		bands; /* packed big-endian: its values, 32 bits each; its bands, 64 bits each */
	uint64_t text_key; /* of the sketch */
	const struct clue *clues;
	size_t n_clues;
};
/* A piece of evidence. */
struct clue {
	int kind; /* 0 domain, 1 url, 2 phone, 3 account, 4 handle */
	unsigned flags;
	struct slice value; /* normalised */
};

/* The counters of one partition's share of the batch. */
struct batch_part {
	struct part *part;
	int64_t from, next; /* expected and new next_offset */
	int64_t records;
};

/* A quarantined record that is taken through again: the one filing of its batch. `why` is for the audit. */
struct retry {
	int64_t offset;
	const char *why;
};

struct ledger_batch {
	const struct retry *retry; /* NULL: records from Kafka */
	enum feed of;              /* all filings are reports, or facts of this kind */
	struct batch_part *parts;
	size_t n_parts;
	struct filing *filings; /* in order of partition and offset */
	size_t n;
};

/* What the batch touched, for the engine to judge: one per (sender, service) with an accepted report that has a sender. */
struct touched {
	int64_t sender_id;
	struct sender sender;
	enum service service;
	enum attribution attribution;
	bool is_protected;
	int64_t floor; /* TIME_NONE: none */
	struct vote *
		votes; /* those that take part (docs/judgement.md section 3), this batch's merged in */
	size_t n_votes;
	struct signals signals;
	bool cut; /* there are more that the ladder would count */
	/* filled by the engine */
	float score;
	int64_t as_of;
	struct slice terms; /* JSON */
	struct {
		bool present; /* a case of this class is touched or must exist */
		enum rung peak;
		int64_t peak_at;
		struct decided {
			enum rung rung;
			const char *action; /* bar_in … person */
			int64_t decided_at, until;
			const char *state, *reason,
				*basis; /* shadow, expired, held, wanted, ended */
			int reporters, matched;
		} * episodes; /* every episode of the walk, oldest first */
		size_t n_episodes;
		size_t earlier; /* episodes before those: more than a walk keeps */
		bool one_leg;
		int64_t one_leg_at;
	} cls[CLASSES];
	struct {
		bool any; /* a vote says that somebody else uses this sender's number or name */
		bool is;  /* enough of them for a case of its own */
		int64_t first_at, at;
		int reporters;
	} spoofed;
};

struct control {
	int64_t generation;
	char mode[8];
	bool kill_switch;
	uint8_t policy[SHA256_LEN], rules[SHA256_LEN];
	bool has_model;
	uint8_t model[SHA256_LEN]; /* zeros without one */
};

/* What a batch needs that does not change with it. */
struct ledger_settings {
	const char *source, *actor; /* "engine/worker-1" */
	const struct keys *keys;
	const char *rules_version, *policy_version;
	int64_t clock_s[CLASSES];
	int64_t quarantine_keep_s;
};

struct ledger; /* one per worker: connection and reusable arrays */
MUST_USE enum rc ledger_open(const struct pg_options *o, struct ledger **out, struct err *e);
void ledger_close(struct ledger *l);
OWNER(ledger_close, struct ledger);
struct pg *ledger_pg(struct ledger *l);

/* Round one: BEGIN, fence, control, claims, subjects, senders (locked in order), votes merged and read back. On RC_OK *touched lists what the
 * engine judges (in the arena). RC_CONFLICT with *fenced: this owner was replaced, drop the batch. Any failure leaves the transaction to
 * ledger_abort. */
MUST_USE enum rc ledger_claim(struct ledger *l, const struct ledger_settings *s,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct control *control,
	struct touched **touched, size_t *n_touched, bool *fenced, struct err *e);
/* Round two: cases, actions, wishes, dirty keys, standing, reports by COPY, quarantine, outbox, audit, COMMIT. RC_RETRY with
 * pg_broken(ledger_pg(l)): the COMMIT's answer may be lost; acquire the partitions again to learn the truth. */
MUST_USE enum rc ledger_settle(struct ledger *l, const struct ledger_settings *s,
	struct ledger_batch *b, struct touched *touched, size_t n_touched, int64_t now_us,
	struct arena *a, struct err *e);
void ledger_abort(struct ledger *l);

/* ---- what texts have in common: campaigns and evidence ---- */

/* Reads the column `legs` of the table signal. */
void signals_legs(struct slice text, struct signals *out);
/* How alike two packed sketches are. */
typedef double sketches_alike(struct slice a, struct slice b);
/* Folds some of what workers have gleaned from texts, in one transaction, one process at a time. Order does not matter. *left: there is more. RC_NONE: there
 * was nothing, or another process does it. */
MUST_USE enum rc glean_fold(struct pg *c, sketches_alike *alike, bool *left, struct err *e);
/* Begins a transaction that judges some senders again, because what is known beside their votes has changed by these cut-offs: as ledger_claim, of a batch without
 * records. RC_NONE: none waits, or another process does it; nothing was begun. */
MUST_USE enum rc ledger_again(struct ledger *l, const struct cutoffs *k, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct control *control, struct touched **touched,
	size_t *n_touched, struct err *e);
/* People say what a campaign is: its texts of now are upheld or dismissed, or (open) neither. RC_NONE: no text has this fingerprint. */
MUST_USE enum rc campaign_decide(struct pg *c, uint64_t fingerprint, const char *state,
	const char *why, const char *actor, int64_t now_us, int64_t *texts, struct err *e);
/* One JSON object: the campaigns with two reports or more, newest first, after the cursor's. */
MUST_USE enum rc campaigns_json(struct pg *c, int64_t before_at, int64_t before_id, int64_t limit,
	struct buf *out, struct err *e);
/* One campaign by the fingerprint of any of its texts. RC_NONE: there is none. */
MUST_USE enum rc campaign_json(struct pg *c, uint64_t fingerprint, struct buf *out, struct err *e);

/* One JSON object: the rules that fired on reports of the last 30 days (at most the newest 200,000), those on trial too, with how many of the cases people have upheld or
 * overturned. */
MUST_USE enum rc rules_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e);

/* Weighs every reporter by the decisions on the cases that he reported; in one transaction, noted in the audit. nightly: only when this actor has
 * not yet done it today, from 3 o'clock on (else RC_NONE). */
MUST_USE enum rc trust_run(struct pg *c, bool nightly, const char *actor, int64_t now_us,
	int64_t *changed, struct err *e);

/* ---- quarantine ---- */
struct quarantine_place {
	const char *source; /* NULL: whichever there is, if there is one */
	const char *topic;
	int32_t part;
	int64_t offset;
};
struct quarantined {
	char source[64], reason[64], state[12];
	char detail[256], trace[64];
	int64_t at, size;   /* of the whole record; what is kept may be less */
	struct slice bytes; /* in the caller's arena */
};
/* Appends one JSON object a line, the newest first: at most `limit` of this state (NULL: any), reason and topic (NULL: any), behind `cursor`
 * (NULL: from the newest on; RC_INVALID: it is none). `next`, which may be NULL, gets the cursor of the page after a full one. */
MUST_USE enum rc quarantine_page(struct pg *c, const char *state, const char *reason,
	const char *topic, const char *cursor, int64_t limit, struct buf *out, char *next,
	size_t room, struct err *e);
/* For a terminal: nothing that could move its cursor. */
void quarantine_printable(struct slice s, struct buf *out);
/* The record with its bytes unsealed. RC_NONE: there is none; RC_CONFLICT: several sources have one; RC_INVALID: the seal does not hold. */
MUST_USE enum rc quarantine_read(struct pg *c, const struct keys *k,
	const struct quarantine_place *p, struct arena *a, struct quarantined *out, struct err *e);
/* Notes in the audit that somebody looked at the bytes; before they are shown. */
MUST_USE enum rc quarantine_looked(struct pg *c, const struct quarantine_place *p,
	const char *actor, const char *why, int64_t now_us, struct err *e);
/* Gives the record up. RC_CONFLICT: it is not open. p->source must be given. */
MUST_USE enum rc quarantine_drop(struct pg *c, const struct quarantine_place *p, const char *actor,
	const char *why, int64_t now_us, struct err *e);

/* ---- control and artifacts ---- */
MUST_USE enum rc control_read(
	struct pg *c, struct control *out, struct err *e); /* RC_NONE: nothing was activated yet */
/* Stores the files of `paths` (a policy file, or a rules folder's *.yaml) and answers their hash. */
MUST_USE enum rc artifact_store(struct pg *c, const char *kind, const char *version,
	const char *const *paths, size_t n, int64_t now_us, uint8_t hash[SHA256_LEN],
	struct err *e);
/* What a stored policy says of people's decisions, in seconds; repeatable. */
struct people_terms {
	int64_t confirmed_s[CLASSES]; /* by enum report_class */
	int64_t appeal_automatic_s, appeal_confirmed_s;
	bool appeal_working;
};
MUST_USE enum rc people_terms_store(struct pg *c, const uint8_t policy[SHA256_LEN],
	const struct people_terms *t, struct err *e);
/* Writes the artifact's files into `dir` (created 0700). */
MUST_USE enum rc artifact_fetch(
	struct pg *c, const uint8_t hash[SHA256_LEN], const char *dir, struct err *e);
MUST_USE enum rc control_activate(struct pg *c, const char *mode, const uint8_t policy[SHA256_LEN],
	const uint8_t rules[SHA256_LEN], const uint8_t *model /* NULL: none */, int64_t now_us,
	const char *actor, struct err *e);

/* The kill switch stops automatic additions to the list, on every instance within a second, until it is turned off; what is listed stays. */
MUST_USE enum rc control_kill_switch(
	struct pg *c, bool on, int64_t now_us, const char *actor, bool *changed, struct err *e);

/* ---- schema ---- */
/* Applies sql/NNNN_*.sql of dir in order under an advisory lock, each file in its own transaction, checksums kept; repeatable, safe at once and
 * interrupted. Also makes report partitions for three months. */
MUST_USE enum rc schema_migrate(
	struct pg *c, const char *dir, int64_t now_us, int *applied, struct err *e);
/* RC_INVALID: the schema is older or newer than this program knows (e says which). */
MUST_USE enum rc schema_check(struct pg *c, const char *dir, struct err *e);

/* ---- lifting what the machine or a person blocked; the authority's orders stay ---- */
/* Which blocks and held proposals; what is NULL, TIME_NONE or 0 does not narrow. At least one must. */
struct lift_which {
	const struct sender *sender;
	const char *case_id;
	const char *rule; /* a symbol that the verdict on one of the case's reports names */
	const char *rules, *policy, *model; /* versions of pack, policy and model that decided */
	int64_t since, until;               /* recorded in [since, until) */
	int64_t from_release, to_release;   /* listed by one of these, both included */
	int service;                        /* -1: both */
};
struct lift_done {
	int64_t wishes, senders,
		reports; /* reports: that will be told that what they led to was reversed */
	bool waits;      /* for the second person's word */
};
/* What would be lifted: one JSON object a line. RC_INVALID: nothing narrows. */
MUST_USE enum rc lift_preview(struct pg *c, const struct lift_which *w, struct arena *a,
	struct buf *out, int64_t *n, struct err *e);
/* Lifts in one transaction, so in one release: wishes end, cases close as lifted, a floor at now_us lets no earlier vote count for automatic
 * actions on the sender and service, so what else was wished of them ends too; the reports get the outcome `reversed` (lift_tell). More than
 * alone_max wishes wait for a second person who narrows by the same words within a day. RC_NONE: there is nothing to lift; RC_DENIED: the first person's word again. */
MUST_USE enum rc lift_carry_out(struct pg *c, const struct lift_which *w, const char *why,
	int64_t alone_max, const char *actor, int64_t now_us, struct arena *a,
	struct lift_done *out, struct err *e);

/* The keeper's share: the next reports of lifted cases are told, at most 50,000 at a time. */
MUST_USE enum rc lift_tell(struct pg *c, int64_t now_us, struct err *e);

/* ---- authority orders: docs/orders.md ---- */
struct order_item {
	struct slice raw, shown; /* as written; with \\xNN for what is no text */
	int line;                /* of a CSV file; of JSON the item's place, from 1 */
	int same_as;       /* the line of the first one with this sender; 0: it is the first */
	const char *fault; /* why it is no sender; NULL: it is one */
	struct sender sender;
	enum attribution attribution;
	const char *carrier, *number_class;
	bool by_table, emergency;
};
/* What the file says. Texts live in its arena. */
struct order {
	struct slice document_no, issuer, legal_basis;
	struct slice amends, revokes; /* a document_no; empty: none */
	int64_t signed_at, received_at;
	int64_t deadline, until; /* TIME_NONE: none, open-ended */
	struct slice action;     /* bar_out, bar_in, bar_both, recall */
	bool service[SERVICES];
	enum report_class cls;
	uint8_t list_sha256[SHA256_LEN];
	struct order_item *items;
	size_t n, invalid, duplicates;
};
/* Reads order/1, JSON or CSV with a JSON head; a BOM and CRLF line ends are read past. A file whose list does not have its hash, is cut, or whose
 * numbers a spreadsheet has mangled is refused whole: RC_INVALID with every "name:line: what" in c. Single items that are no senders leave
 * RC_OK and are counted. RC_LIMIT: too many items, or the arena is full. */
MUST_USE enum rc order_read(const struct plan *p, const char *name, struct slice file,
	struct arena *a, struct complaints *c, struct order *out, struct err *e);

/* What became of a file. */
struct order_done {
	bool waits;       /* for the second person, who accepts that some items are no senders */
	bool breach;      /* it was carried out after its deadline */
	bool former_gone; /* what it amends or revokes was not in force here */
	int64_t wished, held, not_ours, expired; /* senders and services */
};
/* Takes the order in, whole or not at all: document, items, cases, actions, wishes that pass every cap, requests to the HLR and BSS, the end of what
 * it amends or revokes, audit. With invalid items it waits for order_approve, and without accept_valid it is refused (RC_INVALID). RC_NONE: this
 * very file is in already. RC_CONFLICT: another one has its document_no. `file` is kept sealed. */
MUST_USE enum rc order_import(struct pg *c, const struct keys *k, const struct order *o,
	struct slice file, bool accept_valid, const char *actor, int64_t now_us, struct arena *a,
	struct order_done *out, struct err *e);
/* The second person's word for an order that waits. RC_DENIED: the first one's own; RC_NONE: none waits. */
MUST_USE enum rc order_approve(struct pg *c, const char *document_no, const char *actor,
	int64_t now_us, struct arena *a, struct order_done *out, struct err *e);
/* Lets a held target (a protected sender) through; the first person's word waits for a second one's: *waits. RC_NONE: nothing is held there. */
MUST_USE enum rc order_release(struct pg *c, const char *document_no, int line, const char *actor,
	int64_t now_us, struct arena *a, bool *waits, struct err *e);
/* Ends an order on the word of a later document of the authority that has no list of its own. RC_NONE: no such order is in force. */
MUST_USE enum rc order_revoke(struct pg *c, const char *document_no, const char *by,
	const char *actor, int64_t now_us, struct arena *a, int64_t *ended, struct err *e);
/* The keeper's share: what consumers have proved is noted, orders whose time is over end. `far` is the caller's memory of how far the consumers were
 * ("" at first): only when that changes the targets that wait are looked through. */
#define ORDERS_FAR 128
MUST_USE enum rc orders_tend(struct pg *c, int64_t now_us, char far[ORDERS_FAR], struct err *e);
/* CSV by a column template ("line,sender=raw,receipt,at"): NAME or TITLE=NAME of line, raw, scope, value, receipt, reason, at.
 * RC_INVALID: an unknown column; RC_NONE: no such order. */
MUST_USE enum rc order_receipt_csv(struct pg *c, const char *document_no, struct slice columns,
	struct buf *out, struct err *e);
/* Appends one JSON object a line per order: document_no, issuer, action, times, state, breach, items. */
MUST_USE enum rc order_list_json(struct pg *c, struct buf *out, struct err *e);

/* ---- clocks, calendar, duty, alerts: docs/clocks.md ---- */
/* The keeper's share: warnings at three quarters of a clock, breaches, escalations, deadlines of orders, caps that hold. Each raises alerts. */
MUST_USE enum rc clocks_tend(struct pg *c, int64_t now_us, struct err *e);
/* Replaces the calendar (date,kind,name) or the roster (from,to,who,contact,escalate) by the file when it has changed. RC_INVALID: complaints, nothing
 * changed. c NULL: the file is only read. */
MUST_USE enum rc calendar_load(struct pg *c, const char *path, int64_t now_us,
	struct complaints *complaints, struct err *e);
MUST_USE enum rc duty_load(struct pg *c, const char *path, int64_t now_us,
	struct complaints *complaints, struct err *e);
/* body: a JSON object. */
MUST_USE enum rc alert_raise(struct pg *c, const char *kind, const char *severity, const char *body,
	int64_t now_us, struct arena *a, struct err *e);
/* One that is to be sent to one address. Texts live in the arena. */
struct alert {
	int64_t id;
	const char *url;
	int attempts; /* before this one */
	struct slice body;
};
/* The next one that is due for one of these addresses. RC_NONE: none is. */
MUST_USE enum rc alert_take(struct pg *c, const char *const *urls, size_t n, int64_t now_us,
	struct arena *a, struct alert *out, struct err *e);
/* error "": it was taken. Else it is tried again at next_us. */
MUST_USE enum rc alert_done(struct pg *c, const struct alert *t, const char *error, int64_t next_us,
	int64_t now_us, struct arena *a, struct err *e);
MUST_USE enum rc alert_list_json(struct pg *c, struct buf *out, struct err *e);

/* ---- advertising: docs/adverts.md ---- */
/* Replaces the Do-Not-Call list (number,service,from,to) or the brandnames (name,owner,from,to) by the file when it has changed. RC_INVALID:
 * complaints, nothing changed. pg NULL: the file is only read, and k may be NULL. */
MUST_USE enum rc adverts_load(struct pg *pg, const struct keys *k, bool dnc, const char *path,
	int64_t now_us, struct complaints *c, struct err *e);
/* Appends `"adverts":[{fact, yes, no, unknown, violates, limit},…]` of a case: how many of its reports show each. */
MUST_USE enum rc adverts_json(struct pg *c, const char *case_id, struct buf *out, struct err *e);

/* ---- protected senders by the hand of people, what is held: docs/protected.md ---- */
/* Adds the rows of a CSV text (as the protected file's) when a second person asks for the very same within a day: *waits. RC_DENIED: the first
 * one's word again; RC_INVALID: complaints. */
MUST_USE enum rc protect_add(struct pg *c, const char *name, struct slice csv, const char *actor,
	int64_t now_us, struct complaints *complaints, bool *waits, size_t *n, struct err *e);
/* Takes one away, by two people too. */
MUST_USE enum rc protect_remove(
	struct pg *c, int64_t id, const char *actor, int64_t now_us, bool *waits, struct err *e);
/* One JSON object a line: id, scope, low, high, service, owner, reason, until, origin. */
MUST_USE enum rc protect_list_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e);
/* The queue for people: open cases about protected senders, the most reported first. */
MUST_USE enum rc protect_reports_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e);

/* Which held wishes; NULL does not narrow. Those of protected senders and of one leg are never meant: people decide their cases. */
struct held_which {
	const char *case_id, *reason; /* cap_hour, cap_day, review_mode, needs_person */
};
/* One JSON object a line: what is held and why, the strongest first; reason NULL: all of them. */
MUST_USE enum rc held_list_json(struct pg *c, const char *reason, struct buf *out, struct err *e);
/* Lets held wishes through, past every cap, whose time is not over; more than alone_max need a second person: *waits. RC_NONE: there are none;
 * RC_INVALID: nothing narrows. */
MUST_USE enum rc held_release(struct pg *c, const struct held_which *w, const char *why,
	int64_t alone_max, const char *actor, int64_t now_us, int64_t *n, bool *waits,
	struct err *e);

/* ---- what others are asked to do: docs/executors.md ---- */
/* Of the active policy and control row. */
struct executors {
	bool asks;    /* mode review or auto: in shadow nothing leaves the house */
	bool may_bar; /* mode auto */
	int poll_sample, poll_answers;
	double poll_share;
	int64_t poll_apart_s, poll_wait_s;
	int notices;
	int64_t notice_every_s, one_way_s, both_s;
	const char *registration_basis;
};
/* What a keeper remembers between two calls; zeros at first. */
struct executors_seen {
	char consumers[ORDERS_FAR];
};
/* The keeper's share, every few seconds: requests to the HLR or BSS for own subscribers on the list, what was executed, polls asked and decided,
 * registration notices and bars. */
MUST_USE enum rc executors_tend(struct pg *c, const struct executors *x, int64_t now_us,
	struct executors_seen *seen, struct err *e);
/* Opens the registration ladder for an own subscriber whose data are wrong; case_id has room for 24. RC_CONFLICT: it is open already;
 * RC_INVALID: no own number. */
MUST_USE enum rc registration_open(struct pg *c, const struct sender *s, enum attribution a,
	const char *why, const char *actor, int64_t now_us, char case_id[24], struct err *e);
/* The subscriber has put it right (or it was a mistake): bars end, the case closes as lifted. RC_NONE: none is open. */
MUST_USE enum rc registration_end(struct pg *c, const char *case_id, const char *why,
	const char *actor, int64_t now_us, struct err *e);
/* A person's word for the two-way bar that is due. RC_NONE: none is. */
MUST_USE enum rc registration_bar_both(
	struct pg *c, const char *case_id, const char *actor, int64_t now_us, struct err *e);
/* Appends one JSON object a line per open one. */
MUST_USE enum rc registration_list_json(struct pg *c, struct buf *out, struct err *e);

/* ---- reading: the API's queries, each answers one JSON text ---- */
/* The explanation of a sender: blocks back to release, action, case, verdict terms and reports; held; protected. RC_NONE: never heard of. */
MUST_USE enum rc sender_json(
	struct pg *c, const struct sender *s, int64_t now_us, struct buf *out, struct err *e);
MUST_USE enum rc why_json(
	struct pg *c, const struct sender *s, int64_t now_us, struct buf *out, struct err *e);
MUST_USE enum rc report_json(
	struct pg *c, const struct keys *k, struct slice report_id, struct buf *out, struct err *e);
/* {"hours":[{at, scam, nuisance, added, removed}]} of the last 48, the one under way too. */
MUST_USE enum rc hours_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e);
MUST_USE enum rc stats_json(struct pg *c, int64_t now_us, struct buf *out, struct err *e);

/* ---- tokens ---- */
struct token_who {
	char name[64], role[16];
	bool loopback;
	bool person; /* a session of one, not a token */
};
/* A prefix of four characters and 40 of the URL-safe base64 alphabet: 240 random bits. */
void token_secret(const char prefix[5], char out[64]);
MUST_USE enum rc token_create(struct pg *c, const struct keys *k, const char *name,
	const char *role, int64_t ttl_s, bool loopback, int64_t now_us, char out[64],
	struct err *e);
MUST_USE enum rc token_check(struct pg *c, const struct keys *k, struct slice token, int64_t now_us,
	struct token_who *out, struct err *e);

/* Appends one JSON object per token: name, role, loopback, created_at, expires_at, revoked_at, last_used_at. */
MUST_USE enum rc token_list_json(struct pg *c, struct buf *out, struct err *e);
MUST_USE enum rc token_revoke(struct pg *c, const char *name, const char *actor, int64_t now_us,
	struct err *e); /* RC_NONE: no such token */

/* ---- people who log in ---- */
#define PERSON_NAME 40
/* All of them write an audit entry under `actor` ("person:NAME"); changes of a person end the sessions. RC_NONE: no such person. */
MUST_USE enum rc person_create(struct pg *c, const char *name, const char *role,
	struct slice password, const char *actor, int64_t now_us,
	struct err *e); /* RC_CONFLICT: there is one; RC_INVALID: name, role, password */
MUST_USE enum rc person_disable(struct pg *c, const char *name, bool disabled, const char *actor,
	int64_t now_us, struct err *e);
MUST_USE enum rc person_role(struct pg *c, const char *name, const char *role, const char *actor,
	int64_t now_us, struct err *e);
MUST_USE enum rc person_password(struct pg *c, const char *name, struct slice password,
	const char *actor, int64_t now_us, struct err *e);
/* A new secret for one-time codes, told once; or none is asked for any more. */
MUST_USE enum rc person_totp(struct pg *c, const struct keys *k, const char *name, bool on,
	const char *actor, int64_t now_us, char out[TOTP_TEXT], struct err *e);
/* Appends a list of {name, role, totp, created_at, disabled_at, last_login_at, sessions}. */
MUST_USE enum rc person_list_json(struct pg *c, struct buf *out, struct err *e);
struct login {
	struct slice name, password, code; /* code: empty when none was given */
	const char *address;               /* of who asks */
	bool code_needed;                  /* who has none set up is refused */
	int64_t idle_s, ttl_s;
};
struct session_new {
	char token[64], role[16];
	int64_t expires_us, step;
	bool code_wanted; /* with RC_DENIED: the password was right */
};
/* RC_DENIED: wrong, and counted; RC_LIMIT: too often, and not even looked at. Takes some tenths of a second. */
MUST_USE enum rc person_login(struct pg *c, const struct keys *k, const struct login *l,
	int64_t now_us, struct session_new *out, struct err *e);
MUST_USE enum rc session_end(struct pg *c, const struct keys *k, struct slice token,
	const char *name, int64_t now_us, struct err *e); /* RC_NONE: it has ended */

extern const struct conf_table cases_conf; /* database.dsn, quarantine.keep … */

#include "cases/desk.h"
