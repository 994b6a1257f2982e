/* complaints: every error of a file at once, one "file:line: what" per line, so that a person mends a file in one go. */
#include <stdarg.h>
#include <stdio.h>

#include "base/yaml.h"

#define KEPT 100
#define LINE_CAP 1024

void complaints_init(struct complaints *c)
{
	buf_init(&c->text, (size_t)(KEPT + 1) * (LINE_CAP + 1));
	c->count = 0;
}

void complaints_done(struct complaints *c)
{
	buf_done(&c->text);
	c->count = 0;
}

void complain_text(struct complaints *c, const char *text)
{
	char line[LINE_CAP];
	size_t n = 0;

	if (c->count++ >= KEPT)
		return;
	/* one complaint is one line, whatever stood in the file */
	for (; text[n] != '\0' && n < sizeof(line); n++)
		line[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7F ? ' ' : text[n];
	buf_add(&c->text, slice_of(line, n));
	buf_byte(&c->text, '\n');
	if (c->count == KEPT)
		buf_fmt(&c->text, "(only the first %d errors are shown)\n", KEPT);
}

void complain(struct complaints *c, const char *file, int line, const char *fmt, ...)
{
	char what[LINE_CAP], text[LINE_CAP];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (n < 0)
		what[0] = '\0';
	if (line > 0)
		n = snprintf(text, sizeof(text), "%s:%d: %s", file, line, what);
	else
		n = snprintf(text, sizeof(text), "%s: %s", file, what);
	if (n >= 0)
		complain_text(c, text);
}
