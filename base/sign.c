/* Signatures of files that leave the house, and the public key that verifies them. Leaves out the files. */
#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/crypto.h"

static EVP_PKEY *signing_key(const struct keys *k)
{
	uint8_t seed[2 * MAC_LEN];

	keys_mac(k, "evidence", SLICE("1"), seed);
	keys_mac(k, "evidence", SLICE("2"), seed + MAC_LEN);
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	assert(key != NULL);
	return key;
}

void keys_sign(const struct keys *k, struct slice s, uint8_t out[SIGN_LEN])
{
	EVP_PKEY *key = signing_key(k);
	EVP_MD_CTX *x = EVP_MD_CTX_new();
	size_t n = SIGN_LEN;

	int good = x != NULL && EVP_DigestSignInit(x, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestSign(x, out, &n, (const uint8_t *)s.ptr, s.len) == 1;
	assert(good && n == SIGN_LEN);
	EVP_MD_CTX_free(x);
	EVP_PKEY_free(key);
}

void keys_sign_public(const struct keys *k, char out[SIGN_PEM])
{
	/* SubjectPublicKeyInfo of Ed25519, RFC 8410 section 4, before the 32 bytes */
	uint8_t der[44] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
	unsigned char text[64];
	EVP_PKEY *key = signing_key(k);
	size_t n = 32;
	int good = EVP_PKEY_get_raw_public_key(key, der + 12, &n);

	assert(good == 1 && n == 32);
	EVP_PKEY_free(key);
	(void)EVP_EncodeBlock(text, der, sizeof(der));
	(void)snprintf(out, SIGN_PEM, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
		(const char *)text);
}
