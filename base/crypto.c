/* crypto: the few primitives that are used, over OpenSSL: SHA-256, HMAC-SHA-256, AES-256-GCM. Algorithms are fetched once for
 * the process, because a fetch costs more than a short hash. They fail only when memory is out or OpenSSL is broken; then
 * the process stops, for a wrong digest or an unsealed secret is worse. Leaves out key files, which are keys.c. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_CTX, for the MACs */
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mac.h"

#define NONCE_LEN 12
#define TAG_LEN 16
_Static_assert(NONCE_LEN + TAG_LEN == SEAL_EXTRA, "a sealed field is nonce, text, tag");

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *md;
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
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	must(md != NULL && gcm != NULL, "fetching SHA256 and AES-256-GCM");
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

struct sha256 {
	EVP_MD_CTX *ctx;
};

void sha256_free(struct sha256 *h)
{
	if (h != NULL)
		EVP_MD_CTX_free(h->ctx);
	free(h);
}

struct sha256 *sha256_new(void)
{
	OWN(sha256_free) struct sha256 *h = calloc(1, sizeof(*h));

	ready();
	if (h == NULL || (h->ctx = EVP_MD_CTX_new()) == NULL)
		return NULL;
	must(EVP_DigestInit_ex2(h->ctx, md, NULL) == 1, "SHA-256");
	return TAKE(h);
}

void sha256_add(struct sha256 *h, struct slice s)
{
	must(EVP_DigestUpdate(h->ctx, bytes(s), s.len) == 1, "SHA-256");
}

void sha256_end(struct sha256 *h, uint8_t out[SHA256_LEN])
{
	must(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1, "SHA-256");
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

/* RFC 2104 over SHA-256, with the states after the two key blocks kept. Every record takes three MACs of short texts; copying two plain
 * structs and hashing three or four blocks costs a fifth of an EVP_MAC_CTX_dup, which allocates. */
#define BLOCK 64

struct mac {
	SHA256_CTX inner, outer;
};

static bool start(SHA256_CTX *c, const uint8_t key[KEY_LEN], uint8_t pad)
{
	uint8_t block[BLOCK];
	bool ok;

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < KEY_LEN; i++)
		block[i] ^= key[i];
	ok = SHA256_Init(c) == 1 && SHA256_Update(c, block, sizeof(block)) == 1;
	wipe(block, sizeof(block));
	return ok;
}

struct mac *mac_new(const uint8_t key[KEY_LEN])
{
	OWN(mac_free) struct mac *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	must(start(&m->inner, key, 0x36) && start(&m->outer, key, 0x5c), "HMAC-SHA-256");
	return TAKE(m);
}

void mac_free(struct mac *m)
{
	if (m == NULL)
		return;
	wipe(m, sizeof(*m));
	free(m);
}

void mac_of(const struct mac *m, const char *domain, struct slice s, uint8_t out[SHA256_LEN])
{
	SHA256_CTX c = m->inner;
	uint8_t digest[SHA256_LEN];
	bool ok = SHA256_Update(&c, domain, strlen(domain) + 1) == 1 &&
		SHA256_Update(&c, bytes(s), s.len) == 1 && SHA256_Final(digest, &c) == 1;

	c = m->outer;
	ok = ok && SHA256_Update(&c, digest, sizeof(digest)) == 1 && SHA256_Final(out, &c) == 1;
	wipe(&c, sizeof(c)); /* the state under the key is as good as the key */
	must(ok, "HMAC-SHA-256");
}

void hmac_sha1(struct slice key, struct slice s, uint8_t out[SHA1_LEN])
{
	unsigned n = SHA1_LEN;

	must(key.len <= INT_MAX &&
			HMAC(EVP_sha1(), bytes(key), (int)key.len, bytes(s), s.len, out, &n) !=
				NULL,
		"HMAC-SHA-1");
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
