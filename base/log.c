/* log: one line of key=value on stderr per event, written by a single write(2) so that lines of several threads never mix. Leaves
 * out files, rotation and sampling: the service manager has them. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/log.h"

#define LINE_CAP 2048

static atomic_int level_now = LOG_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

struct line {
	char text[LINE_CAP];
	size_t len;
};

static void put(struct line *l, const char *s, size_t n)
{
	if (n > sizeof(l->text) - 1 - l->len) /* one byte stays for the newline */
		n = sizeof(l->text) - 1 - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

/* Control characters could forge a line or drive a terminal; a quote would end a quoted value. */
static void put_escaped(struct line *l, struct slice s, bool in_quotes)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c < 0x20 || c == 0x7F) {
			char x[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

			if (c == '\n')
				put(l, "\\n", 2);
			else
				put(l, x, sizeof(x));
		} else if (in_quotes && (c == '"' || c == '\\')) {
			char x[2] = {'\\', (char)c};

			put(l, x, sizeof(x));
		} else {
			put(l, s.ptr + i, 1);
		}
	}
}

/* Does `key=` stand at the start of s? */
static bool starts_pair(struct slice s)
{
	size_t n = 0;

	while (n < s.len &&
		((s.ptr[n] >= 'a' && s.ptr[n] <= 'z') || s.ptr[n] == '_' ||
			(n > 0 && s.ptr[n] >= '0' && s.ptr[n] <= '9')))
		n++;
	return n > 0 && n < s.len && s.ptr[n] == '=';
}

/* Where the sentence ends and the pairs begin. */
static size_t sentence_len(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((i == 0 || s.ptr[i - 1] == ' ') && starts_pair(slice_of(s.ptr + i, s.len - i)))
			return i;
	return s.len;
}

static void write_line(const struct line *l)
{
	size_t done = 0;

	while (done < l->len) {
		ssize_t n = write(STDERR_FILENO, l->text + done, l->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody to tell */
		done += (size_t)n;
	}
}

void log_at(enum log_level level, const char *area, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	int saved = errno, n;
	char text[LINE_CAP], when[TIME_TEXT];
	struct line l = {.len = 0};
	struct slice s;
	va_list ap;

	if ((int)level > atomic_load_explicit(&level_now, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s = slice_of(text, n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);

	time_format(clk_system.now_us(&clk_system), when);
	put(&l, "time=", 5);
	put(&l, when, strlen(when));
	put(&l, " level=", 7);
	put(&l, names[level], strlen(names[level]));
	put(&l, " area=", 6);
	put(&l, area, strlen(area));
	size_t words = sentence_len(s);
	struct slice sentence = slice_trim(slice_of(s.ptr, words));

	if (sentence.len > 0) {
		put(&l, " msg=\"", 6);
		put_escaped(&l, sentence, true);
		put(&l, "\"", 1);
	}
	if (words < s.len) {
		put(&l, " ", 1);
		put_escaped(&l, slice_of(s.ptr + words, s.len - words), false);
	}
	l.text[l.len++] = '\n';
	write_line(&l);
	errno = saved;
}

/* At least half of a number stays hidden. */
const char *log_mask(struct slice number, char out[MASKED_TEXT])
{
	size_t len = number.len < MASKED_TEXT - 1 ? number.len : MASKED_TEXT - 1;
	size_t head = len >= 10 ? 4 : len / 3, tail = len >= 10 ? 2 : 0;

	for (size_t i = 0; i < len; i++) {
		char c = i < head || i >= len - tail ? number.ptr[i] : '*';

		out[i] = c > ' ' && c < 0x7F ? c : '*';
	}
	out[len] = '\0';
	return out;
}
