/* A fixed table of recently checked tokens, by MAC; old entries are overwritten. Holds no token, only its MAC. */
#include <stdlib.h>

#include "api/private.h"

#define SLOTS 4096
#define GOOD_FOR_US (5 * US_PER_S)

struct slot {
	uint8_t mac[SHA256_LEN];
	int64_t at_us; /* 0: empty */
	bool good;
	struct token_who who;
};

struct tokens {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

struct tokens *tokens_new(void)
{
	struct tokens *t = calloc(1, sizeof(*t));

	if (t != NULL)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void tokens_free(struct tokens *t)
{
	free(t);
}

static struct slot *slot_of(struct tokens *t, const uint8_t mac[SHA256_LEN])
{
	return &t->slots[((size_t)mac[0] << 8 | mac[1]) % SLOTS];
}

enum rc tokens_get(
	struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us, struct token_who *out)
{
	enum rc rc = RC_NONE;

	pthread_mutex_lock(&t->lock);
	const struct slot *s = slot_of(t, mac);
	if (s->at_us != 0 && mono_us - s->at_us < GOOD_FOR_US &&
		const_time_eq(s->mac, mac, SHA256_LEN)) {
		*out = s->who;
		rc = s->good ? RC_OK : RC_DENIED;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void tokens_put(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us,
	const struct token_who *who, bool good)
{
	pthread_mutex_lock(&t->lock);
	struct slot *s = slot_of(t, mac);
	memcpy(s->mac, mac, SHA256_LEN);
	s->at_us = mono_us;
	s->good = good;
	s->who = *who;
	pthread_mutex_unlock(&t->lock);
}
