/* Reads a text for evidence: links, phone numbers, accounts and chat handles, also hidden ones (docs/judgement.md section 2.4). A pure
 * function of the folded text, its way back and the packs' lists; linear. Which of it is suspicious is said by flags; what that
 * weighs is said by rules. */
#include "classifier/reader.h"

#define PATH_MAX_BYTES 200
#define NAME_MAX_BYTES 64
#define NEAR_BYTES 16

/* ---- links ---- */

struct chain {
	struct slice label[DOMAIN_LABELS];
	bool hidden[DOMAIN_LABELS]; /* the dot before label i */
	size_t n;
};

/* A blank, and behind it the beginning of a hidden dot. */
static bool may_be_dot(const char *p, size_t left)
{
	switch (left > 1 ? p[1] : '\0') {
	case '.':
	case '[':
	case '(':
	case '{':
		return true;
	case 'd':
		return left > 3 && p[2] == 'o' && p[3] == 't';
	case 'c':
		return left > 4 && p[2] == 'h' && p[3] == 'a' && p[4] == 'm';
	default:
		return false;
	}
}

/* The length of a hidden dot at p, 0: none. */
static size_t hidden_dot(const struct reader *r, const char *p)
{
	static const struct slice forms[] = {{" . ", 3}, {" .", 2}, {" dot ", 5}, {" cham ", 6}};
	static const struct slice marks[] = {{"[.]", 3}, {"[dot]", 5}, {"[cham]", 6}, {"(.)", 3},
		{"(dot)", 5}, {"(cham)", 6}, {"{.}", 3}};
	struct slice rest = slice_of(p, (size_t)(r->end - p));

	if (*p == ' ' && !may_be_dot(p, rest.len))
		return 0; /* nearly every word */
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (slice_starts(rest, forms[i]) && rest.len > forms[i].len &&
			is_word(p[forms[i].len]))
			return forms[i].len;
	size_t blank = rest.len > 0 && *p == ' ';
	rest = slice_of(p + blank, rest.len - blank);
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		size_t len = blank + marks[i].len;

		if (!slice_starts(rest, marks[i]))
			continue;
		len += p + len < r->end && p[len] == ' ';
		if (p + len < r->end && is_word(p[len]))
			return len;
	}
	return 0;
}

static bool any_hidden(const struct chain *c, size_t labels)
{
	for (size_t i = 1; i < labels; i++)
		if (c->hidden[i])
			return true;
	return false;
}

/* Reads the chain at p, which begins a run; answers where to go on. */
static const char *read_chain(const struct reader *r, const char *p, struct chain *c)
{
	bool hidden = false;

	c->n = 0;
	for (;;) {
		const char *from = p;
		size_t dot;

		while (p < r->end && is_run(*p))
			p++;
		if (p - from > 63 || *from == '-' || p[-1] == '-')
			return p;
		c->hidden[c->n] = hidden;
		c->label[c->n++] = slice_of(from, (size_t)(p - from));
		if (c->n == DOMAIN_LABELS || p == r->end)
			return p;
		hidden = *p != '.' || p + 1 == r->end || !is_word(p[1]);
		dot = !hidden                                              ? 1
			: *p == ' ' || *p == '[' || *p == '(' || *p == '{' ? hidden_dot(r, p)
									   : 0;
		if (dot == 0 ||
			(hidden && !any_hidden(c, c->n) && c->n >= 2 &&
				links_is_tld(r->links, c->label[c->n - 1])))
			return p;
		p += dot;
	}
}

static bool is_ip(const struct reader *r, const struct chain *c)
{
	const char *p = c->label[0].ptr;

	if (c->n != 4 || any_hidden(c, 4) || p - r->start < 2 || p[-1] != '/' || p[-2] != '/')
		return false;
	for (size_t i = 0; i < 4; i++) {
		uint64_t v;

		for (size_t k = 0; k < c->label[i].len; k++)
			if (!is_digit(c->label[i].ptr[k]))
				return false;
		if (c->label[i].len > 3 || slice_u64(c->label[i], &v) != RC_OK || v > 255)
			return false;
	}
	return true;
}

static bool has_digit(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_digit(s.ptr[i]))
			return true;
	return false;
}

/* The site on which a path names somebody; NULL: none. */
static const char *site_of(struct slice domain)
{
	static const char *const sites[][2] = {{"t.me", "telegram"}, {"telegram.me", "telegram"},
		{"zalo.me", "zalo"}, {"facebook.com", "facebook"}, {"fb.com", "facebook"},
		{"m.me", "facebook"}, {"wa.me", "whatsapp"}};

	for (size_t i = 0; i < ARRAY_LEN(sites); i++)
		if (slice_eq(domain, slice_str(sites[i][0])))
			return sites[i][1];
	return NULL;
}

/* What follows a domain up to the next blank; *stop is there. */
static struct slice path_of(const struct reader *r, const char *p, const char **stop)
{
	const char *blank = memchr(p, ' ', (size_t)(r->end - p));
	struct slice s = slice_of(p, (size_t)((blank != NULL ? blank : r->end) - p));

