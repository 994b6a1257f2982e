/* blocklist: what is blocked, why, until when: wishes, protected senders, releases, the lookup mirror, Redis and feed formats. Formats are
 * those of the published contract: docs/blocklist.md. */
#pragma once

#include "audit/audit.h"

/* One line of the list. Texts live with their owner (arena, mirror). until 0: open-ended, else unix seconds. */
struct entry {
	enum scope scope;
	const char *value;
	enum service service;
	const char *action; /* "bar", "throttle", "label" */
	const char *case_id;
	int64_t until_s;
	const char *basis;
	int64_t release; /* that put it there */
};

#define ENTRY_LINE 256 /* room that any line of a stored entry fits in */

/* ---- digest: sum modulo 2^256 of SHA-256(scope|value|service|action|case|until) ---- */
struct digest {
	uint8_t sum[32]; /* big-endian */
};
size_t entry_line(
	const struct entry *e, char *out, size_t room); /* the line hashed, NUL-terminated */
void digest_add(struct digest *d, const struct entry *e);
void digest_sub(struct digest *d, const struct entry *e);
void digest_hex(const struct digest *d, char out[65]);
MUST_USE enum rc digest_parse(struct slice hex, struct digest *out);
uint8_t entry_bucket(const struct entry *e); /* first byte of SHA-256(scope|value|service) */
void entry_json(const struct entry *e,
	struct buf *out); /* the contract's entry object, without op and release */

/* The head of a list: which one, how far, what it holds. */
struct list_mark {
	char list[37]; /* uuid text; "" none */
	int64_t release;
	int64_t count;
	struct digest digest;
};

/* ---- protected senders ---- */
/* Replaces the rows of origin 'file' by the CSV (scope,value,service,owner,reason,until; scope `range` has value LOW-HIGH or LOW-HIGH except A B), in one
 * transaction, and marks every sender inside old or new rows dirty. RC_INVALID: every "file:line: what" in c, nothing changed. *changed is
 * false when the table already says so. */
MUST_USE enum rc protected_load(struct pg *c, const char *path, int64_t now_us,
	struct complaints *complaints, bool *changed, struct err *e);
/* The same file, only read: RC_INVALID as above. */
MUST_USE enum rc protected_check(
	const char *path, int64_t now_us, struct complaints *complaints, struct err *e);
/* Inside the caller's transaction: rows by the hand of people, written as in the file (header and all), beside those of the file. */
MUST_USE enum rc protected_put(struct pg *c, const char *name, struct slice csv, const char *who,
	int64_t now_us, struct complaints *complaints, size_t *n, struct err *e);
/* Inside the caller's transaction: takes one of those away again. RC_NONE: there is none, or it is the file's. */
MUST_USE enum rc protected_drop(
	struct pg *c, int64_t id, const char *who, int64_t now_us, struct arena *a, struct err *e);
/* SQL text: true when the sender of the caller's row `s` (columns s.scope, s.value) is protected for the service `svc` at the time `at`, both
 * SQL texts of the caller: PROTECTED_EXISTS("v.service", "$3"). A macro, because a statement must be one literal. */
#define PROTECTED_EXISTS(svc, at)                                                                  \
	"(EXISTS (SELECT FROM protected p WHERE p.scope = s.scope AND p.low = s.value AND p.high " \
	"= s.value"                                                                                \
	" AND (p.service IS NULL OR p.service = " svc ") AND (p.until IS NULL OR p.until > " at    \
	"))"                                                                                       \
	" OR EXISTS (SELECT FROM protected p WHERE p.low <> p.high AND textspan(p.low, p.high, "   \
	"'[]') @> s.value"                                                                         \
	" AND p.scope = s.scope AND length(p.low) = length(s.value)"                               \
	" AND (p.service IS NULL OR p.service = " svc ") AND (p.until IS NULL OR p.until > " at    \
	")))"

/* ---- the keeper's release ---- */
struct caps {
	int per_hour, per_day, growth_min;
	double growth_share;
};
struct release_out {
	bool made; /* a release was written */
	struct list_mark mark;
	int added, removed, held, overflow; /* overflow: waits for the next release */
};
/* One release transaction: fence (keeper.epoch = epoch), take dirty keys, expire, recompute entries from wishes, protection, caps and kill
 * switch, write release, changes, head; chain the audit; COMMIT. RC_CONFLICT: fenced, another one leads. Repeatable after RC_RETRY.
 * Nothing dirty and nothing expired: RC_OK, made=false, and pending audit rows are chained all the same. */
MUST_USE enum rc release_make(struct pg *c, int64_t epoch, int64_t now_us, const struct caps *caps,
	bool kill_switch, struct release_out *out, struct err *e);
