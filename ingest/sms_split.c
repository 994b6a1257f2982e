/* A citizen's report SMS, split into kind, sender and content. The official form is KEYWORD [source] [content]; people write brackets of
 * both kinds or none, one group or three, a dash, the groups the other way round. What stands first is the sender unless only something
 * else can be one; two different numbers are a question for people, never a guess. docs/formats.md lists the rules in words.
 * Leaves out characters and numbers (sms_text.c). */
#include "ingest/sms.h"

#define GROUPS 8 /* what follows the eighth is tail */

struct group {
	struct slice raw, in; /* with and without its brackets */
	bool bracketed;
	struct look look; /* of all of it */
};

/* The message after the keyword: groups in a row, then what remains. */
struct layout {
	struct group g[GROUPS];
	size_t n;
	struct slice tail, all;
};

/* Where the sender was found: group g, and what of that group stood before and after it. */
struct choice {
	size_t g;
	struct slice sender, before, after;
};

static struct slice from(struct slice s, size_t n)
{
	return slice_of(s.ptr + n, s.len - n);
}

static struct slice between(struct slice whole, const char *start)
{
	return slice_of(start, (size_t)(whole.ptr + whole.len - start));
}

/* The bracket that opens at the start of `s`: a bracket of any kind closes it, inner ones are counted. One that never closes ends
 * before an inner one that opens, or with the message. */
static struct slice bracket(struct slice s, struct group *out)
{
	size_t n, first, inner = 0;
	int depth = 0;

	(void)sms_sign(s, &first);
	for (size_t at = 0; at < s.len; at += n) {
		enum sign sign = sms_sign(from(s, at), &n);

		if (sign == SIGN_OPEN && ++depth == 2 && inner == 0)
			inner = at;
		if (sign == SIGN_CLOSE && --depth == 0) {
			out->raw = slice_of(s.ptr, at + n);
			out->in = sms_trim_blanks(slice_of(s.ptr + first, at - first));
			return from(s, at + n);
		}
	}
	out->raw = slice_of(s.ptr, inner > 0 ? inner : s.len);
	out->in = sms_trim_blanks(from(out->raw, first));
	return from(s, out->raw.len);
}

static bool starts_bracket(struct slice s)
{
	size_t n;

	return sms_sign(s, &n) == SIGN_OPEN;
}

/* All of a group as a sender: separators at its ends are none of it. */
static struct slice core(const struct group *g)
{
	return sms_trim_both(g->in);
}

static void group_add(const struct plan *p, struct layout *l, struct group g, int64_t when)
{
	g.look = sms_look(p, core(&g), when);
	l->g[l->n++] = g;
}

/* Groups in a row from `s` on; text after the only one is a group without brackets, any other is tail. */
static void groups(const struct plan *p, struct slice s, int64_t when, struct layout *l)
{
	for (struct slice next = sms_skip_gap(s); l->n < GROUPS && starts_bracket(next);
		next = sms_skip_gap(s)) {
		struct group g = {.bracketed = true};

		s = bracket(next, &g);
		group_add(p, l, g, when);
	}
	s = sms_trim(s);
	if (l->n == 1 && s.len > 0)
		group_add(p, l, (struct group){.raw = s, .in = s}, when);
	else
		l->tail = s;
}

/* A sender that stands in front of the first bracket, `V 0812341213 (lua dao)`, or whose opening bracket was forgotten,
 * `V 0812341213) (lua dao)`; or text in front of a bracket that is all sender, `V lua dao (0812341213)`. */
static bool head_group(const struct plan *p, struct slice s, int64_t when, struct layout *l)
{
	struct group g = {.bracketed = false}, next = {.bracketed = true};
	size_t at = 0, n, end;
	enum sign sign = SIGN_END;
	struct look look;

	for (; at < s.len; at += n) {
		sign = sms_sign(from(s, at), &n);
		if (sign == SIGN_OPEN || sign == SIGN_CLOSE)
			break;
	}
	if (at == s.len || at == 0)
		return false;
	g.raw = slice_of(s.ptr, at);
	g.in = sms_trim_both(g.raw);
	g.look = sms_look(p, g.in, when);
	end = at;
	if (sign == SIGN_CLOSE) {
		if (g.look.seen == SEEN_OTHER)
			return false;
		g.bracketed = true;
		end = at + n;
	} else if (!look_clear(&g.look) && g.look.seen != SEEN_HIDDEN &&
		!sms_brand(&g.look, g.in, true)) {
		(void)bracket(from(s, at), &next);
		look = sms_look(p, core(&next), when);
		if (!look_clear(&look))
			return false;
	}
	l->g[l->n++] = g;
	groups(p, from(s, end), when, l);
	return true;
}