	*stop = p + s.len;
	if (s.len > PATH_MAX_BYTES) {
		s.len = PATH_MAX_BYTES;
		while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xC0) == 0x80)
			s.len--;
	}
	while (s.len > 0 && s.ptr[s.len - 1] != '\0' &&
		strchr(".,;:!?)]}>\"'", s.ptr[s.len - 1]) != NULL)
		s.len--;
	return s;
}

static void path_name(struct reader *r, struct slice domain, struct slice path)
{
	const char *site = site_of(domain);
	struct slice name = slice_of(path.ptr + 1, 0);

	while (name.len + 1 < path.len && name.ptr[name.len] != '/' && name.ptr[name.len] != '?')
		name.len++;
	if (site != NULL && name.len > 0 && name.len <= NAME_MAX_BYTES &&
		r->handles < BOUND_EVIDENCE)
		r->handle[r->handles++] = (struct found){name.ptr, name.ptr + name.len, name, site};
}

static struct slice join(const struct chain *c, size_t first, size_t n, char room[DOMAIN_MAX])
{
	size_t len = 0;

	for (size_t i = first; i < n; i++) {
		if (i > first)
			room[len++] = '.';
		memcpy(room + len, c->label[i].ptr, c->label[i].len);
		len += c->label[i].len;
	}
	return slice_of(room, len);
}

/* The host in a chain, if there is one; answers where to go on. */
static const char *host(struct reader *r, const struct chain *c, const char *after)
{
	char room[DOMAIN_MAX], url[DOMAIN_MAX + PATH_MAX_BYTES];
	bool ip = is_ip(r, c);
	size_t n = c->n;

	while (!ip && n >= 2 && !links_is_tld(r->links, c->label[n - 1]))
		n--;
	if (n < 2)
		return after;
	const char *end = c->label[n - 1].ptr + c->label[n - 1].len, *from = c->label[0].ptr, *stop;
	bool abused = links_is_abused(r->links, c->label[n - 1]), hidden = any_hidden(c, n);
	if (end < r->end && *end == '@')
		return after;
	if (hidden && n < 3 && c->label[0].len < 7 && !has_digit(c->label[0]))
		return after;
	struct slice domain =
		join(c, n >= 3 && slice_eq(c->label[0], SLICE("www")) ? 1 : 0, n, room);
	unsigned flags = (ip ? EVIDENCE_IP : 0) | (abused ? EVIDENCE_ABUSED_TLD : 0) |
		(hidden ? EVIDENCE_HIDDEN : 0);
	if (links_is_shortener(r->links, domain))
		flags |= EVIDENCE_SHORTENER;
	if (!ip && links_is_lookalike(r->links, domain, abused))
		flags |= EVIDENCE_LOOKALIKE;
	extract_put(r, EVIDENCE_DOMAIN, domain, flags, from, end);
	if (end == r->end || *end != '/')
		return end;
	struct slice path = path_of(r, end, &stop);
	if (path.len > 1) {
		memcpy(url, domain.ptr, domain.len);
		memcpy(url + domain.len, path.ptr, path.len);
		extract_put(r, EVIDENCE_URL, slice_of(url, domain.len + path.len), flags, from,
			path.ptr + path.len);
		path_name(r, domain, path);
	}
	return stop;
}

static void hosts(struct reader *r)
{
	struct chain c;

	for (const char *p = r->start; p < r->end;) {
		if (!is_run(*p)) {
			p++;
			continue;
		}
		const char *from = p, *stop = p;
		while (stop < r->end && is_run(*stop))
			stop++;
		if (stop == r->end ||
			(*stop != '.' && *stop != '[' && *stop != '(' && *stop != '{' &&
				(*stop != ' ' || !may_be_dot(stop, (size_t)(r->end - stop))))) {
			p = stop; /* no dot: nearly every word */
			continue;
		}
		p = read_chain(r, p, &c);
		if (c.n >= 2 && (from == r->start || (from[-1] != '_' && from[-1] != '@')))
			p = host(r, &c, p);
	}
}

/* ---- accounts and handles ---- */

static bool stands_alone(const struct reader *r, const char *p, size_t len)
{
	return (p == r->start || !is_word(p[-1])) && (p + len == r->end || !is_word(p[len]));
}

/* 6 to 19 digits at p with one blank or dash between, and nothing of a word after them; else 0. *len: with what stands between. */
static size_t account_digits(const struct reader *r, const char *p, char digit[20], size_t *len)
{
	const char *from = p;
	size_t n = 0;

	for (;;) {
		if (n == 19)
			return 0;
		digit[n++] = *p++;
		const char *next = p + (p < r->end && (*p == ' ' || *p == '-'));
		if (next == r->end || !is_digit(*next))
			break;
		p = next;
	}
	*len = (size_t)(p - from);
	return n >= 6 && (p == r->end || !is_word(*p)) ? n : 0;
}

