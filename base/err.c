/* err: the text of a failure. The caller owns the struct, so nothing here allocates or fails; what does not fit is cut. Leaves
 * out logging: a library returns its cause, the loop that decides what to do logs it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* A cut text must not end within a UTF-8 character. */
static void cut_clean(char *text, size_t cap, int wrote)
{
	size_t n = cap - 1, at = n;

	if (wrote < 0) {
		text[0] = '\0';
		return;
	}
	if ((size_t)wrote < cap)
		return;
	while (at > 0 && n - at < 3 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
		at--;
	if (at == 0 || (unsigned char)text[at - 1] < 0xC0)
		return; /* plain, or no UTF-8 at all */
	unsigned char lead = (unsigned char)text[at - 1];
	size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

	if (n - (at - 1) < want)
		text[at - 1] = '\0';
}

/* The arguments may point into e->text, so the text is made aside first. */
enum rc err_set(struct err *e, enum rc rc, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;

	if (e == NULL)
		return rc;
	va_start(ap, fmt);
	cut_clean(text, sizeof(text), vsnprintf(text, sizeof(text), fmt, ap));
	va_end(ap);
	memcpy(e->text, text, sizeof(text));
	memset(e->state, 0, sizeof(e->state));
	return rc;
}

enum rc err_wrap(struct err *e, enum rc rc, const char *fmt, ...)
{
	char text[sizeof(e->text)], prefix[sizeof(e->text)];
	va_list ap;

	if (e == NULL)
		return rc;
	va_start(ap, fmt);
	cut_clean(prefix, sizeof(prefix), vsnprintf(prefix, sizeof(prefix), fmt, ap));
	va_end(ap);
	e->text[sizeof(e->text) - 1] = '\0';
	size_t p = strlen(prefix), old = strlen(e->text), room = sizeof(text) - 1;
	size_t mid = p + 2 <= room ? 2 : 0, keep = room - p - mid < old ? room - p - mid : old;

	memcpy(text, prefix, p);
	memcpy(text + p, ": ", mid);
	memcpy(text + p + mid, e->text, keep);
	text[p + mid + keep] = '\0';
	if (keep < old)
		cut_clean(text, p + mid + keep + 1, (int)sizeof(text));
	memcpy(e->text, text, p + mid + keep + 1);
	return rc;
}

const char *rc_name(enum rc rc)
{
	static const char *const names[] = {
		[RC_OK] = "ok",
		[RC_NONE] = "none",
		[RC_INVALID] = "invalid",
		[RC_RETRY] = "retry",
		[RC_LIMIT] = "limit",
		[RC_CONFLICT] = "conflict",
		[RC_DENIED] = "denied",
		[RC_FATAL] = "fatal",
	};

	return (size_t)rc < ARRAY_LEN(names) ? names[rc] : "unknown";
}