/* Starts a lineage when there is none (first start). */
MUST_USE enum rc list_ensure(struct pg *c, int64_t now_us, struct err *e);
/* Forgets the releases made before `before_us`, but for the newest 1,000: a reader that is older gets the whole list. */
MUST_USE enum rc release_prune(struct pg *c, int64_t before_us, struct err *e);

/* ---- memory mirror: the list in memory, following the release log; one writer thread, any number of readers ---- */
struct mirror;
MUST_USE enum rc mirror_new(struct mirror **out, struct err *e);
void mirror_free(struct mirror *m);
OWNER(mirror_free, struct mirror);
/* Brings the mirror up to the head: a full load first, then changes. Call from one thread; RC_NONE when nothing was new. */
MUST_USE enum rc mirror_follow(struct mirror *m, struct pg *c, int64_t now_mono_us, struct err *e);
struct lookup {
	char action[12], case_id[24], basis[128];
	int64_t until_s, release;
};
/* RC_OK: *out; RC_NONE: clean; RC_RETRY: unknown (no list, or older than stale_max_s). age_s: seconds since the mirror last knew that it was
 * current. Entries past their until are clean. Readers never block the writer. */
MUST_USE enum rc mirror_lookup(struct mirror *m, const struct sender *s, enum service service,
	int64_t now_s, int64_t now_mono_us, int64_t stale_max_s, struct lookup *out,
	int64_t *age_s);
bool mirror_mark(struct mirror *m, struct list_mark *out,
	int64_t *synced_mono_us); /* false before the first full load */
/* Waits until the mirror's release is above `after` or wait_ms have passed. */
void mirror_wait(struct mirror *m, int64_t after, int wait_ms);
size_t mirror_bytes(const struct mirror *m);

/* ---- the whole list in memory, for those who walk it: it stays as it is until it is unpinned, while the mirror goes on ---- */
struct table;
const struct table *mirror_pin(struct mirror *m); /* NULL: none was loaded yet */
void mirror_unpin(const struct table *t);         /* NULL is fine */
OWNER(mirror_unpin, const struct table);
/* Of the part of a service; -1: of the whole. */
void table_mark(const struct table *t, int service, struct list_mark *out);
/* Texts of the entry live as long as the pin, but value only as long as the call. */
typedef bool entry_each(void *arg, const struct entry *e);
/* False: there is none. Texts of *out live as long as the pin; scope, service and value are left out. */
bool table_find(const struct table *t, enum scope scope, enum service service, struct slice value,
	struct entry *out);
/* In an order that means nothing. False: `each` stopped it. */
bool table_each(const struct table *t, int service, entry_each *each, void *arg);

/* ---- reading the list for feeds ---- */
/* Streams head, entries and tail (JSON lines) of a list through `put`, which returns false to stop. service -1: both. Head and tail carry
 * count and digest of what is sent, and are the same line: a stream without its tail is to be thrown away. False: stopped, or out of memory. */
typedef bool feed_put(void *arg, struct slice piece);
MUST_USE bool feed_snapshot(
	const struct table *t, int service, int64_t now_s, feed_put *put, void *arg);
/* 256 sums, one for each first byte of SHA-256(scope|value|service), that add up to the digest. */
void feed_buckets(const struct table *t, int service, struct digest out[256]);
/* {"list","from","to","more","count","digest","changes":[…]}: whole releases after `after`, at most BOUND_CHANGES_PER_ANSWER changes unless
 * one release alone is larger; count and digest of the service's part at `to`. *mark: the head. RC_CONFLICT: another list, ahead, or too
 * old: mark tells where to start. RC_LIMIT: the next release alone is larger than out may be, now and ever: mark tells where to start. */
MUST_USE enum rc feed_changes(struct pg *c, const char *list, int64_t after, int service,
	struct buf *out, struct list_mark *mark, struct err *e);

/* {"destinations":[{"value":"113","why":"police"},…]}: traffic towards these is never barred. Travels with every feed. */
MUST_USE enum rc feed_exempt(struct pg *c, struct buf *out, struct err *e);

/* ---- clients that keep no position of their own */
/* Where a token at an address was last. RC_NONE: never here. */
MUST_USE enum rc feed_pull_at(struct pg *c, const char *token, const char *address,
	struct list_mark *out, int64_t *at_us, struct err *e);
typedef void feed_touched_each(
	void *arg, enum scope scope, struct slice value, const bool services[2]);
/* Every sender that changed in (from.release, to.release], once, and for which services; at most BOUND_PULL_CHANGES changes. RC_CONFLICT
 * without a state: it is no longer kept, or more. The caller owns *out. */