static const char *account_after(struct reader *r, const char *word, size_t len, bool loose)
{
	const char *p = word + len;
	char digit[20], room[NUMBER_MAX + 2];
	struct slice phone;
	size_t n, taken;

	while (p < r->end && p - word - (ptrdiff_t)len < 24 && !is_digit(*p))
		p++;
	if (p == r->end || !is_digit(*p))
		return word + 1;
	n = account_digits(r, p, digit, &taken);
	if (n == 0)
		return word + 1;
	if (!loose || !extract_whole_number(slice_of(digit, n), room, &phone))
		extract_put(r, EVIDENCE_ACCOUNT, slice_of(digit, n), 0, p, p + taken);
	return p + taken;
}

static void accounts(struct reader *r)
{
	static const struct {
		struct slice word;
		bool loose;
	} words[] = {{{"so tai khoan", 12}, false}, {{"tai khoan", 9}, true}, {{"so tk", 5}, false},
		{{"stk", 3}, false}, {{"tk", 2}, true}};

	for (const char *p = r->start; p < r->end;) {
		const char *go_on = p + 1;

		bool may = p + 1 < r->end &&
			((*p == 's' && (p[1] == 'o' || p[1] == 't')) ||
				(*p == 't' && (p[1] == 'a' || p[1] == 'k'))) &&
			(p == r->start || !is_word(p[-1]));

		for (size_t i = 0; i < ARRAY_LEN(words) && may; i++)
			if (slice_starts(slice_of(p, (size_t)(r->end - p)), words[i].word) &&
				stands_alone(r, p, words[i].word.len)) {
				go_on = account_after(r, p, words[i].word.len, words[i].loose);
				break;
			}
		p = go_on;
	}
}

static void put_handle(
	struct reader *r, struct slice site, struct slice name, const char *from, const char *to)
{
	char text[NAME_MAX_BYTES + 16];

	memcpy(text, site.ptr, site.len);
	text[site.len] = ':';
	memcpy(text + site.len + 1, name.ptr, name.len);
	extract_put(r, EVIDENCE_HANDLE, slice_of(text, site.len + 1 + name.len), 0, from, to);
}

/* The chat whose name stands shortly before p; empty: none. */
static struct slice chat_before(const struct reader *r, const char *p)
{
	static const struct slice chats[] = {
		{"zalo", 4}, {"viber", 5}, {"whatsapp", 8}, {"telegram", 8}};
	const char *from = p - r->start > NEAR_BYTES + 8 ? p - NEAR_BYTES - 8 : r->start;

	for (; from < p; from++)
		for (size_t i = 0; i < ARRAY_LEN(chats); i++) {
			struct slice rest = slice_of(from, (size_t)(p - from));

			if (!slice_starts(rest, chats[i]) || rest.len - chats[i].len > NEAR_BYTES ||
				has_digit(slice_of(from + chats[i].len, rest.len - chats[i].len)))
				continue;
			return chats[i];
		}
	return slice_of(p, 0);
}

static void names_at(struct reader *r)
{
	static const struct slice telegram = {"telegram", 8};
	const char *p = r->start;

	if (memchr(p, '@', (size_t)(r->end - p)) == NULL)
		return;
	while ((p = memmem(p, (size_t)(r->end - p), telegram.ptr, telegram.len)) != NULL) {
		const char *at, *to;
		size_t room;

		p += telegram.len;
		room = (size_t)(r->end - p) < NEAR_BYTES + 1 ? (size_t)(r->end - p)
							     : NEAR_BYTES + 1;
		at = memchr(p, '@', room);
		if (at == NULL)
			continue;
		for (to = at + 1; to < r->end && (is_word(*to) || *to == '_') && to - at <= 33;
			to++)
			;
		if (to - at - 1 >= 5 && to - at - 1 <= 32)
			put_handle(r, telegram, slice_of(at + 1, (size_t)(to - at - 1)), at, to);
	}
}

static void handles(struct reader *r)
{
	for (size_t i = 0; i < r->handles; i++) {
		struct slice name = r->handle[i].value, phone;
		char room[NUMBER_MAX + 2];
		bool digits = true;

		for (size_t k = 0; k < name.len; k++)
			digits = digits && is_digit(name.ptr[k]);
		if (digits && extract_whole_number(name, room, &phone))
			name = phone;
		put_handle(
			r, slice_str(r->handle[i].site), name, r->handle[i].from, r->handle[i].to);
	}
	for (size_t i = 0; i < r->phones; i++) {
		struct slice chat = chat_before(r, r->phone[i].from);

		if (chat.len > 0)
			put_handle(r, chat, r->phone[i].value, r->phone[i].from, r->phone[i].to);
	}
	names_at(r);
}

enum rc extract(const struct links *l, const struct folded *f, struct arena *a,
	struct evidence out[BOUND_EVIDENCE], size_t *n)
{
	struct reader r = {.links = l,
		.f = f,
		.start = f->text.ptr,
		.end = f->text.ptr + f->text.len,
		.arena = a,
		.out = out};

	bool digits = has_digit(f->text);

	hosts(&r);
	if (digits)
		extract_numbers(&r);
	extract_spelled(&r);
	if (digits)
		accounts(&r);
	handles(&r);
	*n = r.n;
	return r.full_arena ? RC_LIMIT : RC_OK;
}
