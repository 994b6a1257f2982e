/* Passwords and one-time codes. Leaves out who people are and how often they may try: that is the ledger's (cases/person.c). */
#include <sodium.h>
#include <stdio.h>

#include "base/mac.h"
#include "base/password.h"

_Static_assert(crypto_pwhash_STRBYTES <= PASSWORD_HASH, "a hash fits");

enum rc password_good(struct slice password, struct err *e)
{
	size_t characters = 0;
	uint32_t cp;

	if (!slice_utf8_valid(password))
		return err_set(e, RC_INVALID, "the password is no valid UTF-8");
	for (struct slice s = password; s.len > 0; characters++) {
		size_t n = slice_utf8(s, &cp);
		s = slice_of(s.ptr + n, s.len - n);
	}
	if (characters < PASSWORD_MIN || password.len > PASSWORD_MAX)
		return err_set(e, RC_INVALID, "a password has %d characters to %d bytes",
			PASSWORD_MIN, PASSWORD_MAX);
	return RC_OK;
}

/* libsodium's "interactive" cost, 64 MiB and two passes, is above what OWASP's password storage sheet asks of Argon2id. */
enum rc password_hash(struct slice password, char out[PASSWORD_HASH], struct err *e)
{
	if (sodium_init() < 0 ||
		crypto_pwhash_str(out, password.ptr, password.len,
			crypto_pwhash_OPSLIMIT_INTERACTIVE,
			crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
		return err_set(e, RC_RETRY, "there is no memory to hash a password");
	return RC_OK;
}

bool password_fits(const char *hash, struct slice password)
{
	/* of 32 random bytes that nobody kept: who asks for nobody waits as long */
	static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$8Zk0Qm3rT1yVn5sWc7uXaQ$"
				     "mQbHfKp0v8oR2yq6iJzE1tY3wUxLsN4dGcA7hVbT9kM";
	bool somebody = hash != NULL;

	if (sodium_init() < 0 || password.len == 0)
		return false;
	return (crypto_pwhash_str_verify(somebody ? hash : nobody, password.ptr, password.len) ==
		       0) &&
		somebody;
}

void totp_text(const uint8_t secret[TOTP_SECRET], char out[TOTP_TEXT])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 */

	for (size_t bit = 0; bit < TOTP_SECRET * 8; bit += 5) {
		unsigned two = (unsigned)secret[bit / 8] << 8 |
			(bit / 8 + 1 < TOTP_SECRET ? secret[bit / 8 + 1] : 0u);
		out[bit / 5] = alphabet[two >> (11 - bit % 8) & 31];
	}
	out[TOTP_SECRET * 8 / 5] = '\0';
}

unsigned totp_code(const uint8_t secret[TOTP_SECRET], int64_t step)
{
	uint8_t counter[8], mac[SHA1_LEN];

	for (int i = 0; i < 8; i++)
		counter[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
	hmac_sha1(slice_of((const char *)secret, TOTP_SECRET),
		slice_of((const char *)counter, sizeof(counter)), mac);
	const uint8_t *p = mac + (mac[SHA1_LEN - 1] & 15); /* RFC 4226, 5.3 */
	uint32_t n =
		(uint32_t)(p[0] & 127) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return n % 1000000;
}

bool totp_fits(const uint8_t secret[TOTP_SECRET], struct slice code, int64_t now_s,
	int64_t last_step, int64_t *step)
{
	int64_t now = now_s / TOTP_STEP_S;
	char want[16];

	if (code.len != 6)
		return false;
	for (int64_t at = now - 1; at <= now + 1; at++) {
		(void)snprintf(want, sizeof(want), "%06u", totp_code(secret, at));
		if (at > last_step && const_time_eq(want, code.ptr, 6)) {
			*step = at;
			return true;
		}
	}
	return false;
}
