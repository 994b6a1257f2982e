/* What the files of this room share: the running API, its routes, its threads. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "api/http.h"

#define API_MAX_THREADS 64
#define API_MAX_ROUTES 128

#define API_MAKERS 2 /* threads that make long texts out of the list in memory */

struct tokens;
struct snapshots;
struct answers;
struct notes;
struct console;
struct contract;

enum lane_of { LANE_DATABASE, LANE_MEMORY, LANES };

struct api {
	struct api_settings s;
	struct http *http;
	struct mirror *mirror;
	struct tokens *tokens;
	struct snapshots *snapshots;
	struct answers *answers;
	struct {
		struct metric *consumer_age, *consumer_behind, *consumer_state, *consumer_alarm;
		struct metric *requests, *seconds, *lookups, *shed;
		struct metric_cell *usage, *pulls_anew, *long_polls, *streams, *list_release,
			*list_entries, *list_bytes, *list_age;
	} m;
	struct notes *notes;
	struct console *console; /* NULL: it is not built */
	struct contract *contract;
	int64_t stale_max_s, heartbeat_ms, alarm_s;
	_Atomic int64_t
		look_us; /* from when on the next wrong copy may be looked at; INT64_MAX: one is */
	int64_t measured_us; /* when consumers were last looked at; this and what was seen then are the
				tokens' thread's */
	struct measured {
		char name[64];
		bool seen;
	} measured[BOUND_CONSUMERS];
	size_t queue_max;
	/* exchanges that wait for a thread with a database connection; all under lock */
	pthread_mutex_t lock;
	struct lane {
		pthread_cond_t work;
		struct exchange *first, **last;
		size_t queued,
			strangers; /* strangers: of them with a token that is not known yet */
	} lane[LANES];
	bool closed;              /* nobody may queue or wait any more */
	bool drained;             /* threads end when the queue is empty */
	struct exchange *waiting; /* long polls */
	size_t waiting_count;
	int64_t looked_us;             /* when we last looked who of them hung up */
	_Atomic int64_t away_until_us; /* the database was away a moment ago */
	int64_t audit_seen;            /* the newest audit row; the tokens' thread's */
	_Atomic int64_t event;         /* the newest that is no reading; 0: not looked yet */
	int64_t woke_at;               /* the release that long polls were last woken for */
	pthread_t threads[API_MAX_THREADS], makers[API_MAKERS], follower, reader;
	int n_threads, n_makers;
	bool has_follower, has_reader;
	volatile int stopping;
};

static inline bool api_stopping(const struct api *a)
{
	return __atomic_load_n(&a->stopping, __ATOMIC_RELAXED) != 0;
}
static inline int64_t api_mono(const struct api *a)
{
	return a->s.clk->mono_us(a->s.clk);
}

/* A route's handler. pg is NULL for routes that live from memory, and may be for ON_THREAD. Answers the exchange, or returns without answering after
 * api_wait_for_release() said true. */
typedef void route_handler(struct api *a, struct pg *pg, struct exchange *x);

/* IN_MEMORY: at once. ON_THREAD: out of memory too, but it takes a moment. LAST_GOOD: the same, with list and tokens as they were last
 * known, however long ago. DESK: with the database, and only when the request keeps to api/openapi.json. */
enum route_place { IN_MEMORY, ON_THREAD, LAST_GOOD, WITH_DATABASE, DESK };

struct route {
	const char *method;
	const char *path;  /* "/v1/senders/{sender}/why": one variable segment at most */
	const char *roles; /* "viewer|analyst", "*" any token, "" public */
	enum route_place place;
	route_handler *run;
	bool lapi; /* CrowdSec's: who may not is told as it tells it */
};
extern const struct route api_routes[];
extern const size_t api_routes_count;

/* The route and its decoded variable. NULL: answered with 400, 404 or 405. HEAD is GET. */
const struct route *route_find(struct exchange *x, char variable[BOUND_PATH_PART]);

