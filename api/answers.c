/* A few texts that many exchanges ask for at the same moment: the changes of a release that woke a thousand long polls are read once. A
 * text is good for exactly the state of the list, or the moment, that it was put with. */
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
	} slot[SLOTS];
	size_t next;
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

void answers_put(struct answers *s, const char *key, int64_t state, struct shared *text)
{
	pthread_mutex_lock(&s->lock);
	size_t i = 0;
	while (i < SLOTS && (s->slot[i].text == NULL || strcmp(s->slot[i].key, key) != 0))
		i++;
	if (i == SLOTS)
		i = s->next++ % SLOTS;
	struct shared *old = s->slot[i].text;
	snprintf(s->slot[i].key, sizeof(s->slot[i].key), "%s", key);
	s->slot[i].state = state;
	s->slot[i].text = shared_keep(text);
	pthread_mutex_unlock(&s->lock);
	shared_free(old);
}
