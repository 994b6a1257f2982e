/* Keys, MACs and sealed fields (OpenSSL EVP behind base/crypto.c). Keys are files outside the database. */
#pragma once

#include "base/slice.h"

#define SHA256_LEN 32
#define MAC_LEN 16    /* HMAC-SHA-256 cut to 128 bits: database keys */
#define SEAL_EXTRA 28 /* nonce 12 + tag 16: a sealed field is this much longer than the plain one */
#define KEY_LEN 32

void sha256(struct slice s, uint8_t out[SHA256_LEN]);
/* The same piece by piece; sha256_end may be called once. NULL when out of memory. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, struct slice s);
void sha256_end(struct sha256 *h, uint8_t out[SHA256_LEN]);
void sha256_free(struct sha256 *h);
OWNER(sha256_free, struct sha256);
void random_bytes(void *out, size_t len); /* getrandom(2); aborts when the kernel has none */
uint64_t random_u64(void);

/* The installation's secrets: one folder of 32-byte files named mac.key (pseudonyms, report ids), wrap.key (wraps subject keys and
 * sealed fields), token.key (API tokens). Created by keys_create with mode 0600; a group- or world-readable file is refused. */
struct keys;
MUST_USE enum rc keys_create(
	const char *dir, struct err *e); /* RC_CONFLICT when there are keys already */
/* A single key file elsewhere, made with mode 0600 and never over another, and read with the same refusals as those of a folder. */
MUST_USE enum rc key_create(const char *path, struct err *e);
MUST_USE enum rc key_read(const char *path, uint8_t out[KEY_LEN], struct err *e);
/* A new wrap key: the old one becomes wrap.old.key, with which what it sealed can still be read. RC_CONFLICT: there is an old one
 * already. Nobody's identity changes: that hangs on mac.key. */
MUST_USE enum rc keys_rotate(const char *dir, struct err *e);
/* The old one is no longer needed. */
MUST_USE enum rc keys_forget_old(const char *dir, struct err *e);
/* RC_NONE: a key is missing; RC_DENIED: others may look at one, or we may not; RC_INVALID: not 32 bytes. */
MUST_USE enum rc keys_open(const char *dir, struct keys **out, struct err *e);
void keys_free(struct keys *k);
OWNER(keys_free, struct keys);

/* `domain` keeps uses apart ("reporter", "report_id", "body", "token"). Thread-safe. */
void keys_mac(const struct keys *k, const char *domain, struct slice s, uint8_t out[MAC_LEN]);
void keys_token_mac(const struct keys *k, struct slice token, uint8_t out[SHA256_LEN]);
/* AES-256-GCM under the wrap key; `aad` binds the field to its row. out has room for s.len + SEAL_EXTRA. */
void keys_seal(const struct keys *k, struct slice aad, struct slice s, uint8_t *out);
bool keys_have_old(const struct keys *k);
/* Tries the old wrap key, too, when there is one; *by_old (may be NULL) says that it was that.
 * RC_INVALID: forged or another key; then `out` is wiped. It has room for s.len - SEAL_EXTRA. */
MUST_USE enum rc keys_unseal(const struct keys *k, struct slice aad, struct slice s, uint8_t *out);
MUST_USE enum rc keys_unseal_by(
	const struct keys *k, struct slice aad, struct slice s, uint8_t *out, bool *by_old);
/* The same under a caller's key (a subject's own). */
void seal(const uint8_t key[KEY_LEN], struct slice aad, struct slice s, uint8_t *out);
MUST_USE enum rc unseal(const uint8_t key[KEY_LEN], struct slice aad, struct slice s, uint8_t *out);
bool const_time_eq(const void *a, const void *b, size_t len);

/* Ed25519 (RFC 8032) for files that others verify. The seed is made of the installation's mac.key, which is never rotated. */
#define SIGN_LEN 64
void keys_sign(const struct keys *k, struct slice s, uint8_t out[SIGN_LEN]);
/* The public key as PEM, as openssl reads it. */
#define SIGN_PEM 160
void keys_sign_public(const struct keys *k, char out[SIGN_PEM]);