/* What the dispatcher found out, kept with the exchange (x_kept). */
struct request {
	const struct route *route;
	char variable[BOUND_PATH_PART]; /* the {…} segment */
	struct token_who who;
	bool known; /* who is filled, or nobody needs to be */
	int64_t started_us, queued_us;
	int64_t after, deadline_us; /* of a long poll or a stream */
	bool waited;
	char list[40]; /* what is followed */
	int service;
	char consumer[64];     /* who follows; "": nobody said */
	bool memory_is_enough; /* of a stream: the next piece needs no database, as far as we know */
	int64_t told_us;       /* of a stream of events: when something was said last */
	int64_t given;         /* the release that the answer brings to the client; 0: none */
	bool pulls;            /* and its position is ours to keep */
	bool gone;             /* of a stream: it was told that it cannot go on */
	char token[160];       /* as it was given, in whatever form */
	bool session;          /* by the cookie of a session */
	char cause[256];       /* of a failure: for the log only */
};
static inline struct request *request_of(struct exchange *x)
{
	return x_kept(x);
}

/* ---- tokens.c ---- */
struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);
/* RC_OK: *out; RC_DENIED: known to be bad; RC_NONE: ask the ledger. What was read longer than old_max_us ago is not believed. */
MUST_USE enum rc tokens_get(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t now_us,
	int64_t mono_us, int64_t old_max_us, struct token_who *out);
/* The same without being a use of it: nobody is at work, and an idle session ends. */
MUST_USE enum rc tokens_peek(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t now_us,
	int64_t mono_us, int64_t old_max_us, struct token_who *out);
/* It has ended just now: here at once, elsewhere with the next reading. */
void tokens_forget(struct tokens *t, const uint8_t mac[SHA256_LEN]);
/* What the ledger said of one. */
void tokens_put(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us, bool good,
	const struct token_who *who);
bool token_well_formed(struct slice token);
/* The thread's steps: what is valid is read; what was used since the last minute is noted. */
MUST_USE enum rc tokens_read(struct tokens *t, struct pg *pg, int64_t mono_us, struct err *e);
MUST_USE enum rc tokens_touch(
	struct tokens *t, struct pg *pg, int64_t now_us, int64_t mono_us, struct err *e);

/* ---- chores.c: a thread that works until the API stops ---- */
void *chores_run(void *api);

/* ---- given.c ---- */
#define SESSION_COOKIE "khien_session"
bool base64_decode(struct slice s, char *out,
	size_t room); /* NUL-terminated; false: it is none, or too long, or holds a NUL */
/* The token of a request, kept in r; the empty slice: none was given. */
struct slice token_given(const struct exchange *x, struct request *r);

/* ---- console.c ---- */
/* NULL: the folder does not hold it. */
struct console *console_new(const char *dir);
void console_free(struct console *c);
OWNER(console_free, struct console);

/* ---- events.c ---- */
MUST_USE enum rc events_look(struct api *a, struct pg *pg, struct err *e);
bool events_wait(struct api *a, struct exchange *x); /* false: we are stopping */

/* ---- session.c: people who log in ---- */
/* "person:NAME" or "token:NAME", for the audit and for what needs two people. */
void actor_of(const struct request *r, char out[80]);
/* What a session's writes have to carry; 32 hex digits. */
void session_csrf(const struct api *a, const struct request *r, char out[40]);
/* A read, or a write from our own page. */
bool session_write_good(const struct api *a, struct exchange *x);

/* Of one that goes on for long: it was neither revoked nor has it ended, as far as memory knows. */
bool token_still_good(struct api *a, const struct request *r);

/* ---- work.c: threads for what takes longer, most with a database connection, and long polls ---- */
MUST_USE bool work_start(struct api *a);
void work_stop(struct api *a); /* answers everything that waits, then ends the threads */
/* False: answered with 503. */
bool work_queue(struct api *a, struct exchange *x);
/* Parks the exchange until the list is another one or past `after`, or the deadline; then its handler runs again with request.waited
 * set. False: we are stopping, answer now. */