/* `V (+84) 812341213 lua dao`: the first bracket is part of a number, and none by itself. */
static bool number_in_brackets(const struct plan *p, struct slice s, int64_t when, struct layout *l)
{
	struct group g = {.bracketed = true};
	struct look look;
	size_t len;

	(void)bracket(s, &g);
	look = sms_look(p, core(&g), when);
	len = strlen(look.who.value);
	if (look_clear(&look) && !(len == 4 && look_service_start(&look)))
		return false;
	g = (struct group){.bracketed = false};
	if (sms_lead(p, s, when, &g.in, &g.look) != 1)
		return false;
	g.raw = g.in;
	l->g[l->n++] = g;
	groups(p, from(s, g.in.len), when, l);
	return true;
}

static void lay_out(const struct plan *p, struct slice s, int64_t when, struct layout *l)
{
	l->n = 0;
	l->tail = SLICE("");
	l->all = s;
	if (starts_bracket(s) ? number_in_brackets(p, s, when, l) : head_group(p, s, when, l))
		return;
	if (starts_bracket(s))
		groups(p, s, when, l);
	else
		group_add(p, l, (struct group){.raw = s, .in = s}, when);
}

static bool same(const struct look *a, const struct look *b)
{
	return a->who.scope == b->who.scope && strcmp(a->who.value, b->who.value) == 0;
}

static void choose_part(struct choice *c, size_t g, struct slice in, struct slice sender)
{
	c->g = g;
	c->sender = sender;
	c->before = slice_of(in.ptr, (size_t)(sender.ptr - in.ptr));
	c->after = between(in, sender.ptr + sender.len);
}

static void choose(struct choice *c, const struct layout *l, size_t g)
{
	*c = (struct choice){.g = g, .sender = core(&l->g[g])};
}

/* The first group begins with another sender, `V 0812341213 goi tu (0912345678)`. In brackets a short code is rather an amount. */
static bool begins_otherwise(
	const struct plan *p, const struct group *g, const struct look *than, int64_t when)
{
	struct slice part;
	struct look look;

	switch (sms_lead(p, g->in, when, &part, &look)) {
	case 0:
		return false;
	case 1:
		return !same(&look, than) &&
			(!g->bracketed || look.seen == SEEN_NUMBER || look_service_line(&look));
	default:
		return !g->bracketed;
	}
}

/* Groups that are a number or a short code and nothing else. SMS_NO_SENDER: there is none, look on. */
static enum sms_kind whole_groups(
	const struct plan *p, const struct layout *l, int64_t when, struct choice *c)
{
	size_t found = l->n;

	for (size_t i = 0; i < l->n; i++) {
		const struct group *g = &l->g[i];

		if (!look_clear(&g->look))
			continue;
		if (found == l->n)
			found = i;
		else if (!same(&l->g[found].look, &g->look) &&
			(g->bracketed || g->look.seen == SEEN_NUMBER ||
				look_service_line(&g->look))) /* else digits in the text */
			return SMS_TWO_SENDERS;
	}
	if (found == l->n)
		return SMS_NO_SENDER;
	if (found > 0 && sms_brand(&l->g[0].look, core(&l->g[0]), !l->g[0].bracketed))
		return SMS_TWO_SENDERS; /* a sender ID and a number: whose message it was is not ours to guess */
	if (found > 0 && begins_otherwise(p, &l->g[0], &l->g[found].look, when))
		return SMS_TWO_SENDERS;
	choose(c, l, found);
	return SMS_REPORT;
}

/* The first group begins with digits that are a sender: `LD (0812341213 - mao danh)`. */
static enum sms_kind leading(
	const struct plan *p, const struct layout *l, int64_t when, struct choice *c)
{
	const struct group *g = &l->g[0];
	struct slice part, rest;
	struct look look, other;

	switch (sms_lead(p, g->in, when, &part, &look)) {
	case 0:
		return SMS_NO_SENDER;
	case 1:
		break;
	default:
		return SMS_TWO_SENDERS;
	}
	if (g->look.seen == SEEN_NAME && look.seen == SEEN_SHORT && l->n > 1)
		return SMS_NO_SENDER; /* "333 TAXI" in its own group is a name */
	choose_part(c, 0, g->in, part);
	rest = sms_trim(c->after);
	if ((sms_begins(p, rest, when, &other) ||
		    (other = sms_look(p, rest, when)).seen == SEEN_NUMBER) &&
		!same(&look, &other))
		return SMS_TWO_SENDERS;
	return SMS_REPORT;
}

static bool dash_or_colon(struct slice in, size_t at, bool after_blank)
{
	size_t n;
	uint32_t c = sms_char(from(in, at), &n);
	enum sign next = sms_sign(from(in, at + n), &n);

	return c == ':' ||
		((c == '-' || c == 0x2013 || c == 0x2014) &&
			(after_blank || next == SIGN_BLANK || next == SIGN_END));
}

