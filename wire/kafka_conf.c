/* What every librdkafka handle of ours has in common: its configuration, its log lines (debug level of
 * our own log, never stderr), and an end that cannot hang. */
#include "wire/kafka_rd.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	log_debug("kafka", "facility=%s text=\"%s\"", facility, text);
}

static enum rc set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return RC_OK;
	return err_set(e, RC_INVALID, "kafka: %s", why);
}

static enum rc set_all(rd_kafka_conf_t *conf, const struct kafka_property *p, struct err *e)
{
	enum rc rc = RC_OK;

	for (; p != NULL && p->name != NULL && rc == RC_OK; p++)
		rc = set(conf, p->name, p->value, e);
	return rc;
}

/* One "property=value" of the user's. */
static enum rc set_extra(
	rd_kafka_conf_t *conf, const char *text, const struct kafka_property *fixed, struct err *e)
{
	const char *eq = strchr(text, '=');
	char name[128];

	if (eq == NULL || eq == text || (size_t)(eq - text) >= sizeof(name))
		return err_set(e, RC_INVALID, "kafka: \"%s\" is not property=value", text);
	memcpy(name, text, (size_t)(eq - text));
	name[eq - text] = '\0';
	for (; fixed != NULL && fixed->name != NULL; fixed++)
		if (strcmp(fixed->name, name) == 0)
			return err_set(
				e, RC_INVALID, "kafka: %s is fixed to %s", name, fixed->value);
	return set(conf, name, eq + 1, e);
}

static enum rc set_settings(rd_kafka_conf_t *conf, const struct kafka_settings *s,
	const struct kafka_property *fixed, struct err *e)
{
	enum rc rc;

	if (s->brokers == NULL || s->brokers[0] == '\0')
		return err_set(e, RC_INVALID, "kafka: no brokers are named");
	rc = set(conf, "bootstrap.servers", s->brokers, e);
	if (rc == RC_OK && s->client_id != NULL)
		rc = set(conf, "client.id", s->client_id, e);
	for (size_t i = 0; rc == RC_OK && s->extra != NULL && s->extra[i] != NULL; i++)
		rc = set_extra(conf, s->extra[i], fixed, e);
	return rc;
}

enum rc kafka_conf_make(const struct kafka_settings *s, const struct kafka_property *defaults,
	const struct kafka_property *fixed, void *opaque, rd_kafka_conf_t **out, struct err *e)
{
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = rd_kafka_conf_new();
	static const struct kafka_property common[] = {
		{"log.connection.close", "false"},
		{"socket.keepalive.enable", "true"},
		{"reconnect.backoff.max.ms", "2000"},
		{NULL, NULL},
	};
	enum rc rc = set_all(conf, common, e);

	if (rc == RC_OK)
		rc = set_all(conf, defaults, e);
	if (rc == RC_OK && s != NULL)
		rc = set_settings(conf, s, fixed, e);
	if (rc == RC_OK)
		rc = set_all(conf, fixed, e);
	if (rc != RC_OK)
		return rc;
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_opaque(conf, opaque);
	*out = TAKE(conf);
	return RC_OK;
}

enum rc kafka_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out, struct err *e)
{
	char why[256];
	rd_kafka_t *rk;

#ifdef KHIEN_TSAN
	kafka_tsan();
#endif
	rk = rd_kafka_new(type, conf, why, sizeof(why));

	if (rk == NULL) {
		rd_kafka_conf_destroy(conf);
		return err_set(e, RC_INVALID, "kafka: %s", why);
	}
	*out = rk;
	return RC_OK;
}

/* Before 2.6.1 librdkafka repeated a part of the SCRAM nonce; Kafka refuses that from 4.0 on (librdkafka #4895). */
const char *kafka_scram_hint(const char *reason)
{
	static const int mended = 0x02060100;

	if (strstr(reason, "SCRAM") == NULL || rd_kafka_version() >= mended)
		return "";
	return "; Kafka 4 takes SCRAM from librdkafka 2.6.1 on, this one is older";
}

bool kafka_answers(rd_kafka_t *rk, int wait_ms)
{
	const struct rd_kafka_metadata *md = NULL;

	if (rd_kafka_metadata(rk, 0, NULL, &md, wait_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	rd_kafka_metadata_destroy(md);
	return true;
}

/* --- the end of a handle */

struct ending {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	rd_kafka_t *rk;
	int flags;
	int holders; /* the closer and the thread; the last one frees */
	bool done;
};

static void ending_leave(struct ending *d, bool done)
{
	bool last;

	(void)pthread_mutex_lock(&d->lock);
	d->done = d->done || done;
	last = --d->holders == 0;
	(void)pthread_cond_signal(&d->ended);
	(void)pthread_mutex_unlock(&d->lock);
	if (!last)
		return;
	(void)pthread_cond_destroy(&d->ended);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

static void *ending_run(void *arg)
{
	struct ending *d = arg;

	rd_kafka_destroy_flags(d->rk, d->flags);
	ending_leave(d, true);
	return NULL;
}

static struct ending *ending_start(rd_kafka_t *rk, int flags)
{
	struct ending *d = calloc(1, sizeof(*d));
	pthread_condattr_t attr;
	pthread_t thread;

	if (d == NULL)
		return NULL;
	*d = (struct ending){.rk = rk, .flags = flags, .holders = 2};
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&d->ended, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&thread, NULL, ending_run, d) == 0) {
		(void)pthread_detach(thread);
		return d;
	}
	d->holders = 1;
	ending_leave(d, false);
	return NULL;
}

void kafka_destroy(rd_kafka_t *rk, int flags, int64_t wait_ms)
{
	struct ending *d;
	struct timespec end;
	int waited = 0;

	if (rk == NULL)
		return;
	d = ending_start(rk, flags);
	if (d == NULL) {
		rd_kafka_destroy_flags(rk, flags);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += wait_ms / 1000 + 1;
	(void)pthread_mutex_lock(&d->lock);
	while (!d->done && waited == 0)
		waited = pthread_cond_timedwait(&d->ended, &d->lock, &end);
	if (!d->done)
		log_debug("kafka", "a handle does not end; it is left behind");
	(void)pthread_mutex_unlock(&d->lock);
	ending_leave(d, false);
}
