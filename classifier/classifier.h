/* classifier: text in, label and terms out; votes in, sender score and ladder walk out. Pure: no I/O but loading packs, no clock of its
 * own. The exact definitions are in docs/judgement.md sections 2, 4 and 5. */
#pragma once

#include "base/base.h"

/* ---- folding ---- */

/* The folded copy and its way back: raw byte range of folded byte i is [map[i], map[i + 1]). map has len + 1 entries. */
struct folded {
	struct slice text;
	const uint32_t *map;
};
/* Folds at most BOUND_CONTENT bytes of raw. Linear. What it makes lives in the arena. RC_LIMIT when the arena is full. Invalid UTF-8
 * bytes fold to a blank. */
struct fold_table; /* homoglyphs; immutable */
MUST_USE enum rc fold_table_load(const char *path, struct fold_table **out, struct err *e);
void fold_table_free(struct fold_table *t);
OWNER(fold_table_free, struct fold_table);
MUST_USE enum rc fold(
	const struct fold_table *t, struct slice raw, struct arena *a, struct folded *out);

/* ---- campaigns ---- */

#define SKETCH_KEPT 32 /* hashes */
#define SKETCH_BANDS 16
#define SKETCH_LEAST 6   /* features below which a text is too short to be compared */
#define SKETCH_ALIKE 0.3 /* from here on two texts are copies of one campaign */

/* What a text has in common with its copies (docs/judgement.md 2.3). Two texts are candidates when they share a band key (of the same
 * number or not: keys of different bands do not meet), and copies when sketch_alike is SKETCH_ALIKE or more. */
struct sketch {
	uint64_t fingerprint;            /* a simhash: names a campaign */
	uint32_t kept, low[SKETCH_KEPT]; /* ascending */
	uint32_t bands;                  /* SKETCH_BANDS, or 0: too short */
	uint64_t band[SKETCH_BANDS];
};
void sketch_make(struct slice folded, struct sketch *out);
double sketch_alike(const struct sketch *a,
	const struct sketch *b); /* 0..1, symmetric; 1 with itself unless too short */

/* ---- evidence ---- */

enum evidence_kind {
	EVIDENCE_DOMAIN,
	EVIDENCE_URL,
	EVIDENCE_PHONE,
	EVIDENCE_ACCOUNT,
	EVIDENCE_HANDLE
};
enum { /* flags of domains and urls */
	EVIDENCE_SHORTENER = 1,
	EVIDENCE_LOOKALIKE = 2,
	EVIDENCE_ABUSED_TLD = 4,
	EVIDENCE_HIDDEN = 8,
	EVIDENCE_IP = 16,
};
struct evidence {
	enum evidence_kind kind;
	unsigned flags;
	struct slice
		value; /* normalised: "vcb-abc.top", "vcb-abc.top/x", "84912345678", "0123456789", "zalo:84912345678" */
	uint32_t raw_at, raw_len; /* where it stands in the raw text */
};
const char *evidence_name(enum evidence_kind k); /* "domain", "url", "phone", "account", "handle" */
/* The name of the n-th flag that is set, "shortener", "lookalike", "abused_tld", "hidden", "ip_address"; NULL: there are no more. */
const char *evidence_flag(unsigned flags, size_t n);

/* ---- rules and the verdict on a text ---- */

struct pack; /* compiled rule packs; immutable, shared by threads */
/* Reads every *.yaml of rules_dir in byte order. RC_INVALID: every "file:line: what" in c (bad pattern, slow pattern, failing example,
 * unknown key, double symbol); nothing is loaded. */
MUST_USE enum rc pack_load(const char *rules_dir, const char *fold_table_path, struct complaints *c,
	struct pack **out, struct err *e);
/* The same, keeping in cache_dir (made when it is missing; empty: no cache) what takes long to compile. A pack whose every byte was loaded before, by the
 * same library on the same kind of processor, is taken from there and its examples are not tried again. What lies there damaged is made anew. */
MUST_USE enum rc pack_load_cached(const char *rules_dir, const char *fold_table_path,
	const char *cache_dir, struct complaints *c, struct pack **out, struct err *e);
void pack_free(struct pack *p);
OWNER(pack_free, struct pack);
const char *pack_version(const struct pack *p); /* "vn-2026.11", joined by "+" when several */
void pack_hash(const struct pack *p, uint8_t out[SHA256_LEN]); /* over the files' bytes */
size_t pack_rules(const struct pack *p);

struct term {
	const char *name; /* symbol; lives as long as the pack */
	double weight;
	enum label label;
	struct slice
		match; /* raw text that matched; empty for combinations; borrowed from the content */
	uint32_t raw_at; /* where in the raw content */
};
struct verdict {
	enum label label;
	double score;         /* calibrated probability of spam or scam, 0..1 */
	bool undecided;       /* a match limit was hit: the rule did not count */
	bool cut;             /* content was longer than BOUND_CONTENT */
	uint64_t fingerprint; /* sketch.fingerprint */
	struct sketch sketch;
	struct folded folded; /* the text that was judged; lives until the scan's next text */
	size_t terms;
	struct term term[BOUND_TERMS]; /* strongest first */
	size_t evidences;
	struct evidence evidence[BOUND_EVIDENCE]; /* values live until the scan's next text */
	size_t shadows;
	struct term shadow
		[BOUND_SHADOWS]; /* rules on trial that fired: they changed nothing; strongest first */
};