/* `S (VIETCOMBANK - noi dung)`, `V an danh - noi dung`: a name or a word for "withheld" before the first dash or colon. Outside brackets
 * it is in capitals. A number right behind it may be the sender as well as he may be. */
static enum sms_kind before_dash(
	const struct plan *p, const struct group *g, int64_t when, struct slice *out)
{
	struct slice in = g->in;
	bool after_blank = false;
	size_t n;

	for (size_t at = 0; at < in.len && at <= 48; at += n) {
		enum sign sign = sms_sign(from(in, at), &n);
		struct look look;

		if (dash_or_colon(in, at, after_blank)) {
			*out = sms_trim_blanks(slice_of(in.ptr, at));
			look = sms_look(p, *out, when);
			if (look.seen == SEEN_HIDDEN || sms_brand(&look, *out, !g->bracketed))
				return sms_begins(p, sms_trim(from(in, at)), when, &look)
					? SMS_TWO_SENDERS
					: SMS_REPORT;
		}
		after_blank = sign == SIGN_BLANK;
	}
	return SMS_NO_SENDER;
}

/* `S VIETCOMBANK noi dung`: the first word is a sender ID in capitals and the next one is not (else it is a shouted text). */
static bool first_word(const struct plan *p, struct slice in, int64_t when, struct slice *out)
{
	struct slice word = in, next;
	struct look look;
	size_t n, end = 0;

	while (end < in.len && sms_sign(from(in, end), &n) != SIGN_BLANK)
		end += n;
	word = slice_of(in.ptr, end);
	while (word.len > 0 && strchr(":,;.-", word.ptr[word.len - 1]) != NULL)
		word.len--;
	look = sms_look(p, word, when);
	if (!sms_brand(&look, word, true))
		return false;
	next = sms_trim(from(in, end));
	for (end = 0; end < next.len && sms_sign(from(next, end), &n) == SIGN_LETTER; end += n)
		if (next.ptr[end] >= 'a' && next.ptr[end] <= 'z') {
			*out = word;
			return true;
		}
	if (next.len == 0)
		*out = word;
	return next.len == 0;
}

/* `S (VIETTHANG)`: with nothing after it, several small words are rather a content. */
static bool lone_name(struct slice in)
{
	bool blank = false, small = false;

	for (size_t i = 0; i < in.len; i++) {
		blank = blank || in.ptr[i] == ' ';
		small = small || (in.ptr[i] >= 'a' && in.ptr[i] <= 'z');
	}
	return !blank || !small;
}

/* A name or "withheld" in the place of the sender. */
static enum sms_kind named(
	const struct plan *p, const struct layout *l, int64_t when, struct choice *c)
{
	const struct group *g = &l->g[0];
	enum sms_kind kind;
	struct slice part;

	if (g->look.seen == SEEN_HIDDEN ||
		(g->look.seen == SEEN_NAME && g->bracketed && (l->n > 1 || lone_name(core(g)))) ||
		sms_brand(&g->look, core(g), !g->bracketed)) {
		choose(c, l, 0);
		return SMS_REPORT;
	}
	kind = before_dash(p, g, when, &part);
	if (kind == SMS_NO_SENDER && !g->bracketed && first_word(p, g->in, when, &part))
		kind = SMS_REPORT;
	if (kind == SMS_REPORT)
		choose_part(c, 0, g->in, part);
	return kind;
}

/* One number somewhere among the words of the groups from `first` to before `end`. */
static enum sms_kind among_words(const struct plan *p, const struct layout *l, size_t first,
	size_t end, int64_t when, struct choice *c)
{
	struct look look, seen;
	struct slice part;
	bool found = false;

	for (size_t i = first; i < end; i++) {
		int n = sms_find(p, l->g[i].in, when, &part, &seen);

		if (n == 2 || (n == 1 && found && !same(&look, &seen)))
			return SMS_TWO_SENDERS;
		if (n == 0 || found)
			continue;
		choose_part(c, i, l->g[i].in, part);
		look = seen;
		found = true;
	}
	return found ? SMS_REPORT : SMS_NO_SENDER;
}

/* The groups the other way round, the second one a sender ID or "withheld". */
static bool reversed_name(const struct layout *l, struct choice *c)
{
	if (l->n < 2 || l->g[0].look.seen == SEEN_NOTHING || !l->g[1].bracketed ||
		(l->g[1].look.seen != SEEN_HIDDEN &&
			!sms_brand(&l->g[1].look, core(&l->g[1]), true)))
		return false;
	choose(c, l, 1);
	return true;
}

