/* Configuration: one table per library says name, type, default, range and one sentence; it feeds the parser, `khien check` and
 * the reference page. Names are dotted paths into the YAML file ("kafka.brokers"). A secret is never a value, always a file. */
#pragma once

#include "base/yaml.h"

enum conf_type {
	CONF_TEXT,
	CONF_INT,
	CONF_REAL,
	CONF_BOOL,
	CONF_SPAN_S,
	CONF_LIST,
	CONF_FILE,
	CONF_CHOICE
};

struct conf_item {
	const char *name; /* "redis.urls" */
	enum conf_type type;
	const char *def;     /* NULL: must be given */
	double min, max;     /* of numbers and spans; length of texts; both 0: unbounded */
	const char *choices; /* "shadow|review|auto" */
	bool reloadable;
	bool secret; /* the file's content must not be readable by others, never printed */
	const char *help;
};

struct conf_table {
	const char *room;
	const struct conf_item *items;
	size_t count;
};

struct conf;

/* Reads a file against the tables. RC_INVALID: `c` holds every error with file and line, nothing is loaded. Relative paths of
 * CONF_FILE items are taken from the configuration file's folder; `$NAME` at the start of a scalar is the environment's value. */
MUST_USE enum rc conf_load(const char *path, const struct conf_table *const *tables, size_t n,
	struct complaints *c, struct conf **out, struct err *e);
void conf_free(struct conf *c);
OWNER(conf_free, struct conf);
/* Asking for a name that no table has is a bug of ours (assert). */
const char *conf_text(const struct conf *c, const char *name);
int64_t conf_int(const struct conf *c, const char *name); /* also spans, in seconds */
double conf_real(const struct conf *c, const char *name);
bool conf_bool(const struct conf *c, const char *name);
size_t conf_count(const struct conf *c, const char *name); /* of a list */
const char *conf_at(const struct conf *c, const char *name, size_t i);
int conf_line(const struct conf *c, const char *name); /* 0 when the default is used */
const char *conf_path(const struct conf *c);
/* The whole file of a secret or other file item, trimmed of one final newline, into `out`. */
MUST_USE enum rc conf_read_file(
	const struct conf *c, const char *name, struct buf *out, struct err *e);
/* Writes the reference page (Markdown) of the tables. */
void conf_reference(const struct conf_table *const *tables, size_t n, struct buf *out);