/* The evidence in a text (docs/judgement.md 2.4), as the verdict has it; f is raw folded with the pack's own table. A pure function. Values live in
 * the arena. RC_LIMIT: the arena is full. */
MUST_USE enum rc pack_extract(const struct pack *p, const struct folded *f, struct arena *a,
	struct evidence out[BOUND_EVIDENCE], size_t *n);

struct scan; /* a thread's scratch: match data, JIT stack, hs scratch, arena */
MUST_USE enum rc scan_new(const struct pack *p, struct scan **out, struct err *e);
void scan_free(struct scan *s);
OWNER(scan_free, struct scan);
/* Judges one text. Never fails on input. The verdict borrows from content and pack. */
void classify(struct scan *s, struct slice content, struct verdict *out);
/* The verdict as members of a JSON object, without the braces: label, score, terms, shadow when there are some, fingerprint; with explain also
 * where terms stand, cut, undecided, the folded text, evidence and bands. */
void verdict_write(const struct verdict *v, bool explain, struct buf *out);

/* ---- the token model: docs/model.md ---- */

struct model; /* immutable, shared by threads */
/* Maps a model file. RC_NONE: no such file. RC_INVALID: not a model, cut or damaged; the cause names the file. */
MUST_USE enum rc model_load(const char *path, struct model **out, struct err *e);
void model_free(struct model *m);
OWNER(model_free, struct model);
const char *model_version(const struct model *m);
void model_hash(const struct model *m, uint8_t out[SHA256_LEN]); /* the file's checksum */
/* From now on the model speaks in the verdicts of this scan; NULL: none does. The model must outlive the scan. RC_RETRY: out of memory. */
MUST_USE enum rc scan_model(struct scan *s, const struct model *m, struct err *e);

/* Labelled texts of TSV files: a header line; columns label (ham, spam, scam), text, and when there are any lang and source. */
struct texts;
/* Texts are folded as the pack folds them; it must outlive them. */
MUST_USE enum rc texts_new(const struct pack *p, struct texts **out, struct err *e);
void texts_free(struct texts *t);
OWNER(texts_free, struct texts);
/* always: learnt from in every training, never tested. Complains about every bad line; RC_INVALID when there was one. */
MUST_USE enum rc texts_add(
	struct texts *t, const char *path, bool always, struct complaints *c, struct err *e);
/* After the last file: leaves out doubles and finds families of near-doubles. */
MUST_USE enum rc texts_settle(struct texts *t, struct err *e);
size_t texts_count(const struct texts *t);

struct train_options {
	const char *version; /* 1 to 39 of a-z 0-9 . - */
	unsigned bits;       /* 2^bits weights a head: 10 to 22 */
	double cost;         /* how much a mistake weighs against large weights */
};
#define TRAIN_OPTIONS                                     \
	{                                                 \
		.version = "local", .bits = 17, .cost = 8 \
	}
/* A whole model file into `out` (its cap at least 256 MiB) and a report for people into `report`. Deterministic. RC_INVALID: no ham, or no spam and scam. */
MUST_USE enum rc model_train(const struct texts *t, const struct train_options *o, struct buf *out,
	struct buf *report, struct err *e);

struct eval_options {
	const struct pack *pack;   /* NULL: the model alone */
	const struct model *model; /* NULL: none, or trained on the other folds */
	size_t folds; /* 0: no training; else the texts of a fold are judged by a model of the others */
	bool each;      /* one line a text instead of a report */
	bool by_source; /* the folds are the sources instead */
	struct train_options train;
	double (*now_s)(void); /* for the throughput; NULL: left out */
};
MUST_USE enum rc model_eval(
	const struct texts *t, const struct eval_options *o, struct buf *report, struct err *e);

/* ---- votes, score and ladder of a sender ---- */

/* struct vote, enum report_class and enum rung are in base/words.h. */

/* What a vote can decide, the most first. Each kind has a bound of its own, so that whoever can report without end pushes nothing out of sight
 * that he could not have said himself. */
enum vote_kind { VOTE_MATCHED, VOTE_VERIFIED, VOTE_FORGED, VOTE_OTHER };
#define VOTE_KINDS 4
extern const size_t vote_bound[VOTE_KINDS];
enum vote_kind vote_kind_of(const struct vote *v);
/* dst and src are of the same sender, service, reporter and day. Commutative, associative, idempotent. */
void vote_merge(struct vote *dst, const struct vote *src);

struct score_weights {
	double half_life_s, bias, reporters, scam, velocity, spread, text, claim, contact, campaign,
		behaviour, poll;
};

