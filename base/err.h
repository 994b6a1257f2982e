/* Result codes are the caller's decisions; the cause is text in a caller-owned struct err. */
#pragma once

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
/* A local that owns: `OWN(thing_free) struct thing *t = NULL;` calls thing_free(t) at scope end. The destructor `f` must
 * have been declared with OWNER(f, type): it takes the pointer and accepts NULL. */
#define OWNER(f, type)                       \
	static inline void f##_own(type **p) \
	{                                    \
		f(*p);                       \
	}                                    \
	struct own_needs_a_semicolon
#define OWN(f) __attribute__((cleanup(f##_own)))
/* Hands an owned pointer over: yields it and leaves NULL behind. */
#define TAKE(p)                             \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum rc {
	RC_OK = 0,
	RC_NONE,     /* asked and answered: there is no such thing */
	RC_INVALID,  /* the input is wrong and will stay wrong: reject it */
	RC_RETRY,    /* a backend is away: keep the work, come back later */
	RC_LIMIT,    /* a bound was reached: shed, and count it */
	RC_CONFLICT, /* somebody else changed it first: read again */
	RC_DENIED,   /* asked by someone who may not */
	RC_FATAL,    /* this process cannot go on */
};

/* The cause of a failure, for a log line or an answer. `state` carries a five-character SQLSTATE when the cause is the
 * database, else it is empty. */
struct err {
	char text[512];
	char state[6];
};

/* Writes the cause (cut to fit) and returns `rc`, so that a failing line reads `return err_set(e, RC_RETRY, "…")`. `e` may
 * be NULL. Clears e->state. */
enum rc err_set(struct err *e, enum rc rc, const char *fmt, ...) PRINTF(3, 4);
/* Puts "prefix: " before the cause that is already there; returns `rc`. */
enum rc err_wrap(struct err *e, enum rc rc, const char *fmt, ...) PRINTF(3, 4);
const char *rc_name(enum rc rc);
