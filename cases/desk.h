/* cases, the people's half: the life of a case as a table, what people decide and what follows, and the readings that they decide by. Texts of
 * answers are JSON, made in one statement each. Included by cases/cases.h. */
#pragma once

/* ---- the life of a case: docs/cases.md is drawn from this table ---- */
enum life_state {
	LIFE_OPEN = 1,
	LIFE_VERIFYING = 2,
	LIFE_HELD = 4,
	LIFE_ENFORCED = 8,
	LIFE_APPEALED = 16,
	LIFE_CLOSED = 32,
	LIFE_SAME = 64,    /* as a next state: as it was */
	LIFE_FORMER = 128, /* as before it was closed */
};
struct life_step {
	unsigned from; /* states in which the event is permitted */
	const char *event;
	enum life_state to;
	const char *outcome; /* of a case that closes; "" else */
	const char *who;     /* "machine", "keeper", or the roles that may */
	bool stops;          /* the clock */
	const char *finding; /* "right", "wrong" of what was reported; "" none */
	const char *entry;   /* what is done on the way, in words */
};
extern const struct life_step life_steps[];
extern const size_t life_steps_count;
const char *life_name(enum life_state s);
unsigned life_parse(struct slice s); /* 0: no state */
/* NULL: not permitted in this state. */
const struct life_step *life_find(enum life_state from, struct slice event);
/* Whether the machine or anybody may take a case from one state into another. */
bool life_permits(enum life_state from, enum life_state to);
/* The table and the diagram as Markdown. */
void life_draw(struct buf *out);

/* ---- decisions: inside the caller's transaction, with their audit entry ---- */
struct decision {
	const char *case_id;
	int64_t version;          /* that the person saw; -1: whichever it is */
	const char *actor, *role; /* "token:NAME"; NULL role: any */
	struct slice event;       /* uphold, bar, throttle, label, lift, no_action, refer, … */
	struct slice detail; /* bar_in, bar_out, bar_both, recall; empty: by who the sender is */
	struct slice reason, basis, toward;
	int64_t until; /* TIME_NONE with `open_ended` */
	bool has_until, open_ended;
	bool bulk;   /* one of many */
	bool agreed; /* two people want it */
};
struct decided_case {
	char state[12],
		why_two[64]; /* why_two: not "": nothing was done, a second person is needed */
	int64_t version;
};
/* RC_NONE: no such case; RC_CONFLICT: the version is another one; RC_INVALID: not possible in this state, or wants another detail;
 * RC_DENIED: not by this role, or only the authority may. */
MUST_USE enum rc case_decide(struct pg *c, const struct decision *d, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e);
/* Keeps a decision for a second person. `body` is the decision as JSON; `out` is the proposal's id. */
MUST_USE enum rc proposal_keep(struct pg *c, const char *const *cases, size_t n, int64_t version,
	struct slice body, const char *why, const char *actor, int64_t now_us, struct arena *a,
	int64_t *out, struct err *e);
/* A proposal that waits, locked; its fields into the arena. RC_NONE: none does; RC_DENIED: it is the actor's own; RC_INVALID: a day is over. */
struct proposal {
	const char **cases;
	size_t n;
	int64_t version;
	struct slice body;
};
MUST_USE enum rc proposal_take(struct pg *c, int64_t id, const char *actor, bool agree,
	struct slice reason, int64_t now_us, struct arena *a, struct proposal *out, struct err *e);

/* Who works on it; "" nobody. */
MUST_USE enum rc case_assign(struct pg *c, const struct decision *d, struct slice assignee,
	int64_t now_us, struct arena *a, struct decided_case *out, struct err *e);
MUST_USE enum rc case_note(struct pg *c, const struct decision *d, struct slice text,
	int64_t now_us, struct arena *a, struct decided_case *out, struct err *e);
/* Opens an appeal against a block, with the deadline that the active policy says. */
MUST_USE enum rc appeal_begin(struct pg *c, const struct decision *d, struct slice grounds,
	int64_t now_us, struct arena *a, struct decided_case *out, struct err *e);
MUST_USE enum rc appeal_end(struct pg *c, const struct decision *d, bool granted, int64_t now_us,
	struct arena *a, struct decided_case *out, struct err *e);
/* d's case into another one, and back. */
MUST_USE enum rc case_merge(struct pg *c, const struct decision *d, const char *into,
	int64_t now_us, struct arena *a, struct decided_case *out, struct err *e);
MUST_USE enum rc case_split(struct pg *c, const struct decision *d, const char *which,
	int64_t now_us, struct arena *a, struct decided_case *out, struct err *e);
/* The keeper's share: appeals whose time is over are granted; unless quiet_s is 0, quiet nuisance cases close and old replies are forgotten. */
MUST_USE enum rc cases_tend(struct pg *c, int64_t quiet_s, int64_t now_us, struct err *e);

/* ---- readings ---- */
/* One JSON value from a statement that answers one row of one text column. RC_NONE: no row, or NULL. */
MUST_USE enum rc read_value(struct pg *c, const char *sql, const struct pg_param *p, int n,
	struct buf *out, struct err *e);
/* {"items":[…],"next":"…"|null} from a statement that answers rows (text JSON, text cursor); it was asked for limit + 1 rows. */
MUST_USE enum rc read_page(struct pg *c, const char *sql, const struct pg_param *p, int n,
	int64_t limit, struct buf *out, struct err *e);
/* What an analyst narrows by; empty slices and TIME_NONE do not narrow. */
struct case_query {
	struct slice states; /* "open,held" */
	struct slice service, cls, kind, outcome, assignee, clock, attribution;
	struct slice sender;       /* a fragment of a number or name */
	struct slice text, domain; /* of a report's content; folded */
	struct slice order;        /* a document_no */
	int64_t from, to;          /* first_at in [from, to) */
	int64_t after_us;          /* of the cursor; TIME_NONE: from the start */
	struct slice after_id;
	int64_t limit;
};
MUST_USE enum rc case_list(struct pg *c, const struct case_query *q, int64_t now_us,
	struct arena *a, struct buf *out, struct err *e);
MUST_USE enum rc case_read(struct pg *c, const char *id, int64_t now_us, struct buf *out,
	int64_t *version, struct err *e);
/* Appends text with numbers of four digits and more hidden: codes, accounts, phone numbers. */
void text_hide(struct slice text, struct buf *out);
/* Reports of a case and of those merged into it: {"items":[…],"next":…}. */
MUST_USE enum rc case_reports(struct pg *c, const char *id, bool unmasked, int64_t after_us,
	struct slice after_id, int64_t limit, struct arena *a, struct buf *out, struct err *e);

/* ---- evidence ---- */
/* Appends a case as a tar archive: texts, verdict terms, versions, steps, actions, acknowledgements, audit entries; MANIFEST.sha256 over all of them, its
 * Ed25519 signature and the public key. Reporters are in it as numbers of no meaning, the same person the same one. RC_NONE: no such case. */
MUST_USE enum rc case_bundle(struct pg *c, const struct keys *k, const char *id, int64_t now_us,
	struct buf *out, struct err *e);
/* ---- weekly and monthly reports ---- */
/* The tables of [from, to) as CSV sections or as a page to print, in Vietnamese. */
MUST_USE enum rc report_tables(struct pg *c, int64_t from_us, int64_t to_us, int64_t now_us,
	bool html, struct buf *out, struct err *e);
