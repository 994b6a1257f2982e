/* What people prove themselves with: passwords as Argon2id (RFC 9106; libsodium behind base/password.c) and one-time codes by time
 * (RFC 6238: HMAC-SHA-1, six digits, 30 seconds). */
#pragma once

#include "base/slice.h"

#define PASSWORD_MIN 12
#define PASSWORD_MAX 128
#define PASSWORD_HASH 128 /* of the text that is kept, with its NUL */
#define TOTP_SECRET 20    /* bytes */
#define TOTP_TEXT 33      /* the secret in base32, with its NUL */
#define TOTP_STEP_S 30

/* RC_INVALID with a sentence: too short, too long, no UTF-8. Length is what counts (NIST SP 800-63B, 5.1.1); 12 characters and more. */
MUST_USE enum rc password_good(struct slice password, struct err *e);
/* Takes 64 MiB and some tenths of a second. RC_RETRY: out of memory. */
MUST_USE enum rc password_hash(struct slice password, char out[PASSWORD_HASH], struct err *e);
/* Takes as long whether it fits or not; hash NULL: of nobody, never fits. */
bool password_fits(const char *hash, struct slice password);

void totp_text(
	const uint8_t secret[TOTP_SECRET], char out[TOTP_TEXT]); /* for the person's device */
/* The six digits of one step of 30 seconds since 1970. */
unsigned totp_code(const uint8_t secret[TOTP_SECRET], int64_t step);
/* A code is good for its step and one before and after, and once: only after the step that was used last. *step is what it was good for. */
bool totp_fits(const uint8_t secret[TOTP_SECRET], struct slice code, int64_t now_s,
	int64_t last_step, int64_t *step);
