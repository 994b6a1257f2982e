/* Exchanges that cannot be answered at once: bounded queues before the threads that have a database connection each, and before those that
 * make long texts out of memory; and the long polls
 * that wait for a release. An exchange is in one of them or with one thread, never in two. */
#include "api/private.h"

#define STRANGERS_SHARE \
	4 /* of the queue is the most for tokens that are not known yet: guesses, perhaps */
#define QUEUE_WAIT_US (10 * US_PER_S) /* after that nobody reads the answer any more */
#define AWAY_FOR_US (500 * 1000)
#define LOOK_EVERY_US US_PER_S

/* ---- the queue ---- */

static struct lane *lane_of(struct api *a, struct exchange *x)
{
	const struct request *r = request_of(x);
	bool memory = r->memory_is_enough ||
		(r->known && (r->route->place == ON_THREAD || r->route->place == LAST_GOOD));

	return &a->lane[memory ? LANE_MEMORY : LANE_DATABASE];
}

/* Under lock. */
static void push(struct api *a, struct exchange *x)
{
	struct lane *l = lane_of(a, x);

	*x_next(x) = NULL;
	*l->last = x;
	l->last = x_next(x);
	l->queued++;
	request_of(x)->queued_us = api_mono(a);
	if (!request_of(x)->known)
		l->strangers++;
	pthread_cond_signal(&l->work);
}

bool work_queue(struct api *a, struct exchange *x)
{
	const struct lane *l = lane_of(a, x);
	bool stranger = !request_of(x)->known;

	pthread_mutex_lock(&a->lock);
	bool room = !a->closed && l->queued < a->queue_max &&
		(!stranger || l->strangers < 1 + a->queue_max / STRANGERS_SHARE);
	if (room)
		push(a, x);
	bool closed = a->closed;
	pthread_mutex_unlock(&a->lock);
	if (room)
		return true;
	metric_add(metric_at(a->m.shed, stranger ? "unknown_token" : "queue", NULL, NULL), 1);
	x_set_header(x, "Retry-After", "1");
	if (closed)
		http_problem(x, 503, "Service Unavailable", "this instance is stopping");
	else if (stranger)
		http_problem(x, 429, "Too Many Requests",
			"more than a quarter of api.queue (%zu) waits with tokens that are not "
			"known yet",
			a->queue_max);
	else
		http_problem(x, 503, "Service Unavailable",
			"api.queue: more than %zu requests wait", a->queue_max);
	return false;
}

static struct exchange *take(struct api *a, struct lane *l)
{
	pthread_mutex_lock(&a->lock);
	while (l->first == NULL && !a->drained)
		pthread_cond_wait(&l->work, &a->lock);
	struct exchange *x = l->first;
	if (x != NULL) {
		l->first = *x_next(x);
		if (l->first == NULL)
			l->last = &l->first;
		l->queued--;
		if (!request_of(x)->known)
			l->strangers--;
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

	for (struct exchange *x; (x = take(a, &a->lane[LANE_DATABASE])) != NULL;) {
		struct err e = {0};
		enum rc rc = RC_OK;
		if (api_mono(a) - request_of(x)->queued_us > QUEUE_WAIT_US)
			rc = err_set(&e, RC_RETRY, "it waited too long for the database");
		if (rc == RC_OK)
			rc = connected(a, &pg, &e);
		if (rc != RC_OK && x_streams(x))
			http_break(x);
		else if (rc != RC_OK)
			answer_failure(x, rc, &e);
		else if (identify(a, pg, x) &&
			(request_of(x)->route->place != DESK || contract_holds(a, x)))
			request_of(x)->route->run(a, pg, x);
	}
	pg_close(pg);
	return NULL;
}

/* The same without a database: what is in memory is good enough, and nobody waits long. */
static void *make(void *arg)
{
	struct api *a = arg;

	for (struct exchange *x; (x = take(a, &a->lane[LANE_MEMORY])) != NULL;)
		request_of(x)->route->run(a, NULL, x);
	return NULL;
}

bool work_start(struct api *a)
{
	int wanted = (int)conf_int(a->s.conf, "api.database_threads");

	a->queue_max = (size_t)conf_int(a->s.conf, "api.queue");
	for (; a->n_threads < wanted && a->n_threads < API_MAX_THREADS; a->n_threads++)
		if (pthread_create(&a->threads[a->n_threads], NULL, serve, a) != 0)
			return false;
	for (; a->n_makers < API_MAKERS; a->n_makers++)
		if (pthread_create(&a->makers[a->n_makers], NULL, make, a) != 0)
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
	if (parked && a->woke_at > after) {
		push(a, x); /* the release came between the look and this */
	} else if (parked) {
		*x_next(x) = a->waiting;
		a->waiting = x;
		a->waiting_count++;
		metric_set(a->m.long_polls, (double)a->waiting_count);
	}
	pthread_mutex_unlock(&a->lock);
	return parked;
}

bool work_again(struct api *a, struct exchange *x)
{
	pthread_mutex_lock(&a->lock);
	bool open = !a->closed;
	if (open)
		push(a, x);
	pthread_mutex_unlock(&a->lock);
	return open;
}

void work_waits_at(struct api *a, int64_t after, bool wanted[])
{
	for (int i = 0; i < 1 + SERVICES; i++)
		wanted[i] = false;
	pthread_mutex_lock(&a->lock);
	for (struct exchange *x = a->waiting; x != NULL; x = *x_next(x))
		if (request_of(x)->after == after)
			wanted[1 + request_of(x)->service] = true;
	pthread_mutex_unlock(&a->lock);
}

void work_wake(struct api *a, int64_t release, bool other_list, int64_t mono_us)
{
	pthread_mutex_lock(&a->lock);
	bool look = mono_us - a->looked_us >= LOOK_EVERY_US;
	a->woke_at = release;
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
	for (size_t i = 0; i < LANES; i++)
		pthread_cond_broadcast(&a->lane[i].work);
	pthread_mutex_unlock(&a->lock);
	for (int i = 0; i < a->n_threads; i++)
		pthread_join(a->threads[i], NULL);
	for (int i = 0; i < a->n_makers; i++)
		pthread_join(a->makers[i], NULL);
}
