/* Private to base: HMAC-SHA-256 under a key that is set up once. */
#pragma once

#include "base/crypto.h"

struct mac;

struct mac *mac_new(const uint8_t key[KEY_LEN]); /* NULL when out of memory */
void mac_free(struct mac *m);
OWNER(mac_free, struct mac);
/* Over domain, a NUL and s, so that no two domains can ever meet. Thread-safe. */
void mac_of(const struct mac *m, const char *domain, struct slice s, uint8_t out[SHA256_LEN]);
#define SHA1_LEN 20
/* For one-time codes alone (RFC 6238). */
void hmac_sha1(struct slice key, struct slice s, uint8_t out[SHA1_LEN]);
void wipe(void *p, size_t len); /* zeroes, and is not optimised away */
