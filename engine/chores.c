/* What the leading keeper does besides releases: partitions of the report table ahead of time, the protected list, old releases forgotten
 * (every minute); the audit chain's head to a file, a topic and syslog (every second); gauges of what waits, orders whose time is over or that
 * are proved, reports that hear of a lift, and what others are asked to do (every two seconds). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/keeper.h"
#include "engine/watch.h"

#define SLOW_US (60 * US_PER_S)
#define HEAD_US (US_PER_S / 2)
#define GAUGES_US (2 * US_PER_S)
#define BUSY_US (15 * US_PER_S) /* while large releases follow one another */

static struct metric *dirty_rows, *dirty_age, *outbox_rows, *outbox_age, *stopped, *failing,
	*entries;

void chores_init(struct chores *c, const struct engine_settings *s)
{
	*c = (struct chores){.s = *s};
	pthread_mutex_init(&c->lock, NULL);
	snprintf(c->protected_file, sizeof(c->protected_file), "%s",
		conf_text(s->conf, "protected.file"));
	dirty_rows = metric_family(METRIC_GAUGE, "khien_dirty_keys", "",
		"Keys that wait for a release, counted up to 100,000; of the leading keeper.");
	dirty_age = metric_family(METRIC_GAUGE, "khien_dirty_oldest_seconds", "",
		"How long the oldest of them has been seen to wait.");
	outbox_rows = metric_family(METRIC_GAUGE, "khien_outbox_rows", "",
		"Rows of messages that wait for Kafka, counted up to 100,000; of the leading "
		"keeper.");
	outbox_age = metric_family(METRIC_GAUGE, "khien_outbox_oldest_seconds", "",
		"How long the oldest of them has been seen to wait.");
	entries = metric_family(
		METRIC_GAUGE, "khien_blocklist_entries", "", "Entries of the newest release.");
	stopped = metric_family(METRIC_GAUGE, "khien_partitions_stopped", "",
		"Partitions that wait for a person; of the leading keeper.");
	failing = metric_family(METRIC_GAUGE, "khien_chore_failing", "chore",
		"1 while this chore of the leading keeper failed when it last ran.");
}

void chores_reload(struct chores *c, const char *protected_file)
{
	pthread_mutex_lock(&c->lock);
	snprintf(c->protected_file, sizeof(c->protected_file), "%s", protected_file);
	pthread_mutex_unlock(&c->lock);
	__atomic_store_n(&c->reload, 1, __ATOMIC_RELEASE);
}

void chores_begin(struct chores *c)
{
	c->slow_at_us = c->head_at_us = c->gauges_at_us = INT64_MIN / 2;
	c->orders_far[0] = c->executed.consumers[0] = '\0';
}

/* ---- every minute ---- */

static enum rc partitions_ahead(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	static const char sql[] = "SELECT report_partitions($1::timestamptz::date, 3)";
	OWN(arena_free) struct arena *a = arena_new(4096);

	(void)c;
	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a)};
	return pg_run(pg, sql, p, 1, NULL, e);
}

static enum rc load_protected(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	char path[sizeof(c->protected_file)];
	struct complaints complaints;
	bool changed = false;

	pthread_mutex_lock(&c->lock);
	memcpy(path, c->protected_file, sizeof(path));
	pthread_mutex_unlock(&c->lock);
	if (path[0] == '\0')
		return RC_OK;
	complaints_init(&complaints);
	enum rc rc = protected_load(pg, path, now_us, &complaints, &changed, e);
	if (rc == RC_INVALID && complaints.count > 0)
		err_set(e, rc, "protected list refused, the old one stays: %.*s",
			(int)complaints.text.len, complaints.text.ptr);
	complaints_done(&complaints);
	if (rc == RC_OK && changed)
		log_info("blocklist", "protected list loaded from %s", path);
	return rc;
}

typedef enum rc load_file(struct pg *c, const char *path, int64_t now_us,
	struct complaints *complaints, struct err *e);

static enum rc load_whole(
	struct pg *pg, const char *path, load_file *load, int64_t now_us, struct err *e)
{
	struct complaints complaints;

	if (path[0] == '\0')
		return RC_OK;
	complaints_init(&complaints);
	enum rc rc = load(pg, path, now_us, &complaints, e);
	if (rc == RC_INVALID && complaints.count > 0)
		err_set(e, rc, "refused, the old one stays: %.*s", (int)complaints.text.len,
			complaints.text.ptr);
	complaints_done(&complaints);
	return rc;
}

static enum rc load_calendar(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return load_whole(pg, conf_text(c->s.conf, "calendar.file"), calendar_load, now_us, e);
}

static enum rc load_duty(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return load_whole(pg, conf_text(c->s.conf, "duty.file"), duty_load, now_us, e);
}

