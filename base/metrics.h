/* Counters and gauges in one table that documents them; text in the Prometheus format. Adding is lock-free. */
#pragma once

#include "base/slice.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Registers a family once (repeat calls with the same name return the same family). `labels` is a comma list ("topic,partition") or
 * "". Histograms use fixed buckets 1 ms … 60 s and are observed in seconds. Never fails: over the bound of families a shared
 * "khien_metrics_overflow" is returned. */
struct metric;
struct metric *metric_family(
	enum metric_kind kind, const char *name, const char *labels, const char *help);
/* The cell of one set of label values (comma-free texts, in the order of `labels`; NULL-ended). At most 1,000 cells a family, then
 * the cell "other" is shared. Cells live for ever. */
struct metric_cell;
struct metric_cell *metric_at(struct metric *m, const char *v1, const char *v2, const char *v3);
void metric_add(struct metric_cell *c, double by);
void metric_set(struct metric_cell *c, double value);
void metric_observe(struct metric_cell *c, double seconds);
double metric_get(const struct metric_cell *c);
void metrics_write(struct buf *out);