struct score_term {
	const char *name; /* static: "REPORTERS", "SCAM", … */
	double weight;
};
struct score {
	double value;  /* 0..1; 0 with no terms when nothing counts */
	int64_t as_of; /* TIME_NONE when nothing counts */
	size_t terms;
	struct score_term term[12];
};
/* Order of votes does not matter. floor: TIME_NONE or a time; votes with first_at < floor are left out. known: NULL is nothing. */
void score_votes(const struct score_weights *w, const struct vote *votes, size_t n, int64_t floor,
	const struct signals *known, struct score *out);

/* Who lets the machine do it: nobody need be asked, one person, two. */
enum approval { APPROVAL_AUTO, APPROVAL_PERSON, APPROVAL_TWO };
struct ladder_rung {
	enum rung rung;
	int reporters;
	bool leg; /* needs the independent second leg */
	int64_t terms_s[4];
	size_t terms; /* 0: no action */
	const char *basis;
	unsigned who;           /* bit of every enum attribution that it is for */
	unsigned services;      /* bit of every enum service */
	int64_t from_us, to_us; /* in force at times in [from_us, to_us); to_us 0: open-ended */
	int repeats;            /* so many episodes must have counted before it */
	const char *action;     /* instead of what the attribution says; NULL: that */
	enum approval approval;
};
struct ladder {
	int64_t good_time_s; /* so long without an episode forgives one; 0: nothing is ever forgiven */
	struct ladder_rung rung[16]; /* ascending */
	size_t rungs;
};
struct episode {
	enum rung rung;
	int64_t decided_at, until; /* received_at of the deciding report; decided_at + term */
	int reporters, yes;        /* counted at decided_at */
	const struct ladder_rung *by;
};
#define BOUND_EPISODES 64 /* the newest are kept */
struct walk {
	enum rung peak;
	int64_t peak_at;
	bool one_leg; /* a bar or throttle count was reached at some time without a leg, and no episode runs or ran after it */
	int64_t one_leg_at; /* first such time, TIME_NONE */
	size_t episodes;
	size_t earlier; /* episodes dropped from the front */
	int level;      /* of the newest episode: how many before it still counted when it began */
	struct episode episode[BOUND_EPISODES]; /* by decided_at */
};
/* Walks the votes of one sender and service for one class in event-time order. A pure function of the set. known: NULL is nothing. scratch: arena
 * for sorting. */
MUST_USE enum rc ladder_walk(const struct ladder *l, enum report_class c, int64_t window_s,
	int contact_yes, const struct vote *votes, size_t n, int64_t floor,
	const struct signals *known, struct arena *scratch, struct walk *out);

/* ---- policy ---- */

struct policy {
	char version[64];
	uint8_t hash[SHA256_LEN];
	double text_scam_at;
	struct score_weights score;
	int64_t window_s, late_after_s;
	int contact_yes;
	int spoofed_reporters, spoofed_fewer_yes;
	int64_t clock_s[CLASSES];
	struct ladder ladder
		[CLASSES]; /* all rungs of the file: policy_ladder picks those for one sender */
	struct {
		int notices;
		int64_t every_s, one_way_s, both_s;
		const char *basis;
	} registration;
	struct {
		int sample; /* 0: nobody is asked */
		int answers;
		double yes_share;
		int64_t apart_s, wait_s;
	} poll;
	struct {
		int64_t confirmed_s
			[CLASSES]; /* a block that a person confirmed, without an end of its own */
		int64_t appeal_automatic_s, appeal_confirmed_s;
		bool appeal_working; /* counted in working time */
	} people;
	struct cutoffs cuts;
	char action[6][12]; /* by enum attribution: "bar_out", "bar_in", "person" */
	int cap_hour, cap_day, growth_min;
	double growth_share;
	struct slice scam_category[64];
	size_t scam_categories;
	struct yaml_doc *doc; /* what the texts above borrow from */
};
MUST_USE enum rc policy_load(
	const char *path, struct complaints *c, struct policy **out, struct err *e);
void policy_free(struct policy *p);
OWNER(policy_free, struct policy);
/* The rungs for senders of this attribution and service. Borrows from the policy. */
void policy_ladder(const struct policy *p, enum report_class c, enum attribution a, enum service s,
	struct ladder *out);
/* What the rung does to such a sender: "bar_in", "bar_out", "throttle", "person". */
const char *rung_action(const struct policy *p, const struct ladder_rung *r, enum attribution a);
bool policy_scam_category(const struct policy *p, struct slice category); /* ASCII case-blind */

/* Somebody else uses this sender's number or name, as its votes tell: docs/judgement.md section 6. */
struct spoofed {
	bool any;         /* some vote says so at all */
	bool is;          /* enough of them to open a case */
	int64_t first_at; /* where that case begins; TIME_NONE when it is none */
	int64_t at;       /* the last time at which it held */
	int reporters;    /* who say so at any time */
};
/* A pure function of the set of votes. floor as above. scratch: arena for sorting. */
MUST_USE enum rc spoofed_look(const struct policy *p, const struct vote *votes, size_t n,
	int64_t floor, struct arena *scratch, struct spoofed *out);
