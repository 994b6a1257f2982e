/* What the keeper's process watches beside its work, every minute on a connection of its own: the age of the newest backup, persons who wait
 * longer than their clock, and surges: the last hour beside the same hour and weekday of the four weeks before. Leaves out the alarms, which
 * are Prometheus' rules. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "keep/state.h"

#define EVERY_MS 15000

struct keep_watch {
	const struct conf *conf;
	const volatile int *stop;
	pthread_t thread;
	struct pg *pg;
};

static struct metric *backup_age, *overdue, *hour, *usual;

/* The same question for everything, scams, and the busiest campaign of the hour. $1: now. */
static const char surge_sql[] =
	"WITH busiest AS (SELECT fingerprint FROM report WHERE stored_at > $1::timestamptz - "
	"interval '1 hour'"
	" AND stored_at <= $1 AND fingerprint <> 0 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1),"
	" span AS (SELECT w, $1::timestamptz - w * interval '7 days' AS at FROM generate_series(0, "
	"4) w),"
	" n AS (SELECT w, count(r.stored_at) AS reports, count(*) FILTER (WHERE r.class = 1) AS "
	"scams,"
	" count(*) FILTER (WHERE r.fingerprint = (SELECT fingerprint FROM busiest)) AS campaign"
	" FROM span LEFT JOIN report r ON r.stored_at > span.at - interval '1 hour' AND "
	"r.stored_at <= span.at"
	" GROUP BY w)"
	" SELECT (SELECT reports FROM n WHERE w = 0), (SELECT scams FROM n WHERE w = 0),"
	" (SELECT campaign FROM n WHERE w = 0), avg(reports)::float8, avg(scams)::float8,"
	" avg(campaign)::float8 FROM n WHERE w > 0";

static enum rc surges(struct pg *pg, int64_t now_us, struct err *e)
{
	static const char *const what[] = {"reports", "scam", "campaign"};
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a)};
	enum rc rc = pg_run(pg, surge_sql, p, 1, &r, e);
	for (int i = 0; rc == RC_OK && i < 3; i++) {
		metric_set(metric_at(hour, what[i], NULL, NULL), (double)pg_int(r, 0, i));
		metric_set(metric_at(usual, what[i], NULL, NULL), pg_real(r, 0, 3 + i));
	}
	return rc;
}

static enum rc requests(struct pg *pg, int64_t now_us, struct err *e)
{
	static const char sql[] = "SELECT count(*) FROM subject_request WHERE done_at IS NULL"
				  " AND least(answer_by, carry_out_by) < $1";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(now_us, a)};
	enum rc rc = pg_run(pg, sql, p, 1, &r, e);
	if (rc == RC_OK)
		metric_set(metric_at(overdue, NULL, NULL, NULL), (double)pg_int(r, 0, 0));
	return rc;
}

/* By the file's own time: the folder may be of another machine, and the engine has no backup key. */
static void backups(const struct conf *c, int64_t now_us)
{
	for (size_t i = 0; i < conf_count(c, "backup.state_dirs"); i++) {
		const char *dir = conf_at(c, "backup.state_dirs", i);
		char path[4096];
		struct stat st;
		struct err e;
		bool there = state_newest(dir, path, &e) == RC_OK && stat(path, &st) == 0;
		metric_set(metric_at(backup_age, dir, NULL, NULL),
			there ? (double)(now_us / US_PER_S - st.st_mtime) : -1);
	}
}

static void look(struct keep_watch *w)
{
	int64_t now_us = clk_system.now_us(&clk_system);
	struct pg_options o = {.dsn = conf_text(w->conf, "database.dsn"), .name = "khien-watch"};
	struct err e = {0};
	enum rc rc = RC_OK;

	backups(w->conf, now_us);
	if (w->pg == NULL)
		rc = pg_open(&o, &w->pg, &e);
	if (rc == RC_OK)
		rc = requests(w->pg, now_us, &e);
	if (rc == RC_OK)
		rc = surges(w->pg, now_us, &e);
	if (rc == RC_OK)
		return;
	log_debug("keep", "watch: %s", e.text);
	pg_close(TAKE(w->pg));
}

static void *run(void *arg)
{
	struct keep_watch *w = arg;

	while (__atomic_load_n(w->stop, __ATOMIC_RELAXED) == 0) {
		look(w);
		wait_ms(EVERY_MS, w->stop);
	}
	pg_close(TAKE(w->pg));
	return NULL;
}

enum rc keep_watch_start(
	const struct conf *c, const volatile int *stop, struct keep_watch **out, struct err *e)
{
	struct keep_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	*w = (struct keep_watch){.conf = c, .stop = stop};
	backup_age = metric_family(METRIC_GAUGE, "khien_backup_age_seconds", "dir",
		"Age of the newest state of a backup in each of backup.state_dirs; -1: there is "
		"none.");
	overdue = metric_family(METRIC_GAUGE, "khien_subject_requests_overdue", "",
		"Persons' requests that are open past one of their clocks.");
	hour = metric_family(METRIC_GAUGE, "khien_surge_hour", "what",
		"Reports of the last hour: all, scams, the busiest campaign.");
	usual = metric_family(METRIC_GAUGE, "khien_surge_usual", "what",
		"The same in the same hour and weekday, on average of the four weeks before.");
	if (pthread_create(&w->thread, NULL, run, w) != 0) {
		free(w);
		return err_set(e, RC_RETRY, "no thread");
	}
	*out = w;
	return RC_OK;
}

void keep_watch_join(struct keep_watch *w)
{
	if (w == NULL)
		return;
	pthread_join(w->thread, NULL);
	free(w);
}
