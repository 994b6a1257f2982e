/* Exchanges that cannot be answered at once: a bounded queue before the threads that have a database connection each, and the long polls
 * that wait for a release. An exchange is in one of them or with one thread, never in two. */
#include "api/private.h"

#define STRANGERS_SHARE \
	4 /* of the queue is the most for tokens that are not known yet: guesses, perhaps */
#define QUEUE_WAIT_US (10 * US_PER_S) /* after that nobody reads the answer any more */
#define AWAY_FOR_US (500 * 1000)
#define LOOK_EVERY_US US_PER_S

/* ---- the queue ---- */

/* Under lock. */
static void push(struct api *a, struct exchange *x)
{
	*x_next(x) = NULL;
	*a->last = x;
	a->last = x_next(x);
	a->queued++;
	request_of(x)->queued_us = api_mono(a);
	if (!request_of(x)->known)
		a->strangers++;
	pthread_cond_signal(&a->work);
}

bool work_queue(struct api *a, struct exchange *x)
{
	bool stranger = !request_of(x)->known;

	pthread_mutex_lock(&a->lock);
	bool room = !a->closed && a->queued < a->queue_max &&
		(!stranger || a->strangers < 1 + a->queue_max / STRANGERS_SHARE);
	if (room)
		push(a, x);
	pthread_mutex_unlock(&a->lock);
	if (room)
		return true;
	metric_add(metric_at(a->m.shed, stranger ? "unknown_token" : "queue", NULL, NULL), 1);
	x_set_header(x, "Retry-After", "1");
	http_problem(x, 503, "Service Unavailable", "too many requests wait for the database");
	return false;
}

static struct exchange *take(struct api *a)
{
	pthread_mutex_lock(&a->lock);
	while (a->first == NULL && !a->drained)
		pthread_cond_wait(&a->work, &a->lock);
	struct exchange *x = a->first;
	if (x != NULL) {
		a->first = *x_next(x);
		if (a->first == NULL)
			a->last = &a->first;
		a->queued--;
		if (!request_of(x)->known)
			a->strangers--;
	}
	pthread_mutex_unlock(&a->lock);
	return x;
}

/* While the database does not answer, one try in half a second is enough; the others are told at once. */
static enum rc connected(struct api *a, struct pg **pg, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(a->s.conf, "database.dsn"),
		.name = "khien-api",
		.statement_timeout_ms = 15000};

	if (*pg != NULL && pg_broken(*pg))
		pg_close(TAKE(*pg));
	if (*pg != NULL)
		return RC_OK;
	if (api_stopping(a) || api_mono(a) < a->away_until_us)
		return err_set(e, RC_RETRY, "the database was away a moment ago");
	enum rc rc = pg_open(&o, pg, e);
	if (rc != RC_OK)
		a->away_until_us = api_mono(a) + AWAY_FOR_US;
	return rc;
}

static void *serve(void *arg)
{
	struct api *a = arg;
	struct pg *pg = NULL;

	for (struct exchange *x; (x = take(a)) != NULL;) {
		struct err e = {0};
		enum rc rc = RC_OK;
		if (api_mono(a) - request_of(x)->queued_us > QUEUE_WAIT_US)
			rc = err_set(&e, RC_RETRY, "it waited too long for the database");
		if (rc == RC_OK)
			rc = connected(a, &pg, &e);
		if (rc != RC_OK)
			answer_failure(x, rc, &e);
		else if (identify(a, pg, x))
			request_of(x)->route->run(a, pg, x);
	}
	pg_close(pg);
	return NULL;
}

bool work_start(struct api *a)
{
	int wanted = (int)conf_int(a->s.conf, "api.database_threads");

	a->queue_max = (size_t)conf_int(a->s.conf, "api.queue");
	for (; a->n_threads < wanted && a->n_threads < API_MAX_THREADS; a->n_threads++)
		if (pthread_create(&a->threads[a->n_threads], NULL, serve, a) != 0)
			return false;
	return true;
}

/* ---- long polls ---- */

bool api_wait_for_release(struct api *a, struct exchange *x, int64_t after, int64_t wait_for_ms)
{
	struct request *r = request_of(x);

	r->after = after;
	r->deadline_us = api_mono(a) + wait_for_ms * 1000;
	r->waited = true;
	pthread_mutex_lock(&a->lock);
	bool parked = !a->closed;
	if (parked) {
		*x_next(x) = a->waiting;
		a->waiting = x;
		a->waiting_count++;
		metric_set(a->m.long_polls, (double)a->waiting_count);
	}
	pthread_mutex_unlock(&a->lock);
	return parked;
}

void work_wake(struct api *a, int64_t release, bool other_list, int64_t mono_us)
{
	pthread_mutex_lock(&a->lock);
	bool look = mono_us - a->looked_us >= LOOK_EVERY_US;
	if (look)
		a->looked_us = mono_us;
	for (struct exchange **at = &a->waiting; *at != NULL;) {
		struct exchange *x = *at;
		struct request *r = request_of(x);
		if (!other_list && release <= r->after && mono_us < r->deadline_us &&
			!(look && x_gone(x))) {
			at = x_next(x);
			continue;
		}
		*at = *x_next(x);
		a->waiting_count--;
		push(a, x);
	}
	metric_set(a->m.long_polls, (double)a->waiting_count);
	pthread_mutex_unlock(&a->lock);
}

void work_stop(struct api *a)
{
	pthread_mutex_lock(&a->lock);
	a->closed = true;
	pthread_mutex_unlock(&a->lock);
	work_wake(a, INT64_MAX, true, INT64_MAX);
	pthread_mutex_lock(&a->lock);
	a->drained = true;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (int i = 0; i < a->n_threads; i++)
		pthread_join(a->threads[i], NULL);
}
