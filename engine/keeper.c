/* The keeper: one leader in the whole installation makes releases, chains the audit, loads the protected list, makes partitions ahead. Copies and the
 * outbox have threads of their own, so that a hanging Redis or Kafka never delays a release. Who leads is lease.c; what a release is,
 * blocklist/. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/health.h"
#include "engine/judge.h"
#include "engine/lease.h"
#include "engine/projector.h"
#include "engine/relay.h"

#define MAX_COPIES 16
#define CHORES_US (60 * US_PER_S)

struct keeper {
	struct engine_settings s;
	pthread_t thread;
	struct health_slot *health;
	struct pg *pg;
	struct lease lease;
	struct judge *judge; /* for the caps of the active policy */
	struct head head;
	struct projector *copies[MAX_COPIES];
	size_t n_copies;
	struct relay *relay;
	unsigned failures;
	int64_t chores_at_us;
	bool was_leading;
	int64_t audit_seq; /* last head written to the file */
};

static struct metric *releases, *entries, *leading;

static void connection_lost(struct keeper *k, const char *cause)
{
	health_bad(k->health, cause);
	pg_close(TAKE(k->pg));
	k->lease.leads = false;
	k->lease.seen_since_us = 0;
	head_tell(&k->head, NULL, false);
	wait_ms(backoff_ms(k->failures++, 50, 2000), k->s.stop);
}

/* The head of the audit chain goes to a file after each link, so that a second party can keep it. */
static void write_audit_head(struct keeper *k)
{
	static const char sql[] =
		"SELECT seq, encode(hash, 'hex') FROM audit_chain ORDER BY seq DESC LIMIT 1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct err e;
	char line[160], at[TIME_TEXT];

	if (pg_run(k->pg, sql, NULL, 0, &r, &e) != RC_OK || pg_rows(r) == 0 ||
		pg_int(r, 0, 0) == k->audit_seq)
		return;
	int fd = open(conf_text(k->s.conf, "audit.heads_file"),
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0) {
		log_warn("audit", "the head file cannot be written: %s",
			conf_text(k->s.conf, "audit.heads_file"));
		return;
	}
	time_format(k->s.clk->now_us(k->s.clk), at);
	int n = snprintf(line, sizeof(line), "%s %lld %.*s\n", at, (long long)pg_int(r, 0, 0),
		(int)pg_text(r, 0, 1).len, pg_text(r, 0, 1).ptr);
	if (write(fd, line, (size_t)n) == n)
		k->audit_seq = pg_int(r, 0, 0);
	close(fd);
}

/* What a new leader sees to first, and everyone every minute: lineage, protected list, partitions ahead, the audit's head. */
static enum rc chores(struct keeper *k, struct err *e)
{
	static const char partitions_sql[] = "SELECT report_partitions($1::timestamptz::date, 3)";
	int64_t now_us = k->s.clk->now_us(k->s.clk);
	const char *protected_file = conf_text(k->s.conf, "protected.file");
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct complaints c;
	bool changed = false;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = list_ensure(k->pg, now_us, e);
	if (rc == RC_OK) {
		struct pg_param p[] = {pg_p_time(now_us, a)};
		rc = pg_run(k->pg, partitions_sql, p, 1, NULL, e);
	}
	if (rc == RC_OK && protected_file[0] != '\0') {
		complaints_init(&c);
		rc = protected_load(k->pg, protected_file, now_us, &c, &changed, e);
		if (rc == RC_INVALID) { /* the list in the ledger stays as it was; releases go on */
			log_error("blocklist", "protected list refused, the old one stays: %.*s",
				(int)c.text.len, c.text.ptr);
			rc = RC_OK;
		}
		complaints_done(&c);
		if (changed)
			log_info("blocklist", "protected list loaded from %s", protected_file);
	}
	if (rc == RC_OK)
		rc = release_prune(k->pg, now_us - conf_int(k->s.conf, "feed.keep") * US_PER_S, e);
	if (rc == RC_OK)
		write_audit_head(k);
	return rc;
}

/* Follows the control row: the kill switch, and the caps of the active policy. */
static enum rc follow_control(struct keeper *k, struct control *control, struct err *e)
{
	struct judge *j = NULL;
	enum rc rc = control_read(k->pg, control, e);

	if (rc == RC_NONE)
		return err_set(e, RC_RETRY, "no policy is active yet");
	if (rc != RC_OK || judge_is(k->judge, control))
		return rc;
	rc = judge_get(k->pg, control, &j, e);
	if (rc == RC_OK) {
		judge_drop(k->judge);
		k->judge = j;
	}
	return rc;
}

/* One tick of the leader. */
static enum rc lead(struct keeper *k, struct err *e)
{
	int64_t mono_us = k->s.clk->mono_us(k->s.clk);
	struct release_out out = {0};
	struct control control;
	enum rc rc = RC_OK;