static enum sms_kind sender_of(
	const struct plan *p, const struct layout *l, int64_t when, struct choice *c)
{
	enum sms_kind kind = whole_groups(p, l, when, c);
	struct slice first = l->g[0].in, word;
	struct look look;
	size_t n = 0, end = 0;

	if (kind != SMS_NO_SENDER || (kind = leading(p, l, when, c)) != SMS_NO_SENDER ||
		(kind = named(p, l, when, c)) != SMS_NO_SENDER ||
		(kind = among_words(p, l, 0, 1, when, c)) != SMS_NO_SENDER)
		return kind;
	/* A number that we do not understand in the place of the sender: say so (bad_sender), and take no other for it. What would be one if
	 * it were not an amount (350.000.000) is not ours to guess either. */
	while (end < first.len && sms_sign(from(first, end), &n) != SIGN_BLANK)
		end += n;
	word = l->g[0].bracketed || sms_number_like(first) ? first : slice_of(first.ptr, end);
	if (sms_number_like(word)) {
		look = sms_look(p, word, when);
		if (look_clear(&look))
			return SMS_TWO_SENDERS;
		choose_part(c, 0, first, word);
		return SMS_REPORT;
	}
	if ((kind = among_words(p, l, 1, l->n, when, c)) != SMS_NO_SENDER)
		return kind;
	return reversed_name(l, c) ? SMS_REPORT : SMS_NO_SENDER;
}

/* All that is not the sender, in the order it was written, with one blank between; from the third group on as written. */
static struct slice content_of(const struct layout *l, const struct choice *c, struct arena *a)
{
	struct slice pieces[GROUPS + 3], *only = NULL;
	size_t n = 0, len = 0;
	char *text, *end;

	for (size_t i = 0; i < l->n; i++) {
		if (i == c->g) {
			pieces[n++] = sms_trim_both(c->before);
			pieces[n++] = sms_trim(c->after);
		} else if (i < 2) {
			pieces[n++] = l->g[i].in;
		} else if (i > c->g) {
			pieces[n++] = sms_trim_blanks(between(l->all, l->g[i].raw.ptr));
			break;
		} else {
			pieces[n++] = l->g[i].raw;
		}
	}
	if (l->n <= 2 || c->g + 1 == l->n)
		pieces[n++] = l->tail;
	for (size_t i = 0; i < n; i++) {
		only = pieces[i].len == 0 ? only : len == 0 ? &pieces[i] : NULL;
		len += pieces[i].len > 0 ? pieces[i].len + (len > 0) : 0;
	}
	if (len == 0)
		return SLICE("");
	if (only != NULL)
		return *only;
	text = end = arena_alloc(a, len);
	if (text == NULL)
		return slice_of(NULL, 0);
	for (size_t i = 0; i < n; i++) {
		if (pieces[i].len == 0)
			continue;
		if (end != text)
			*end++ = ' ';
		memcpy(end, pieces[i].ptr, pieces[i].len);
		end += pieces[i].len;
	}
	return slice_of(text, len);
}

/* The word is over: no letter of it follows. */
static bool over(struct slice s)
{
	size_t n;

	return sms_sign(s, &n) != SIGN_LETTER;
}

static bool registry(struct slice s)
{
	struct slice rest = s;

	if (sms_word(&rest, "DK") || sms_word(&rest, "HUY")) {
		rest = sms_skip_blanks(rest);
		return sms_word(&rest, "DNC") && over(rest);
	}
	return (sms_word(&rest, "FW") || sms_word(&rest, "TCTM")) && over(rest);
}

static bool keyword(struct slice *s, enum kind *out)
{
	static const struct {
		const char *word;
		enum kind kind;
	} words[] = {{"S", KIND_S}, {"V", KIND_V}, {"LD", KIND_LD}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct slice rest = *s;

		if (sms_word(&rest, words[i].word) && over(rest)) {
			*s = rest;
			*out = words[i].kind;
			return true;
		}
	}
	return false;
}

enum sms_kind sms_split(const struct plan *p, struct slice text, int64_t occurred_us,
	struct arena *a, struct sms_parts *out)
{
	struct layout l;
	struct choice c = {0};
	enum sms_kind found;
	enum kind kind;

	text = sms_skip_blanks(text);
	if (registry(text))
		return SMS_REGISTRY;
	if (!keyword(&text, &kind))
		return SMS_NO_KEYWORD;
	text = sms_trim_blanks(sms_skip_gap(text));
	if (text.len == 0)
		return SMS_NO_SENDER;
	lay_out(p, text, occurred_us, &l);
	found = sender_of(p, &l, occurred_us, &c);
	if (found != SMS_REPORT)
		return found;
	out->kind = kind;
	out->sender_raw = sms_trim_blanks(c.sender);
	out->content = content_of(&l, &c, a);
	return SMS_REPORT;
}
