/* crypto: the few primitives that are used, over OpenSSL's EVP: SHA-256, HMAC-SHA-256, AES-256-GCM. Algorithms are fetched once for
 * the process, because a fetch costs more than a short hash. They fail only when memory is out or OpenSSL is broken; then
 * the process stops, for a wrong digest or an unsealed secret is worse. Leaves out key files, which are keys.c. */
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mac.h"

#define NONCE_LEN 12
#define TAG_LEN 16
_Static_assert(NONCE_LEN + TAG_LEN == SEAL_EXTRA, "a sealed field is nonce, text, tag");

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *md;
static EVP_MAC *hmac;
static EVP_CIPHER *gcm;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "crypto: %s failed\n", what);
	abort();
}

static void fetch(void)
{
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	must(md != NULL && hmac != NULL && gcm != NULL, "fetching SHA256, HMAC and AES-256-GCM");
}

static void ready(void)
{
	(void)pthread_once(&fetched, fetch);
}

static const unsigned char *bytes(struct slice s)
{
	return (const unsigned char *)(s.ptr != NULL ? s.ptr : "");
}

void sha256(struct slice s, uint8_t out[SHA256_LEN])
{
	ready();
	must(EVP_Digest(bytes(s), s.len, out, NULL, md, NULL) == 1, "SHA-256");
}

void wipe(void *p, size_t len)
{
	OPENSSL_cleanse(p, len);
}

bool const_time_eq(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

/* ---- HMAC ---- */

struct mac {
	EVP_MAC_CTX *keyed; /* never fed itself: each use is a copy of it */
};

struct mac *mac_new(const uint8_t key[KEY_LEN])
{
	OWN(mac_free) struct mac *m = calloc(1, sizeof(*m));
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};

	ready();
	if (m == NULL || (m->keyed = EVP_MAC_CTX_new(hmac)) == NULL ||
		EVP_MAC_init(m->keyed, key, KEY_LEN, params) != 1)
		return NULL;
	return TAKE(m);
}

void mac_free(struct mac *m)
{
	if (m == NULL)
		return;
	EVP_MAC_CTX_free(m->keyed);
	free(m);
}

void mac_of(const struct mac *m, const char *domain, struct slice s, uint8_t out[SHA256_LEN])
{
	EVP_MAC_CTX *c = EVP_MAC_CTX_dup(m->keyed);
	size_t len = 0;
	bool ok = c != NULL &&
		EVP_MAC_update(c, (const unsigned char *)domain, strlen(domain) + 1) == 1 &&
		EVP_MAC_update(c, bytes(s), s.len) == 1 &&
		EVP_MAC_final(c, out, &len, SHA256_LEN) == 1;

	EVP_MAC_CTX_free(c);
	must(ok && len == SHA256_LEN, "HMAC-SHA-256");
}

/* ---- sealed fields: nonce, text, tag ---- */

/* A random 96-bit nonce is safe for some 2^32 fields under one key (NIST SP 800-38D, 8.3); a national year of reports is 2^20. */
void seal(const uint8_t key[KEY_LEN], struct slice aad, struct slice s, uint8_t *out)
{
	EVP_CIPHER_CTX *c;
	int n = 0;
	bool ok;

	ready();
	must(s.len <= INT_MAX && aad.len <= INT_MAX, "sealing so much");
	random_bytes(out, NONCE_LEN);
	c = EVP_CIPHER_CTX_new();
	ok = c != NULL && EVP_EncryptInit_ex2(c, gcm, key, out, NULL) == 1 &&
		EVP_EncryptUpdate(c, NULL, &n, bytes(aad), (int)aad.len) == 1 &&
		EVP_EncryptUpdate(c, out + NONCE_LEN, &n, bytes(s), (int)s.len) == 1 &&
		EVP_EncryptFinal_ex(c, out + NONCE_LEN + s.len, &n) == 1 &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out + NONCE_LEN + s.len) == 1;
	EVP_CIPHER_CTX_free(c);
	must(ok, "AES-256-GCM");
}

enum rc unseal(const uint8_t key[KEY_LEN], struct slice aad, struct slice s, uint8_t *out)
{
	const unsigned char *in = bytes(s);
	uint8_t tag[TAG_LEN];
	EVP_CIPHER_CTX *c;
	size_t len;
	bool ok, genuine;
	int n = 0;

	if (s.len < SEAL_EXTRA || s.len > INT_MAX || aad.len > INT_MAX)
		return RC_INVALID;
	ready();
	len = s.len - SEAL_EXTRA;
	memcpy(tag, in + NONCE_LEN + len, TAG_LEN);
	c = EVP_CIPHER_CTX_new();
	ok = c != NULL && EVP_DecryptInit_ex2(c, gcm, key, in, NULL) == 1 &&
		EVP_DecryptUpdate(c, NULL, &n, bytes(aad), (int)aad.len) == 1 &&
		EVP_DecryptUpdate(c, out, &n, in + NONCE_LEN, (int)len) == 1 &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1;
	genuine = ok && EVP_DecryptFinal_ex(c, out + len, &n) == 1;
	EVP_CIPHER_CTX_free(c);
	must(ok, "AES-256-GCM");
	if (!genuine)
		wipe(out, len); /* nobody may look at what was not proven */
	return genuine ? RC_OK : RC_INVALID;
}