MUST_USE enum rc feed_touched(struct pg *c, const struct list_mark *from,
	const struct list_mark *to, struct pg_result **out, struct err *e);
/* Every sender of which the log, as far back as it is kept, has a removal. */
MUST_USE enum rc feed_removed(struct pg *c, struct pg_result **out, struct err *e);
void feed_touched_walk(const struct pg_result *r, feed_touched_each *each, void *arg);

/* ---- what consumers prove to hold ---- */
struct feed_ack {
	const char *consumer, *list;
	int service; /* -1: both */
	int64_t release, count;
	struct digest digest;
	const struct digest *buckets; /* 256, or NULL */
};
/* Compares with the list at that release, keeps it, and says {"state":"confirmed|differs",…,"findings":{…}}. t (may be NULL) is looked through for what
 * is missing or too many. RC_CONFLICT: another list, ahead, or too old: head tells where to start. RC_DENIED: the consumer belongs to another
 * token; RC_LIMIT: this one has enough of them. */
MUST_USE enum rc feed_ack_take(struct pg *c, const struct feed_ack *ack, const char *token,
	const struct table *t, int64_t now_us, struct buf *out, struct list_mark *head,
	struct err *e);
/* One consumer; -1: never. Texts live as long as the call. */
struct feed_consumer {
	const char *name, *token;
	const char *state; /* "confirmed", "fetched", "unknown" */
	int service;
	int64_t release, age_s; /* the last proof */
	int64_t behind_s;       /* since the first release that is not proved */
	int64_t fetched, fetched_age_s;
	const char *findings; /* JSON */
	int64_t head;
	bool named; /* false: a token that only fetched, without a name; nobody waits for its proof */
	bool alarm;
};
typedef void feed_consumer_each(void *arg, const struct feed_consumer *one);
MUST_USE enum rc feed_drift(struct pg *c, int64_t now_us, int64_t alarm_s, feed_consumer_each *each,
	void *arg, struct err *e);
/* A name belongs to the token that used it first. Gives it to another one, "": to the next that uses it. RC_NONE: no such consumer; RC_INVALID: no
 * such token. */
MUST_USE enum rc feed_consumer_give(
	struct pg *c, const char *name, const char *token, struct err *e);
MUST_USE enum rc feed_consumer_forget(struct pg *c, const char *name, struct err *e);

/* ---- projections: copies that follow the release log, each repeatable ---- */
struct projection;
struct projection_target {
	const char *url; /* redis: its address */
	const struct kafka_settings
		*kafka; /* kafka: brokers and properties; borrowed as long as the copy is open */
	const char *topic;
	int timeout_ms; /* of each question */
};
struct projection_ops {
	const char *name; /* as written in the configuration: "redis" */
	MUST_USE enum rc (*open)(
		const struct projection_target *t, struct projection **out, struct err *e);
	void (*close)(struct projection *p);
	MUST_USE enum rc (*at)(struct projection *p, struct list_mark *out,
		struct err *e); /* RC_NONE: empty, rebuild it */
	/* Applies the changes of releases (at.release, to], read from the ledger. RC_CONFLICT: not the next one: rebuild. */
	MUST_USE enum rc (*apply)(struct projection *p, struct pg *c, const struct list_mark *from,
		const struct list_mark *to, struct err *e);
	MUST_USE enum rc (*rebuild)(struct projection *p, struct pg *c, struct err *e);
	/* Compares the copy's entries with the list by digest; RC_CONFLICT: it differs, rebuild it. */
	MUST_USE enum rc (*sweep)(struct projection *p, struct pg *c, struct err *e);
};
extern const struct projection_ops projection_redis, projection_kafka;

/* ---- following from outside: `khien follow` */
struct follow_settings {
	const char *url, *key, *ca_file;
	const char *consumer; /* letters, digits, . _ - */
	const char *service;  /* "", "sms", "voice" */
	const char *out;      /* the file; NULL: none */
	const char *socket;   /* where to answer questions; NULL: nowhere */
	int wait_s, stale_s;  /* of a long poll; when an alarm is due */
	bool once;            /* up to date, acknowledged, done */
	const volatile int *stop;
};
/* Keeps the file and the socket equal to the list behind the HTTP feed until *stop. Goes on through every failure of the other side, with an
 * alarm in the log; the old list stays in force. RC_INVALID: the settings do not hold, or the key is refused with `once`. */
MUST_USE enum rc follow_run(const struct follow_settings *s, struct err *e);

extern const struct conf_table follow_conf; /* follow.url, follow.key_file, … */
extern const struct conf_table
	blocklist_conf; /* redis.urls, redis.timeout_ms, redis.sweep, kafka.topics.blocklist, kafka.sweep, protected.file, lookup.stale_max_s … */