/* A large file is read again only when it looks different. */
static enum rc load_registry(
	struct chores *c, struct pg *pg, bool dnc, int64_t now_us, struct err *e)
{
	const char *path = conf_text(c->s.conf, dnc ? "dnc.file" : "brandnames.file");
	struct timespec *last = &c->registry_at[dnc];
	struct complaints complaints;
	struct stat st;

	if (path[0] == '\0')
		return RC_OK;
	bool there = stat(path, &st) == 0;
	if (there && st.st_mtim.tv_sec == last->tv_sec && st.st_mtim.tv_nsec == last->tv_nsec)
		return RC_OK;
	complaints_init(&complaints);
	enum rc rc = adverts_load(pg, c->s.keys, dnc, path, now_us, &complaints, e);
	if (rc == RC_INVALID && complaints.count > 0)
		err_set(e, rc, "refused, the old one stays: %.*s", (int)complaints.text.len,
			complaints.text.ptr);
	complaints_done(&complaints);
	if (rc == RC_OK && there)
		*last = st.st_mtim;
	return rc;
}

static enum rc load_dnc(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return load_registry(c, pg, true, now_us, e);
}

static enum rc load_brandnames(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return load_registry(c, pg, false, now_us, e);
}

static enum rc tend_watch(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return watch_tend(pg, conf_text(c->s.conf, "watch.file"), now_us, e);
}

static enum rc tend_clocks(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	(void)c;
	return clocks_tend(pg, now_us, e);
}

static enum rc forget_releases(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return release_prune(pg, now_us - conf_int(c->s.conf, "feed.keep") * US_PER_S, e);
}

static enum rc forget(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return forget_facts(&c->s, pg, now_us, e);
}

/* ---- the audit's head ---- */

static enum rc head_to_file(const char *path, const char *line, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	bool good = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);

	if (!good)
		err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good ? RC_OK : RC_INVALID;
}

/* So that a second party can keep it: what was chained cannot be changed afterwards without being seen there. */
static enum rc write_head(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	static const char sql[] =
		"SELECT seq, encode(hash, 'hex') FROM audit_chain ORDER BY seq DESC LIMIT 1";
	static const char out_sql[] =
		"INSERT INTO outbox (topic, messages, body) VALUES ('audit-heads', 1, $1)";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;
	char at[TIME_TEXT];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = pg_run(pg, sql, NULL, 0, &r, e);
	if (rc != RC_OK || pg_rows(r) == 0 || pg_int(r, 0, 0) == c->audit_seq)
		return rc;
	long long seq = pg_int(r, 0, 0);
	const char *hash = pg_text(r, 0, 1).ptr;
	time_format(now_us, at);
	const char *line = arena_fmt(a, "%s %lld %s\n", at, seq, hash);
	const char *out = arena_fmt(
		a, "audit\t{\"seq\":%lld,\"hash\":\"%s\",\"at\":\"%s\"}\n", seq, hash, at);
	struct pg_param p[] = {pg_p_str(out)};
	rc = pg_run(pg, out_sql, p, 1, NULL, e);
	if (rc != RC_OK)
		return rc;
	c->audit_seq = seq;
	if (conf_bool(c->s.conf, "audit.syslog"))
		to_syslog(seq, hash);
	return head_to_file(conf_text(c->s.conf, "audit.heads_file"), line, e);
}

/* ---- gauges ---- */

/* How long this id has been the oldest. */
static double age_s(int64_t *id, int64_t *since_us, int64_t now_id, int64_t mono_us)
{
	if (now_id != *id || now_id == 0) {
		*id = now_id;
		*since_us = mono_us;
	}
	return (double)(mono_us - *since_us) / (double)US_PER_S;
}

static enum rc measure(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	static const char sql[] =
		"SELECT (SELECT count(*) FROM (SELECT FROM dirty LIMIT 100000) d),"
		" coalesce((SELECT id FROM dirty ORDER BY id LIMIT 1), 0),"
		" (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) o),"
		" coalesce((SELECT id FROM outbox ORDER BY id LIMIT 1), 0),"
		" (SELECT count(*) FROM part WHERE stopped <> ''),"
		" coalesce((SELECT count FROM list_head), 0)";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(pg, sql, NULL, 0, &r, e);
	int64_t mono_us = c->s.clk->mono_us(c->s.clk);

	(void)now_us;
	if (rc != RC_OK)
		return rc;
	metric_set(metric_at(dirty_rows, NULL, NULL, NULL), (double)pg_int(r, 0, 0));
	metric_set(metric_at(dirty_age, NULL, NULL, NULL),
		age_s(&c->dirty_id, &c->dirty_since_us, pg_int(r, 0, 1), mono_us));
	metric_set(metric_at(outbox_rows, NULL, NULL, NULL), (double)pg_int(r, 0, 2));
	metric_set(metric_at(outbox_age, NULL, NULL, NULL),
		age_s(&c->outbox_id, &c->outbox_since_us, pg_int(r, 0, 3), mono_us));
	metric_set(metric_at(stopped, NULL, NULL, NULL), (double)pg_int(r, 0, 4));
	/* a release sets it, too; a keeper that has just begun to lead has made none */
	metric_set(metric_at(entries, NULL, NULL, NULL), (double)pg_int(r, 0, 5));
	return RC_OK;
}

