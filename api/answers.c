/* A few texts that many exchanges ask for at the same moment: the changes of a release that woke a thousand long polls are read once. A
 * text is good for exactly the state of the list, or the moment, that it was put with. All together are bounded in bytes: the oldest make room,
 * and what is too large for that is read again by everybody who asks. */
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

#define SLOTS 16

struct answers {
	pthread_mutex_t lock;
	struct {
		char key[96];
		int64_t state;
		struct shared *text;
		uint64_t turn; /* when it was put: the oldest makes room */
	} slot[SLOTS];
	uint64_t turn;
	size_t bytes; /* of all texts */
};

struct answers *answers_new(void)
{
	struct answers *s = calloc(1, sizeof(*s));

	if (s != NULL)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void answers_free(struct answers *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		shared_free(s->slot[i].text);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct shared *answers_get(struct answers *s, const char *key, int64_t state)
{
	struct shared *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < SLOTS && found == NULL; i++)
		if (s->slot[i].text != NULL && s->slot[i].state == state &&
			strcmp(s->slot[i].key, key) == 0)
			found = shared_keep(s->slot[i].text);
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* Under lock. */
static void forget(struct answers *s, size_t i)
{
	if (s->slot[i].text == NULL)
		return;
	s->bytes -= shared_text(s->slot[i].text).len;
	shared_free(s->slot[i].text);
	s->slot[i].text = NULL;
}

/* Under lock. The slot that was put first; an empty one is before all. */
static size_t oldest(const struct answers *s, bool used)
{
	size_t at = SLOTS;

	for (size_t i = 0; i < SLOTS; i++)
		if (s->slot[i].text == NULL && !used)
			return i;
		else if (s->slot[i].text != NULL &&
			(at == SLOTS || s->slot[i].turn < s->slot[at].turn))
			at = i;
	return at;
}

void answers_put(struct answers *s, const char *key, int64_t state, struct shared *text)
{
	size_t len = shared_text(text).len;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < SLOTS; i++)
		if (s->slot[i].text != NULL && strcmp(s->slot[i].key, key) == 0)
			forget(s, i);
	while (len <= BOUND_ANSWERS && s->bytes + len > BOUND_ANSWERS)
		forget(s, oldest(s, true));
	if (len <= BOUND_ANSWERS) {
		size_t i = oldest(s, false);
		forget(s, i);
		snprintf(s->slot[i].key, sizeof(s->slot[i].key), "%s", key);
		s->slot[i].state = state;
		s->slot[i].turn = s->turn++;
		s->slot[i].text = shared_keep(text);
		s->bytes += len;
	}
	pthread_mutex_unlock(&s->lock);
}
