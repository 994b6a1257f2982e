/* conf_page: the reference page of the configuration, written from the same tables that read it, so it cannot be out of date. */
#include <math.h>

#include "base/conf.h"

static void span(struct buf *out, double s)
{
	static const struct {
		double s;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "m"}};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (s > 0 && fmod(s, units[i].s) == 0) {
			buf_fmt(out, "%.15g%s", s / units[i].s, units[i].unit);
			return;
		}
	}
	buf_fmt(out, "%.15gs", s);
}

/* A cell of a table: a bar or a line end would break the row. */
static void cell(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			buf_byte(out, '\\');
		buf_byte(out, *text == '\n' ? ' ' : *text);
	}
}

static void type(struct buf *out, const struct conf_item *i)
{
	static const char *const names[] = {
		[CONF_TEXT] = "text",
		[CONF_INT] = "whole number",
		[CONF_REAL] = "number",
		[CONF_BOOL] = "true or false",
		[CONF_SPAN_S] = "span",
		[CONF_LIST] = "list",
		[CONF_FILE] = "file",
		[CONF_CHOICE] = "one of ",
	};

	if (i->secret)
		buf_add(out, SLICE("secret "));
	buf_add(out, slice_str(names[i->type]));
	if (i->type == CONF_CHOICE) {
		buf_add(out, SLICE("`"));
		for (const char *p = i->choices; *p != '\0'; p++)
			buf_add(out, *p == '|' ? SLICE("` `") : slice_of(p, 1));
		buf_add(out, SLICE("`"));
	}
	if (i->min == 0 && i->max == 0)
		return;
	buf_add(out, SLICE(", "));
	if (i->type == CONF_SPAN_S) {
		span(out, i->min);
		buf_add(out, SLICE(" to "));
		span(out, i->max);
		return;
	}
	buf_fmt(out, "%.15g to %.15g", i->min, i->max);
	if (i->type == CONF_TEXT)
		buf_add(out, SLICE(" bytes"));
	if (i->type == CONF_LIST)
		buf_add(out, SLICE(" entries"));
}

static void default_value(struct buf *out, const struct conf_item *i)
{
	if (i->def == NULL) {
		buf_add(out, SLICE("must be given"));
	} else if (i->def[0] == '\0') {
		buf_add(out, SLICE("none"));
	} else {
		buf_byte(out, '`');
		cell(out, i->def);
		buf_byte(out, '`');
	}
}

void conf_reference(const struct conf_table *const *tables, size_t n, struct buf *out)
{
	buf_add(out,
		SLICE("# Configuration\n\n"
		      "One YAML file. A dotted name is a path of maps: `kafka.brokers` is "
		      "`brokers:` below "
		      "`kafka:`. A value that begins with\n`$NAME` takes the environment's value "
		      "(`$$` is a "
		      "dollar sign). File names are relative to the folder of the\nconfiguration "
		      "file; a "
		      "secret is always a file that only its owner may read. Spans are written "
		      "`90s`, `15m`, "
		      "`24h`, `7d`. Lists\nare YAML lists, or one text with commas. Settings "
		      "marked "
		      "*reload* are taken over without a restart.\n"));
	for (size_t t = 0; t < n; t++) {
		buf_fmt(out, "\n## %s\n\n| name | type | default | |\n|---|---|---|---|\n",
			tables[t]->room);
		for (size_t k = 0; k < tables[t]->count; k++) {
			const struct conf_item *i = &tables[t]->items[k];

			buf_fmt(out, "| `%s` | ", i->name);
			type(out, i);
			buf_add(out, SLICE(" | "));
			default_value(out, i);
			buf_add(out, SLICE(" | "));
			cell(out, i->help != NULL ? i->help : "");
			buf_add(out, i->reloadable ? SLICE(" *reload* |\n") : SLICE(" |\n"));
		}
	}
}
