/* Alerts to webhooks: a signed POST to every configured address until it answers 2xx, with a growing pause between two tries, for a day. Never to an
 * internal address unless its host is listed. Runs while this process leads; what an alert says is the ledger's. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/health.h"
#include "engine/webhook.h"

#define MAX_URLS 16
#define IDLE_MS 1000
#define SILENCE_S 10
#define MOST_PAUSE_S 3600

struct webhook {
	struct engine_settings s;
	struct head *head;
	pthread_t thread;
	struct health_slot *health;
	struct pg *pg;
	const char *urls[MAX_URLS];
	size_t n;
	struct buf key;
};

static struct metric *sent, *failed;

/* RFC 2104 over SHA-256, as 64 hex digits. */
static void hmac_hex(struct slice key, struct slice text, char out[65])
{
	uint8_t block[64] = {0}, sum[SHA256_LEN];
	BUF_OWN struct buf b;

	if (key.len > sizeof(block)) {
		sha256(key, sum);
		memcpy(block, sum, sizeof(sum));
	} else {
		memcpy(block, key.ptr, key.len);
	}
	buf_init(&b, 64 + text.len + 64);
	for (size_t i = 0; i < sizeof(block); i++)
		buf_byte(&b, (char)(block[i] ^ 0x36));
	buf_add(&b, text);
	sha256(buf_slice(&b), sum);
	buf_clear(&b);
	for (size_t i = 0; i < sizeof(block); i++)
		buf_byte(&b, (char)(block[i] ^ 0x5c));
	buf_add(&b, slice_of((const char *)sum, sizeof(sum)));
	sha256(buf_slice(&b), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		(void)snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* The host of the address is listed as one that may be internal. */
static bool listed(const struct webhook *w, const char *url)
{
	struct slice host = slice_str(url), scheme, rest;

	rest = host;
	if (slice_cut(&rest, '/', &scheme) && rest.len > 0 && rest.ptr[0] == '/')
		host = slice_of(rest.ptr + 1, rest.len - 1);
	for (size_t i = 0; i < host.len; i++)
		if (host.ptr[i] == '/' || host.ptr[i] == ':') {
			host.len = i;
			break;
		}
	for (size_t i = 0; i < conf_count(w->s.conf, "alerts.internal_hosts"); i++)
		if (slice_eq_nocase(
			    host, slice_str(conf_at(w->s.conf, "alerts.internal_hosts", i))))
			return true;
	return false;
}

static enum rc post(struct webhook *w, const struct alert *t, int64_t now_s, struct err *e)
{
	struct http_settings hs = {.base = t->url,
		.agent = "khien",
		.connect_ms = 5000,
		.silence_s = SILENCE_S,
		.stop = w->s.stop,
		.public_only = !listed(w, t->url)};
	OWN(http_close) struct http *h = NULL;
	BUF_OWN struct buf signed_text;
	char header[160], hex[65];
	int status = 0;
	enum rc rc = http_open(&hs, &h, e);

	buf_init(&signed_text, t->body.len + 64);
	buf_fmt(&signed_text, "%lld.", (long long)now_s);
	buf_add(&signed_text, t->body);
	hmac_hex(buf_slice(&w->key), buf_slice(&signed_text), hex);
	(void)snprintf(
		header, sizeof(header), "X-Khien-Signature: t=%lld,v1=%s", (long long)now_s, hex);
	if (rc == RC_OK)
		rc = http_post_with(h, "", header, t->body, &status, NULL, e);
	if (rc == RC_OK && (status < 200 || status > 299))
		rc = err_set(e, RC_RETRY, "it answered %d", status);
	return rc;
}

/* RC_NONE: nothing is due. */
static enum rc send_one(struct webhook *w, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 18);
	struct alert t;
	struct err why = {.text = ""};
	int64_t now_us = w->s.clk->now_us(w->s.clk), pause_s;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = alert_take(w->pg, w->urls, w->n, now_us, a, &t, e);
	if (rc != RC_OK)
		return rc;
	rc = post(w, &t, now_us / US_PER_S, &why);
	pause_s = t.attempts < 11 ? (int64_t)2 << t.attempts : MOST_PAUSE_S;
	metric_add(metric_at(rc == RC_OK ? sent : failed, NULL, NULL, NULL), 1);
	if (rc != RC_OK)
		log_warn("engine", "alert=%lld not taken attempt=%d cause=\"%s\"", (long long)t.id,
			t.attempts + 1, why.text);
	return alert_done(w->pg, &t, rc == RC_OK ? "" : why.text,
		now_us + (pause_s < MOST_PAUSE_S ? pause_s : MOST_PAUSE_S) * US_PER_S, now_us, a,
		e);
}

static void *run(void *arg)
{
	struct webhook *w = arg;
	struct pg_options o = {
		.dsn = conf_text(w->s.conf, "database.dsn"), .name = "khien-webhook"};
	uint64_t turn = 0;
	bool leads = false;

	while (!engine_stopping(&w->s)) {
		struct err e = {.text = ""};
		enum rc rc = RC_NONE;

		turn = head_wait(w->head, turn, IDLE_MS, &leads);
		if (leads) {
			if (w->pg != NULL && pg_broken(w->pg))
				pg_close(TAKE(w->pg));
			rc = w->pg != NULL ? RC_OK : pg_open(&o, &w->pg, &e);
			while (rc == RC_OK && leads && !engine_stopping(&w->s)) {
				rc = send_one(w, &e);
				turn = head_wait(w->head, turn, 0, &leads);
			}
		}
		if (rc == RC_NONE || rc == RC_OK)
			health_ok(w->health);
		else
			health_bad(w->health, e.text);
		if (leads)
			wait_ms(IDLE_MS / 4, w->s.stop);
	}
	pg_close(TAKE(w->pg));
	health_gone(w->health);
	return NULL;
}

enum rc webhook_start(
	const struct engine_settings *s, struct head *head, struct webhook **out, struct err *e)
{
	size_t n = conf_count(s->conf, "alerts.urls");
	struct webhook *w = n > 0 ? calloc(1, sizeof(*w)) : NULL;

	*out = NULL;
	if (n == 0)
		return RC_OK;
	if (w == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	sent = metric_family(
		METRIC_COUNTER, "khien_alerts_sent_total", "", "Alerts that a webhook has taken.");
	failed = metric_family(METRIC_COUNTER, "khien_alerts_failed_total", "",
		"Tries of an alert that a webhook did not take.");
	w->s = *s;
	w->head = head;
	for (; w->n < n && w->n < MAX_URLS; w->n++)
		w->urls[w->n] = conf_at(s->conf, "alerts.urls", w->n);
	buf_init(&w->key, 4096);
	enum rc rc = conf_read_file(s->conf, "alerts.key_file", &w->key, e);
	if (rc == RC_OK && w->key.len < 16)
		rc = err_set(e, RC_INVALID, "alerts.key_file: a key of 16 bytes or more is needed");
	if (rc == RC_OK) {
		w->health = health_slot("webhook", 0);
		if (pthread_create(&w->thread, NULL, run, w) != 0)
			rc = err_set(e, RC_RETRY, "no thread");
	}
	if (rc != RC_OK) {
		buf_done(&w->key);
		free(w);
		return rc;
	}
	*out = w;
	return RC_OK;
}

void webhook_join(struct webhook *w)
{
	if (w == NULL)
		return;
	pthread_join(w->thread, NULL);
	buf_done(&w->key);
	free(w);
}
