/* Only in builds with the thread sanitizer: librdkafka starts its threads with thrd_create, which the
 * sanitizer does not know, so the first call in such a thread would end the process. Here they go through
 * pthread_create, which it knows; glibc's thrd_t is a pthread_t. In every other build this file is
 * empty. */
#include "wire/kafka_rd.h"

#ifdef KHIEN_TSAN
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>

struct start {
	thrd_start_t run;
	void *arg;
};

static void *start(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	return (void *)(intptr_t)s.run(s.arg);
}

__attribute__((visibility("default"))) int thrd_create(thrd_t *out, thrd_start_t run, void *arg)
{
	struct start *s = malloc(sizeof(*s));
	pthread_t thread;

	if (s == NULL)
		return thrd_nomem;
	*s = (struct start){run, arg};
	if (pthread_create(&thread, NULL, start, s) != 0) {
		free(s);
		return thrd_error;
	}
	*out = thread;
	return thrd_success;
}

__attribute__((visibility("default"))) int thrd_join(thrd_t thread, int *out)
{
	void *result = NULL;

	if (pthread_join(thread, &result) != 0)
		return thrd_error;
	if (out != NULL)
		*out = (int)(intptr_t)result;
	return thrd_success;
}

void kafka_tsan(void)
{
}
#endif
