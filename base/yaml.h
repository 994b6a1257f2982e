/* A YAML file as a tree that remembers its lines. Used for the configuration, rule packs and the policy. Aliases and tags are
 * refused; duplicate keys are an error. */
#pragma once

#include "base/slice.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
	enum yaml_kind kind;
	int line;           /* 1-based */
	struct slice key;   /* of a map's child; empty elsewhere */
	struct slice value; /* of a scalar; NUL-terminated */
	bool quoted;        /* the scalar stood in quotes */
	const struct yaml *child, *next;
	size_t count; /* children */
};

struct yaml_doc;

/* Reads one document of at most cap_bytes. RC_INVALID with "file:line: why"; RC_NONE when there is no such file. */
MUST_USE enum rc yaml_load(
	const char *path, size_t cap_bytes, struct yaml_doc **out, struct err *e);
MUST_USE enum rc yaml_parse(
	const char *name, struct slice text, struct yaml_doc **out, struct err *e);
/* The symbol is another one: libyaml exports its own yaml_free, and would call ours instead. */
void yaml_free(struct yaml_doc *d) __asm__("khien_yaml_free");
OWNER(yaml_free, struct yaml_doc);
const struct yaml *yaml_root(const struct yaml_doc *d);
const char *yaml_name(const struct yaml_doc *d); /* the file name, for messages */
const struct yaml *yaml_get(const struct yaml *map, const char *key); /* NULL when absent */
/* Collects complaints of a whole file so that a user sees all of them at once. At most 100 are kept, the rest counted. */
struct complaints {
	struct buf text; /* one "file:line: what" per line */
	size_t count;
};
void complaints_init(struct complaints *c);
void complaints_done(struct complaints *c);
void complain(struct complaints *c, const char *file, int line, const char *fmt, ...) PRINTF(4, 5);
/* Takes a cause that names file and line already, as yaml_parse gives it. */
void complain_text(struct complaints *c, const char *text);
/* The child, or NULL after complaining at the map's line that the key is missing. */
const struct yaml *yaml_need(
	const struct yaml *map, const char *file, const char *key, struct complaints *c);
/* Typed readers: on a wrong type or range they complain and return false. An absent key (node NULL) complains. */
bool yaml_int(const struct yaml *n, const char *file, int64_t min, int64_t max, int64_t *out,
	struct complaints *c);
bool yaml_real(const struct yaml *n, const char *file, double min, double max, double *out,
	struct complaints *c);
bool yaml_bool(const struct yaml *n, const char *file, bool *out, struct complaints *c);
/* "90s", "15m", "24h", "7d" or a bare number of seconds. */
bool yaml_span_s(const struct yaml *n, const char *file, int64_t *out, struct complaints *c);
/* Complains about every child key that is not in the NULL-ended list. */
bool yaml_only(
	const struct yaml *map, const char *file, const char *const *keys, struct complaints *c);
/* The same readings of a bare text. */
MUST_USE enum rc yaml_as_real(struct slice s, double *out);
MUST_USE enum rc yaml_as_bool(struct slice s, bool *out);
MUST_USE enum rc yaml_as_span_s(struct slice s, int64_t *out);