/* ---- every two seconds ---- */

static enum rc tend_orders(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return orders_tend(pg, now_us, c->orders_far, e);
}

static enum rc tell_retracted(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	(void)c;
	return lift_tell(pg, now_us, e);
}

static enum rc tend_executors(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	const struct policy *p = c->policy;

	if (p == NULL)
		return RC_OK;
	struct executors x = {
		.asks = strcmp(c->control->mode, "shadow") != 0,
		.may_bar = strcmp(c->control->mode, "auto") == 0,
		.poll_sample = p->poll.sample,
		.poll_answers = p->poll.answers,
		.poll_share = p->poll.yes_share,
		.poll_apart_s = p->poll.apart_s,
		.poll_wait_s = p->poll.wait_s,
		.notices = p->registration.notices,
		.notice_every_s = p->registration.every_s,
		.one_way_s = p->registration.one_way_s,
		.both_s = p->registration.both_s,
		.registration_basis = p->registration.basis,
	};
	return executors_tend(pg, &x, now_us, &c->executed, e);
}

static enum rc tend_appeals(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	(void)c;
	return cases_tend(pg, 0, now_us, e);
}

static enum rc tend_quiet(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	return cases_tend(pg, conf_int(c->s.conf, "cases.quiet"), now_us, e);
}

/* ---- every night ---- */

static enum rc weigh_reporters(struct chores *c, struct pg *pg, int64_t now_us, struct err *e)
{
	int64_t changed;
	enum rc rc = trust_run(pg, true, "engine/keeper", now_us, &changed, e);

	(void)c;
	return rc == RC_NONE ? RC_OK : rc;
}

/* ---- all of it ---- */

typedef enum rc chore(struct chores *c, struct pg *pg, int64_t now_us, struct err *e);

static void do_one(struct chores *c, struct pg *pg, const char *name, chore *run, enum rc *first)
{
	struct err e = {0};

	if (pg_broken(pg))
		return;
	enum rc rc = run(c, pg, c->s.clk->now_us(c->s.clk), &e);
	metric_set(metric_at(failing, name, NULL, NULL), rc == RC_OK ? 0 : 1);
	if (rc == RC_OK)
		return;
	pg_rollback(pg);
	if (!pg_broken(pg))
		log_error("engine", "chore=%s failed cause=\"%s\"", name, e.text);
	*first = *first == RC_OK ? rc : *first;
}

enum rc chores_tick(struct chores *c, struct pg *pg, int64_t mono_us)
{
	enum rc rc = RC_OK;

	if (__atomic_exchange_n(&c->reload, 0, __ATOMIC_ACQUIRE) == 1 ||
		mono_us - c->slow_at_us >= SLOW_US) {
		c->slow_at_us = mono_us;
		c->orders_far[0] = '\0'; /* an order may name what was listed and proved before */
		do_one(c, pg, "partitions", partitions_ahead, &rc);
		do_one(c, pg, "protected", load_protected, &rc);
		do_one(c, pg, "releases", forget_releases, &rc);
		do_one(c, pg, "trust", weigh_reporters, &rc);
		do_one(c, pg, "calendar", load_calendar, &rc);
		do_one(c, pg, "duty", load_duty, &rc);
		do_one(c, pg, "dnc", load_dnc, &rc);
		do_one(c, pg, "brandnames", load_brandnames, &rc);
		do_one(c, pg, "quiet", tend_quiet, &rc);
		do_one(c, pg, "facts", forget, &rc);
	}
	if (mono_us - c->head_at_us >= HEAD_US) {
		c->head_at_us = mono_us;
		do_one(c, pg, "audit_head", write_head, &rc);
	}
	if (mono_us - c->gauges_at_us >= (c->busy ? BUSY_US : GAUGES_US)) {
		c->gauges_at_us = mono_us;
		do_one(c, pg, "gauges", measure, &rc);
		do_one(c, pg, "orders", tend_orders, &rc);
		do_one(c, pg, "appeals", tend_appeals, &rc);
		do_one(c, pg, "retractions", tell_retracted, &rc);
		do_one(c, pg, "executors", tend_executors, &rc);
		do_one(c, pg, "watch", tend_watch, &rc);
		do_one(c, pg, "clocks", tend_clocks, &rc);
	}
	return rc;
}