bool api_wait_for_release(struct api *a, struct exchange *x, int64_t after, int64_t wait_ms);
/* Moves the long polls that are due to the database threads: release and change of lineage, deadline, a client that hung up. */
/* Once more into the queue, by whoever holds it. False: we are stopping. */
bool work_again(struct api *a, struct exchange *x);
/* Which services those who have `after` wait for; [0]: both. */
void work_waits_at(struct api *a, int64_t after, bool wanted[]);
void work_wake(struct api *a, int64_t release, bool other_list, int64_t mono_us);
/* Whether the token of a request that needs one holds, asked in the ledger. False: answered. */
bool identify(struct api *a, struct pg *pg, struct exchange *x);
/* The same from what is known of the token in memory; where nothing is, known stays false and identify asks. False: answered. */
bool recognise(struct api *a, struct exchange *x, struct request *r);

/* ---- notes.c: who was given what ---- */
enum note_kind { NOTE_FETCHED, NOTE_PULLED };
struct note {
	enum note_kind kind;
	char name[64];    /* of a consumer; of a token */
	char address[64]; /* of a puller; else the token's name */
	char agent[64];   /* User-Agent of a puller */
	char list[40];
	int64_t release, at_us;
	bool said;  /* the consumer gave its name */
	bool fresh; /* not yet in the ledger */
};
struct notes *notes_new(void);
void notes_free(struct notes *n);
void notes_put(struct notes *n, const struct note *one);
bool notes_get(struct notes *n, struct note *inout); /* by kind, name and address */
/* The exchange's consumer was given the list up to a release, whole. */
void notes_fetched(struct api *a, struct exchange *x, const char *list, int64_t release);
MUST_USE enum rc notes_write(struct notes *n, struct pg *pg, struct err *e);

/* "to" of an answer with changes; it stands before any value of a stranger's. */
int64_t changes_to(struct slice changes);
void changes_key(char out[96], const char *list, int64_t after, int service);
/* Keeps in mind that what follows `after` is too large for an answer; RC_CONFLICT: a snapshot is needed. */
enum rc changes_too_large(struct api *a, const char *key, int64_t state);
/* ---- stream.c ---- */
/* Makes the answer of a release before those who wait for it are woken. */
void stream_prepare(
	struct api *a, struct pg *pg, const struct list_mark *was, const struct list_mark *now);
bool stream_idle(void *api, struct exchange *x);

/* ---- acks.c ---- */
MUST_USE enum rc acks_measure(struct api *a, struct pg *pg, int64_t mono_us, struct err *e);

