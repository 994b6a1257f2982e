/* What machines ask without a token: health, readiness, metrics. Causes may name hosts, so that only this machine is told them. */
#include "api/private.h"

void handle_health(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)a, (void)pg;
	http_answer(x, 200, "text/plain; charset=utf-8", SLICE("ok\n"));
}

bool api_ready(const struct api *a, bool with_causes, struct buf *out)
{
	struct list_mark mark;
	BUF_OWN struct buf why;
	int64_t synced = 0;

	buf_init(&why, 64 * 1024);
	bool ready = a->s.ready == NULL || a->s.ready(&why);
	struct slice rest = buf_slice(&why);
	for (struct slice line, part; slice_line(&rest, &line);) {
		struct slice cut = line;
		if (!with_causes && slice_cut(&cut, ':', &part))
			line = part;
		buf_add(out, line);
		buf_byte(out, '\n');
	}
	if (a->s.machines_only)
		return ready;
	bool loaded = mirror_mark(a->mirror, &mark, &synced);
	if (!loaded)
		buf_add(out, SLICE("lookup: no list is loaded yet\n"));
	else if (api_mono(a) - synced > a->stale_max_s * US_PER_S)
		buf_add(out, SLICE("lookup: the list in memory is stale\n"));
	else
		return ready;
	return false;
}

void handle_ready(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;

	(void)pg;
	buf_init(&b, 64 * 1024);
	bool ready = api_ready(a, x_loopback(x), &b);
	if (ready)
		buf_add(&b, SLICE("ready\n"));
	http_answer(x, ready ? 200 : 503, "text/plain; charset=utf-8", buf_slice(&b));
}

/* What can only be told at the moment of asking. */
static void measure_list(const struct api *a)
{
	struct list_mark mark = {.release = -1};
	int64_t synced = 0;
	bool loaded = mirror_mark(a->mirror, &mark, &synced);

	metric_set(a->m.list_release, (double)mark.release);
	metric_set(a->m.list_entries, (double)mark.count);
	metric_set(a->m.list_bytes, (double)mirror_bytes(a->mirror));
	metric_set(a->m.list_age, loaded ? (double)(api_mono(a) - synced) / (double)US_PER_S : -1);
}

void handle_metrics(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;

	(void)pg;
	measure_list(a);
	buf_init(&b, 16u << 20);
	metrics_write(&b);
	http_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&b));
}
