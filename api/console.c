/* The abuse team's console: a few files that the build made, read once at start and served from memory, packed where the client takes it.
 * Leaves out everything that the page asks for: it uses the API as anybody does. */
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

#define FILE_MAX (2u << 20)

struct served {
	const char *name, *type;
	struct shared *plain, *packed;
	char etag[40];
};
struct console {
	struct served file[4];
};

static const struct {
	const char *name, *type;
} files[] = {{"index.html", "text/html; charset=utf-8"},
	{"app.js", "text/javascript; charset=utf-8"}, {"app.css", "text/css; charset=utf-8"},
	{"icon.svg", "image/svg+xml"}};
_Static_assert(ARRAY_LEN(files) == ARRAY_LEN(((struct console *)0)->file), "one place for each");

void console_free(struct console *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(c->file); i++) {
		shared_free(c->file[i].plain);
		shared_free(c->file[i].packed);
	}
	free(c);
}

static bool load(struct served *f, const char *dir)
{
	BUF_OWN struct buf plain, packed;
	char path[4200];
	uint8_t hash[SHA256_LEN];
	struct err e = {0};

	buf_init(&plain, FILE_MAX);
	buf_init(&packed, FILE_MAX);
	snprintf(path, sizeof(path), "%s/%s", dir, f->name);
	if (file_read(path, false, &plain, &e) != RC_OK || !gzip(buf_slice(&plain), &packed))
		return false;
	sha256(buf_slice(&plain), hash);
	f->etag[0] = '"';
	for (size_t i = 0; i < 12; i++)
		snprintf(f->etag + 1 + 2 * i, 3, "%02x", hash[i]);
	strcat(f->etag, "\"");
	f->plain = shared_new(&plain);
	f->packed = shared_new(&packed);
	return f->plain != NULL && f->packed != NULL;
}

struct console *console_new(const char *dir)
{
	OWN(console_free) struct console *c = calloc(1, sizeof(*c));

	for (size_t i = 0; c != NULL && i < ARRAY_LEN(files); i++) {
		c->file[i].name = files[i].name;
		c->file[i].type = files[i].type;
		if (!load(&c->file[i], dir))
			return NULL;
	}
	return TAKE(c);
}

static void answer_file_of(struct exchange *x, const struct served *f)
{
	char etag[48];
	bool packed = wants_gzip(x);

	/* packed and plain differ in their bytes, so in their strong tags */
	snprintf(etag, sizeof(etag), "%.*s%s\"", (int)(strlen(f->etag) - 1), f->etag,
		packed ? "-gz" : "");
	x_set_header(x, "ETag", etag);
	x_set_header(x, "Cache-Control", "no-cache");
	x_set_header(x, "Vary", "Accept-Encoding");
	x_set_header(x, "Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	x_set_header(x, "Referrer-Policy", "no-referrer");
	x_set_header(x, "Cross-Origin-Opener-Policy", "same-origin");
	if (etag_listed(x, etag)) {
		http_answer(x, 304, NULL, SLICE(""));
		return;
	}
	if (packed)
		x_set_header(x, "Content-Encoding", "gzip");
	http_answer_shared(x, 200, f->type, packed ? f->packed : f->plain);
}

void handle_console(struct api *a, struct pg *pg, struct exchange *x)
{
	const char *name = request_of(x)->variable;

	(void)pg;
	for (size_t i = 1; a->console != NULL && i < ARRAY_LEN(files); i++)
		if (strcmp(name, a->console->file[i].name) == 0) {
			answer_file_of(x, &a->console->file[i]);
			return;
		}
	http_problem(x, 404, "Not Found", "%s",
		a->console == NULL ? "the console is not built here"
				   : "the console has no such file");
}

/* Without a console people find the status page, as ever. */
void handle_root(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)pg;
	if (a->console != NULL) {
		answer_file_of(x, &a->console->file[0]);
		return;
	}
	x_set_header(x, "Location", "/status");
	http_answer(x, 302, NULL, SLICE(""));
}