/* ---- handlers ---- */
void handle_ack(struct api *a, struct pg *pg, struct exchange *x);
void handle_drift(struct api *a, struct pg *pg, struct exchange *x);
void handle_give(struct api *a, struct pg *pg, struct exchange *x);
void handle_forget(struct api *a, struct pg *pg, struct exchange *x);
void handle_stream(struct api *a, struct pg *pg, struct exchange *x);
void handle_lookup(struct api *a, struct pg *pg, struct exchange *x);
void handle_lookup_many(struct api *a, struct pg *pg, struct exchange *x);
void handle_snapshot(struct api *a, struct pg *pg, struct exchange *x);
void handle_changes(struct api *a, struct pg *pg, struct exchange *x);
void handle_exempt(struct api *a, struct pg *pg, struct exchange *x);
void handle_buckets(struct api *a, struct pg *pg, struct exchange *x);
void handle_kannel(struct api *a, struct pg *pg, struct exchange *x);
void handle_kannel_regex(struct api *a, struct pg *pg, struct exchange *x);
void handle_decisions(struct api *a, struct pg *pg, struct exchange *x);
void handle_decision_stream(struct api *a, struct pg *pg, struct exchange *x);
void handle_usage(struct api *a, struct pg *pg, struct exchange *x);
void handle_sender(struct api *a, struct pg *pg, struct exchange *x);
void handle_why(struct api *a, struct pg *pg, struct exchange *x);
void handle_report(struct api *a, struct pg *pg, struct exchange *x);
void handle_quarantine_list(struct api *a, struct pg *pg, struct exchange *x);
void handle_quarantine_show(struct api *a, struct pg *pg, struct exchange *x);
void handle_quarantine_act(struct api *a, struct pg *pg, struct exchange *x);
void handle_campaigns(struct api *a, struct pg *pg, struct exchange *x);
void handle_campaign(struct api *a, struct pg *pg, struct exchange *x);
void handle_campaign_decide(struct api *a, struct pg *pg, struct exchange *x);
void handle_rule_hits(struct api *a, struct pg *pg, struct exchange *x);
void handle_stats(struct api *a, struct pg *pg, struct exchange *x);
void handle_login(struct api *a, struct pg *pg, struct exchange *x);
void handle_logout(struct api *a, struct pg *pg, struct exchange *x);
void handle_hours(struct api *a, struct pg *pg, struct exchange *x);
void handle_events(struct api *a, struct pg *pg, struct exchange *x);
void handle_me(struct api *a, struct pg *pg, struct exchange *x);
void handle_page(struct api *a, struct pg *pg, struct exchange *x);
void handle_console(struct api *a, struct pg *pg, struct exchange *x);
void handle_root(struct api *a, struct pg *pg, struct exchange *x);
void handle_style(struct api *a, struct pg *pg, struct exchange *x);
void handle_openapi(struct api *a, struct pg *pg, struct exchange *x);
void handle_cases(struct api *a, struct pg *pg, struct exchange *x);
void handle_cases_csv(struct api *a, struct pg *pg, struct exchange *x);
void handle_case(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_events(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_reports(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_notes(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_bundle(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_act(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_bulk(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_note(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_assign(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_merge(struct api *a, struct pg *pg, struct exchange *x);
void handle_case_split(struct api *a, struct pg *pg, struct exchange *x);
void handle_appeal(struct api *a, struct pg *pg, struct exchange *x);
void handle_appeal_decision(struct api *a, struct pg *pg, struct exchange *x);
void handle_approvals(struct api *a, struct pg *pg, struct exchange *x);
void handle_approve(struct api *a, struct pg *pg, struct exchange *x);
void handle_care(struct api *a, struct pg *pg, struct exchange *x);
void handle_audit(struct api *a, struct pg *pg, struct exchange *x);
void handle_tokens(struct api *a, struct pg *pg, struct exchange *x);
void handle_token_create(struct api *a, struct pg *pg, struct exchange *x);
void handle_token_revoke(struct api *a, struct pg *pg, struct exchange *x);
void handle_order_take(struct api *a, struct pg *pg, struct exchange *x);
void handle_order_receipts(struct api *a, struct pg *pg, struct exchange *x);
void handle_order_act(struct api *a, struct pg *pg, struct exchange *x);
void handle_orders(struct api *a, struct pg *pg, struct exchange *x);
void handle_protected(struct api *a, struct pg *pg, struct exchange *x);
void handle_policy(struct api *a, struct pg *pg, struct exchange *x);
void handle_rules(struct api *a, struct pg *pg, struct exchange *x);
void handle_health(struct api *a, struct pg *pg, struct exchange *x);
void handle_ready(struct api *a, struct pg *pg, struct exchange *x);
void handle_metrics(struct api *a, struct pg *pg, struct exchange *x);

/* ---- scratch.c: a long answer in an unlinked file ---- */
struct scratch;
struct scratch *scratch_new(
	bool gzip); /* NULL: out of memory; whatever else fails is told at the end */
void scratch_free(struct scratch *s); /* NULL is fine */
OWNER(scratch_free, struct scratch);
bool scratch_put(void *arg, struct slice piece); /* false: it failed, and goes on to */
/* Frees s; -1: something failed. Else the file is the caller's. */
MUST_USE int scratch_end(struct scratch *s, uint64_t *size);

bool gzip(struct slice plain, struct buf *out);    /* false: no memory, or over out's cap */
bool gunzip(struct slice packed, struct buf *out); /* false: it is none, or over out's cap */

/* ---- decisions.c ---- */
void lapi_error(struct exchange *x, int status, const char *message); /* {"message":"…"} */
/* The client of an exchange whose answer went out whole stands at request.given now. */
void decisions_pulled(struct api *a, struct exchange *x);

/* The last snapshot of each kind, as files that several answers send. */
struct snapshots *snapshots_new(void);
void snapshots_free(struct snapshots *s);
/* The last answers that many exchanges ask for at once: changes since a release, the status page. At most BOUND_ANSWERS bytes. */
struct answers *answers_new(void);
void answers_free(struct answers *s);
struct shared *answers_get(
	struct answers *s, const char *key, int64_t state); /* NULL: none; else the caller's */
void answers_put(struct answers *s, const char *key, int64_t state, struct shared *text);

/* ---- contract.c: api/openapi.json, to which the routes of the place DESK are held ---- */
struct contract *contract_new(
	struct err *e); /* NULL: out of memory, or it is not what it should be */
void contract_free(struct contract *k);
/* Query and body keep to the operation; its media type is JSON. False: answered. */
bool contract_holds(struct api *a, struct exchange *x);
struct slice contract_text(void);
/* The operation of a route: JSON_NONE when there is none. */
struct json contract_operation(const struct contract *k, const struct route *r);
/* Whether the value is as the schema says; else "where: what" in e. */
MUST_USE enum rc contract_check(
	const struct contract *k, struct json schema, struct json value, struct err *e);

/* ---- readings.c ---- */
/* Notes in the audit who looked at what; RC_OK or it must not be shown. */
MUST_USE enum rc note_reading(struct api *a, struct pg *pg, struct exchange *x, const char *what,
	const char *whom, struct err *e);
/* Parameters of a list that the contract has looked at already. */
struct slice arg_or_none(const struct exchange *x, const char *name);
int64_t arg_limit(const struct exchange *x);
/* cursor=MICROSECONDS.ID; false: answered with 400. TIME_NONE: none was given. */
bool arg_cursor(struct exchange *x, int64_t *us, struct slice *id);
void answer_json(struct exchange *x, enum rc rc, struct buf *b, const struct err *e);
bool role_is(const struct exchange *x, const char *roles);

/* ---- helpers of handlers ---- */
static inline bool is_head(const struct exchange *x)
{
	return slice_eq(x_method(x), SLICE("HEAD"));
}
/* A parameter that may be given once: false and answered with 400 when it was repeated. out->ptr NULL: absent. */
bool arg_text(struct exchange *x, const char *name, struct slice *out);
/* The consumer parameter: "" when absent. */
bool arg_consumer(struct exchange *x, char out[64]);
bool consumer_well_formed(struct slice s); /* 1 to 63 of A-Z a-z 0-9 . _ - */
/* 410, with where to start. */
void answer_gone(struct exchange *x, int64_t after, const struct list_mark *mark);
/* The service parameter: false and answered with 400 when it is wrong. *service -1: not given. */
bool arg_service(struct exchange *x, int *service);
bool arg_int(
	struct exchange *x, const char *name, int64_t min, int64_t max, int64_t def, int64_t *out);
/* Any written form, and the bare digits of a stored foreign number. */
enum sender_found parse_sender(const struct api *a, struct slice raw, struct sender *out,
	const char **why); /* a static text when it is not SENDER_OK */
/* What /readyz answers; without causes only the names of what is not ready. */
bool api_ready(const struct api *a, bool with_causes, struct buf *out);
/* Whether the list in memory is known to be current; *mark is filled when there is one. */
bool mirror_fresh(const struct api *a, struct list_mark *mark);
/* The list in memory, to be unpinned. NULL: none was loaded yet or, when age_s is NULL, it is too old to be told. */
const struct table *list_pinned(const struct api *a, int64_t *age_s);
/* Whether If-None-Match names it; a weak one ("W/…") also in its strong form. */
bool etag_listed(const struct exchange *x, const char *etag);
bool wants_gzip(const struct exchange *x);
/* The failure of a read as an HTTP answer: 404, 503 … The cause goes to the log. */
void answer_failure(struct exchange *x, enum rc rc, const struct err *e);
