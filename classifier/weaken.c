/* Makes of a pattern a shorter one that matches in every text in which the pattern does: of each row of things that must follow one
 * another with gaps between, the rarest part is kept. The multi-pattern scan is given these: gaps like .{0,100} in a
 * hundred patterns at once would take it minutes to compile. Reads a pattern that pattern_refused let pass; no recursion. */
#include "classifier/rules.h"

/* A repetition that may go beyond this is a gap. */
#define SHORT_REPEAT 4

/* What a common word scores, however long: as a letter and a digit. */
#define COMMON_SCORE 5

struct level {
	struct buf done; /* alternatives that are ready */
	struct buf best,
		cur; /* of the alternative that is being read: its best part so far, the part at work */
	int best_score, cur_score, least_score; /* how rare; least: of the ready alternatives */
	bool any, cut,
		looks; /* an alternative is ready; a part was left out; it looks ahead or back */
};

struct reader {
	struct slice p;
	size_t at;
	struct level level[PATTERN_DEPTH + 1];
	size_t depth;
};

/* One element of a row. */
struct atom {
	struct slice text, repeat;
	int score, min, max;
	bool cut;
};

static void level_init(struct level *l)
{
	*l = (struct level){0};
	buf_init(&l->done, BOUND_PATTERN * 2);
	buf_init(&l->best, BOUND_PATTERN * 2);
	buf_init(&l->cur, BOUND_PATTERN * 2);
}

static void level_done(struct level *l)
{
	buf_done(&l->done);
	buf_done(&l->best);
	buf_done(&l->cur);
}

/* Words that stand in every fifth to twentieth message, folded: long, but not rare. */
static bool is_common(struct slice part)
{
	static const char words[] = " ngay co dung tai trong goi chi nhan https vn tb quy duoc "
				    "khong khach cho quy khach va su dai tu dang "
				    "cua ban khi da tin uu dai chi tiet la nay the tien gui moi "
				    "cap den ma tang han cuoc soan qua ky hoac "
				    "bao vao nap phi con dien voi cong truy cap dong com het noi "
				    "thanh thong tren khoan cac doi dang ky so "
				    "tai khoan mien phi cskh ung dung lai nguoi dau se may sau "
				    "thang nhan tin lam toi dich vu mat mang vui "
				    "long danh nam khuyen mai bi tra dien thoai phut lien he hang "
				    "mua chuyen giam gia call free text now "
				    "your you link zalo giao thanh toan ";
	char padded[32];

	while (part.len >= 2 && part.ptr[0] == '\\' && part.ptr[1] == 'b')
		part = slice_of(part.ptr + 2, part.len - 2);
	while (part.len >= 2 && part.ptr[part.len - 1] == 'b' && part.ptr[part.len - 2] == '\\')
		part.len -= 2;
	if (part.len == 0 || part.len + 2 > sizeof(padded))
		return false;
	padded[0] = ' ';
	memcpy(padded + 1, part.ptr, part.len);
	padded[part.len + 1] = ' ';
	return memmem(words, sizeof(words) - 1, padded, part.len + 2) != NULL;
}

static void end_part(struct level *l)
{
	if (l->cur_score > COMMON_SCORE && is_common(buf_slice(&l->cur)))
		l->cur_score = COMMON_SCORE;
	if (l->cur.len > 0 && (l->best.len == 0 || l->cur_score > l->best_score)) {
		buf_clear(&l->best);
		buf_add(&l->best, buf_slice(&l->cur));
		l->best_score = l->cur_score;
	}
	buf_clear(&l->cur);
	l->cur_score = 0;
}

static void end_alternative(struct level *l)
{
	end_part(l);
	if (l->any)
		buf_byte(&l->done, '|');
	buf_add(&l->done, buf_slice(&l->best));
	l->least_score = !l->any || l->best_score < l->least_score ? l->best_score : l->least_score;
	l->any = true;
	buf_clear(&l->best);
	l->best_score = 0;
}

static void add_atom(struct level *l, struct atom a)
{
	if (!a.cut && a.max <= SHORT_REPEAT) {
		buf_add(&l->cur, a.text);
		buf_add(&l->cur, a.repeat);
		l->cur_score += a.score * a.min;
		return;
	}
	/* What stands on its two sides need not touch any more. */
	end_part(l);
	l->cut = true;
	if (a.min > 0) {
		buf_add(&l->cur, a.text);
		l->cur_score = a.score;
		end_part(l);
	}
}