	if (!k->was_leading || mono_us - k->chores_at_us >= CHORES_US) {
		rc = chores(k, e);
		k->chores_at_us = mono_us;
	}
	if (rc == RC_OK)
		rc = follow_control(k, &control, e);
	if (rc != RC_OK)
		return rc;
	if (!k->was_leading)
		log_info("engine", "keeper leads epoch=%lld", (long long)k->lease.epoch);
	k->was_leading = true;
	const struct policy *p = k->judge->policy;
	struct caps caps = {p->cap_hour, p->cap_day, p->growth_min, p->growth_share};
	do {
		rc = release_make(k->pg, k->lease.epoch, k->s.clk->now_us(k->s.clk), &caps,
			control.kill_switch, &out, e);
		if (rc != RC_OK)
			return rc;
		if (!out.made)
			break;
		metric_add(metric_at(releases, NULL, NULL, NULL), 1);
		metric_set(metric_at(entries, NULL, NULL, NULL), (double)out.mark.count);
		log_info("blocklist",
			"release=%lld added=%d removed=%d held=%d waiting=%d count=%lld",
			(long long)out.mark.release, out.added, out.removed, out.held, out.overflow,
			(long long)out.mark.count);
		head_tell(&k->head, &out.mark, true);
		write_audit_head(k);
	} while (out.overflow > 0 && !*k->s.stop);
	return RC_OK;
}

static void step_down(struct keeper *k)
{
	if (k->was_leading)
		log_warn("engine", "keeper no longer leads");
	k->was_leading = false;
	head_tell(&k->head, NULL, false);
}

static void tick(struct keeper *k)
{
	struct pg_options o = {.dsn = conf_text(k->s.conf, "database.dsn"), .name = "khien-keeper"};
	struct err e = {0};
	enum rc rc = RC_OK;

	if (k->pg == NULL)
		rc = pg_open(&o, &k->pg, &e);
	if (rc == RC_OK)
		rc = lease_tick(&k->lease, k->pg, k->s.clk->mono_us(k->s.clk), &e);
	if (rc == RC_OK && k->lease.leads) {
		bool first = !k->was_leading;
		rc = lead(k, &e);
		if (rc == RC_OK && first)
			head_tell(&k->head, NULL, true);
	} else if (rc == RC_OK && k->was_leading) {
		step_down(k);
	}
	metric_set(metric_at(leading, NULL, NULL, NULL), k->lease.leads ? 1 : 0);
	if (rc == RC_OK) {
		k->failures = 0;
		health_ok(k->health);
	} else if (rc == RC_CONFLICT && e.state[0] == '\0') { /* fenced */
		k->lease.leads = false;
		k->lease.seen_since_us = 0;
		step_down(k);
	} else if (rc ==
		RC_CONFLICT) { /* a deadlock or serialization failure: again at the next tick */
		log_debug("blocklist", "release again: %s", e.text);
	} else {
		connection_lost(k, e.text);
	}
}

static void *run(void *arg)
{
	struct keeper *k = arg;
	int64_t pause_ms = conf_int(k->s.conf, "keeper.tick_ms");

	while (!*k->s.stop) {
		tick(k);
		wait_ms(k->lease.leads ? pause_ms : 200, k->s.stop);
	}
	head_tell(&k->head, NULL, false);
	lease_give_back(&k->lease, k->pg);
	pg_close(TAKE(k->pg));
	health_gone(k->health);
	return NULL;
}

enum rc keeper_start(const struct engine_settings *s, struct keeper **out, struct err *e)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	releases = metric_family(METRIC_COUNTER, "khien_releases_total", "",
		"Releases of the blocklist made by this process.");
	entries = metric_family(
		METRIC_GAUGE, "khien_blocklist_entries", "", "Entries of the newest release.");
	leading = metric_family(
		METRIC_GAUGE, "khien_keeper_leads", "", "1 while this process is the one keeper.");
	k->s = *s;
	k->lease = (struct lease){
		.owner = s->instance, .lease_us = conf_int(s->conf, "keeper.lease_s") * US_PER_S};
	k->health = health_slot("keeper", 0);
	head_init(&k->head);
	enum rc rc = relay_start(s, &k->head, &k->relay, e);
	for (size_t i = 0; i < conf_count(s->conf, "redis.urls") && i < MAX_COPIES && rc == RC_OK;
		i++) {
		rc = projector_start(s, &projection_redis, conf_at(s->conf, "redis.urls", i),
			(int)i, &k->head, &k->copies[i], e);
		k->n_copies += rc == RC_OK;
	}
	if (rc == RC_OK && pthread_create(&k->thread, NULL, run, k) != 0)
		rc = err_set(e, RC_RETRY, "no thread");
	if (rc != RC_OK)
		return rc; /* the caller ends the process; threads that run see *stop */
	*out = k;
	return RC_OK;
}

void keeper_join(struct keeper *k)
{
	if (k == NULL)
		return;
	pthread_join(k->thread, NULL);
	for (size_t i = 0; i < k->n_copies; i++)
		projector_join(k->copies[i]);
	relay_join(k->relay);
	judge_drop(k->judge);
	free(k);
}