static int peek(const struct reader *r)
{
	return r->at < r->p.len ? (unsigned char)r->p.ptr[r->at] : -1;
}

static int read_number(struct reader *r)
{
	int n = 0;

	for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
		n = n * 10 + (peek(r) - '0');
	return n;
}

/* "?", "{n}" or "{n,m}", and a "?" after it that is left out: how far a match goes does not matter here. */
static void read_repeat(struct reader *r, struct atom *a)
{
	size_t start = r->at;

	a->min = a->max = 1;
	if (peek(r) == '?') {
		a->min = 0;
		r->at++;
	} else if (peek(r) == '{') {
		r->at++;
		a->min = a->max = read_number(r);
		if (peek(r) == ',') {
			r->at++;
			a->max = read_number(r);
		}
		r->at++;
	}
	a->repeat = slice_of(r->p.ptr + start, r->at - start);
	if (a->repeat.len > 0 && peek(r) == '?')
		r->at++;
}

static void open_group(struct reader *r)
{
	struct level *l = &r->level[++r->depth];

	level_init(l);
	r->at++;
	if (peek(r) != '?')
		return;
	r->at++;
	l->looks = peek(r) != ':';
	r->at += peek(r) == '<' ? 2 : 1;
}

static void close_group(struct reader *r)
{
	struct level *l = &r->level[r->depth--];
	BUF_OWN struct buf text;
	struct atom a = {.score = l->least_score, .cut = l->cut};

	end_alternative(l);
	a.score = l->least_score;
	buf_init(&text, BOUND_PATTERN * 2);
	buf_fmt(&text, "(?:");
	buf_add(&text, buf_slice(&l->done));
	buf_byte(&text, ')');
	a.text = buf_slice(&text);
	r->at++;
	if (!l->looks) { /* what only looks is left out: without it more texts match, not fewer */
		read_repeat(r, &a);
		add_atom(&r->level[r->depth], a);
	}
	level_done(l);
}

static size_t class_len(const struct reader *r)
{
	size_t at = r->at + 1;

	for (; r->p.ptr[at] != ']'; at++)
		at += r->p.ptr[at] == '\\';
	return at + 1 - r->at;
}

static size_t char_len(const struct reader *r)
{
	size_t at = r->at + 1;

	while (at < r->p.len && ((unsigned char)r->p.ptr[at] & 0xC0) == 0x80)
		at++;
	return at - r->at;
}

/* How rare a character, an escape or a class is in a text: a class of signs tells more than one of letters. */
static int rarity(struct slice atom)
{
	char next = atom.ptr[0] == '\\' ? atom.ptr[1] : '\0';

	if (atom.ptr[0] == '.' || (next != '\0' && strchr("wsDWS", next) != NULL))
		return 0;
	if (next == 'd')
		return 1;
	if (atom.ptr[0] != '[')
		return 4;
	if (atom.ptr[1] == '^')
		return 0;
	for (size_t i = 0; i + 1 < atom.len; i++)
		if (strchr("-\\ ", atom.ptr[i]) !=
			NULL) /* a range, a kind of characters or a blank */
			return 1;
	return 2;
}

/* A character, an escape or a class; or a border of a word or the text, which takes no room. */
static void read_atom(struct reader *r)
{
	struct atom a = {0};
	char c = r->p.ptr[r->at], next = c == '\\' ? r->p.ptr[r->at + 1] : '\0';
	size_t len = c == '\\' ? 2 : c == '[' ? class_len(r) : char_len(r);

	a.text = slice_of(r->p.ptr + r->at, len);
	r->at += len;
	if (c == '^' || c == '$' || next == 'b' || next == 'B') {
		buf_add(&r->level[r->depth].cur, a.text);
		return;
	}
	a.score = rarity(a.text);
	read_repeat(r, &a);
	add_atom(&r->level[r->depth], a);
}

bool pattern_weaken(struct slice pattern, struct buf *out)
{
	struct reader r = {.p = pattern};
	struct level *top = &r.level[0];
	bool ok;

	level_init(top);
	while (r.at < pattern.len) {
		if (peek(&r) == '(') {
			open_group(&r);
		} else if (peek(&r) == ')') {
			close_group(&r);
		} else if (peek(&r) == '|') {
			end_alternative(&r.level[r.depth]);
			r.at++;
		} else {
			read_atom(&r);
		}
	}
	end_alternative(top);
	ok = top->least_score > 0 && !top->done.failed;
	if (ok)
		buf_add(out, buf_slice(&top->done));
	level_done(top);
	return ok && !out->failed;
}
