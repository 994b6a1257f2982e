/* Loading rule packs: a good folder is one pack, a wrong one is refused whole with every error's file and line. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"

static char dir[CHECK_PATH];
static const char fold_path[] = SOURCE_DIR "/etc/fold/homoglyphs.tsv";

#define HEAD "pack: t-1\nbias: -2\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\n"
#define RULE(id, symbol, pattern)                                                         \
	"  - {id: " id ", symbol: " symbol ", class: scam, weight: 1, pattern: '" pattern \
	"', description: d, match: [xay], nomatch: [zzz]}\n"

static void write_file(const char *name, const char *text)
{
	check_file(dir, name, slice_str(text), NULL);
}

static void remove_file(const char *name)
{
	char path[CHECK_PATH * 2];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static enum rc load(struct complaints *c, struct pack **out)
{
	struct err e = {0};
	enum rc rc = pack_load(dir, fold_path, c, out, &e);

	CHECK((rc == RC_OK) == (*out != NULL));
	CHECK((rc == RC_OK) == (c->count == 0));
	return rc;
}

static void test_refused(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"rules: []\n" HEAD "odd: 1\n", "a.yaml:6: "},
		{"pack: T 1\nbias: -2\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\n",
			"a.yaml:1: \"pack\""},
		{"bias: -2\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\n",
			"\"pack\" is missing"},
		{"pack: t\n", "missing in every file"},
		{"pack: t\nlabel_at: 0.6\n", "a.yaml:2: \"label_at\" stands beside"},
		{HEAD "label_at: 1.5\n", "a.yaml:5: \"label_at\""},
		{"pack: t\nbias: -2\n", "\"scam_share\" is missing"},
		{"pack: t\nbias: 0\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\n",
			"a.yaml:2: \"bias\""},
		{"pack: t\nbias: -2\nscam_share: 2\ncaps: {scam: 6, spam: 5, ham: 4}\n",
			"scam_share"},
		{"pack: t\nbias: -2\nscam_share: 1\ncaps: {scam: 0, spam: 5, ham: 4}\n", "scam"},
		{"pack: t\nbias: -2\nscam_share: 1\ncaps: {scam: 1, spam: 5}\n",
			"\"ham\" is missing"},
		{HEAD "rules: 3\n", "a.yaml:5: \"rules\" must be a list"},
		{HEAD "rules: [3]\n", "a rule must be a map"},
		{HEAD "rules:\n" RULE("0", "XAY", "xay"), "a.yaml:6: \"id\""},
		{HEAD "rules:\n" RULE("1", "xay", "xay"), "a.yaml:6: \"symbol\""},
		{HEAD "rules:\n" RULE("1", "AND", "xay"), "\"symbol\""},
		{HEAD "rules:\n" RULE("1", "XAY", "xay") RULE("1", "XAY2", "xay"),
			"a.yaml:7: the id 1 stands at"},
		{HEAD "rules:\n" RULE("1", "XAY", "xay") RULE("2", "XAY", "xay"),
			"a.yaml:7: the symbol XAY stands at"},
		{HEAD "rules:\n" RULE("1", "XAY", "xa++y"), "a.yaml:6: XAY: pattern, byte 3: "},
		{HEAD "rules:\n" RULE("1", "XAY", "(?<=a.{2,3})y"), "look back"},
		{HEAD "rules:\n" RULE("1", "XAY", "x?"), "without reading a character"},
		{HEAD "rules:\n" RULE("1", "XAY", "(x{1,9}x{1,9}){1,9}[ay]{2}z|y"), "slow"},
		{HEAD "rules:\n" RULE("1", "XAY", "xay.{0,200}q.{0,200}z|y"), "slow"},
		{HEAD "rules:\n" RULE("1", "XAY", "xyz"), "XAY does not match its example"},
		{HEAD "rules:\n" RULE("1", "XAY", "xay|zz"), "XAY matches what it must not"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY}\n", "\"pattern\" is missing"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY}\n", "\"nomatch\" is missing"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, class: good}\n", "\"class\" must be"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, class: ham, weight: 1}\n", "\"weight\""},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, class: spam, weight: -1}\n", "\"weight\""},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, text: cooked}\n", "\"text\" must be"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, group: A}\n", "\"group\" must be"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, colour: red}\n", "colour"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, match: []}\n", "\"match\" must be a list"},
		{HEAD "rules:\n" RULE("1", "XAY", "xay") "combine:\n  - {symbol: XAY, class: ham, "
							 "weight: -1, when: XAY, description: d}\n",
			"the symbol XAY stands at"},
		{HEAD "rules:\n" RULE("1", "XAY", "xay") "combine:\n  - {symbol: K12, class: ham, "
							 "weight: -1, when: XAZ, description: d}\n",
			"a.yaml:8: \"when\": no plain rule"},
		{HEAD "rules:\n" RULE("1", "XAY", "xay") "combine:\n  - {symbol: K12, class: ham, "
							 "weight: -1, when: XAY, description: d}\n"
							 "  - {symbol: K13, class: ham, weight: "
							 "-1, when: K12, description: d}\n",
			"no plain rule"},
		{HEAD "rules:\n" RULE(
			 "1", "XAY", "xay") "combine:\n  - {symbol: K12, class: ham, weight: -1, "
					    "when: not XAY, description: d}\n",
			"true when no rule fires"},
		{HEAD "rules:\n" RULE(
			 "1", "XAY", "xay") "combine:\n  - {symbol: K12, class: ham, weight: -1, "
					    "when: XAY or, description: d}\n",
			"at the end"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, shadow: perhaps}\n", "true or false"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, evidence: smoke}\n",
			"a.yaml:6: \"evidence\" must be"},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, evidence: url, pattern: x}\n",
			"instead of \"pattern\""},
		{HEAD "rules:\n  - {id: 1, symbol: XAY, class: scam, weight: 1, evidence: phone, "
		      "description: d, match: [xay], nomatch: [zzz]}\n",
			"XAY does not match its example"},
		{HEAD "words: vay\n", "a.yaml:5: \"words\" must be a list"},
		{HEAD "words: [vay,\n  v4y]\n", "a.yaml:6: \"words\": \"v4y\" is not 2 to 24"},
		{HEAD "spellings: {vt: [vay]}\n", "\"vt\" is no text"},
		{HEAD "words: [vay]\nspellings: {vay: tien}\n", "\"vay\" is read in another way"},
		{HEAD "links: [com]\n", "\"links\" must be a map"},
		{HEAD "links: {tld: [com]}\n", "tld"},
		{HEAD "links: {tlds: com}\n", "\"tlds\" must be a list"},
		{HEAD "links: {tlds: [.com]}\n", "\"tlds\": want a last label"},
		{HEAD "links: {abused_tlds: [com.vn]}\n", "\"abused_tlds\": want a last label"},
		{HEAD "links: {shorteners: [Bit.ly]}\n", "\"shorteners\": want a domain"},
		{HEAD "links: {brands: [vidu]}\n", "\"brands\" must be a map"},
		{HEAD "links: {brands: {vd: [vidu.vn]}}\n", "a brand must be"},
		{HEAD "links: {brands: {vidu: [vidu]}}\n", "\"brands\": want a domain"},
		{"a: [\n", "a.yaml:"},
		{"- 1\n", "the file must be a map"},
		{HEAD HEAD, "a.yaml:6:"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		OWN(pack_free) struct pack *p = NULL;
		struct complaints c;

		complaints_init(&c);
		CHECK_CASE("%s", cases[i].text);
		write_file("a.yaml", cases[i].text);
		CHECK_INT(load(&c, &p), RC_INVALID);
		CHECK_HAS(c.text.ptr, cases[i].says);
		complaints_done(&c);
	}
	remove_file("a.yaml");
}

static void test_folder(void)
{
	OWN(pack_free) struct pack *p = NULL, *q = NULL;
	struct complaints c;
	uint8_t a[SHA256_LEN], b[SHA256_LEN];

	complaints_init(&c);
	CHECK_INT(load(&c, &p), RC_INVALID); /* empty */
	CHECK_HAS(c.text.ptr, "no rule pack");
	complaints_done(&c);
	complaints_init(&c);
	write_file("b.yaml", HEAD "rules:\n" RULE("1", "XAY", "xay"));
	write_file("c.yaml",
		"pack: more\nrules:\n" RULE(
			"2", "XAZ", "xa") "combine:\n  - {symbol: BOTH, class: scam, weight: 1, "
					  "when: XAY and XAZ, description: d}\n");
	write_file("note.txt", "not a pack");
	write_file(".swap.yaml", "not a pack: [");
	CHECK_INT(load(&c, &p), RC_OK);
	if (p == NULL)
		return;
	CHECK_STR(pack_version(p), "t-1+more");
	CHECK_INT(pack_rules(p), 2);
	CHECK_INT(load(&c, &q), RC_OK);
	pack_hash(p, a);
	pack_hash(q, b);
	CHECK(memcmp(a, b, sizeof(a)) == 0);
	pack_free(TAKE(q));
	write_file("c.yaml", "pack: more\nrules:\n" RULE("2", "XAZ", "xa") "\n");
	CHECK_INT(load(&c, &q), RC_OK);
	pack_hash(q, b);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	pack_free(TAKE(q));
	/* two files with a head */
	write_file("c.yaml", HEAD);
	CHECK_INT(load(&c, &q), RC_INVALID);
	CHECK_HAS(c.text.ptr, "c.yaml:1: ");
	complaints_done(&c);
	complaints_init(&c);
	/* the same symbol in two files: the complaint names both places */
	write_file("c.yaml", "pack: more\nrules:\n" RULE("2", "XAY", "xa"));
	CHECK_INT(load(&c, &q), RC_INVALID);
	CHECK_HAS(c.text.ptr, "c.yaml:3: the symbol XAY stands at");
	CHECK_HAS(c.text.ptr, "b.yaml:6 already");
	complaints_done(&c);
	remove_file("b.yaml");
	remove_file("c.yaml");
	remove_file("note.txt");
	remove_file(".swap.yaml");
}

static void test_no_folder(void)
{
	OWN(pack_free) struct pack *p = NULL;
	struct complaints c;
	struct err e = {0};

	complaints_init(&c);
	CHECK_RC(pack_load("/nonexistent", fold_path, &c, &p, &e), RC_INVALID, &e);
	CHECK_HAS(c.text.ptr, "/nonexistent: cannot be read");
	complaints_done(&c);
	complaints_init(&c);
	write_file("a.yaml", HEAD "rules:\n" RULE("1", "XAY", "xay"));
	CHECK_RC(pack_load(dir, "/nonexistent.tsv", &c, &p, &e), RC_INVALID, &e);
	CHECK_HAS(c.text.ptr, "/nonexistent.tsv");
	complaints_done(&c);
	remove_file("a.yaml");
}

/* All errors of all files in one go. */
static void test_every_error(void)
{
	OWN(pack_free) struct pack *p = NULL;
	struct complaints c;

	complaints_init(&c);
	write_file("a.yaml",
		HEAD "rules:\n" RULE("1", "XAY", "x+") RULE("2", "XAZ", "(?>a)")
			RULE("3", "XAX", "a{"));
	write_file("b.yaml", "pack: b\nrules:\n" RULE("4", "XBY", "(") RULE("5", "XBZ", "xay"));
	CHECK_INT(load(&c, &p), RC_INVALID);
	CHECK_INT(c.count, 4);
	CHECK_HAS(c.text.ptr, "a.yaml:8: XAX");
	CHECK_HAS(c.text.ptr, "b.yaml:3: XBY");
	complaints_done(&c);
	remove_file("a.yaml");
	remove_file("b.yaml");
}

/* A name the folder of kept scans holds, or "". */
static void kept_file(const char *folder, char out[CHECK_PATH * 2])
{
	DIR *d = opendir(folder);

	out[0] = '\0';
	for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;)
		if (f->d_name[0] != '.')
			(void)snprintf(out, CHECK_PATH * 2, "%s/%.200s", folder, f->d_name);
	if (d != NULL)
		(void)closedir(d);
}

static ino_t inode(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void load_kept(const char *folder, const char *text, enum label want)
{
	OWN(pack_free) struct pack *p = NULL;
	OWN(scan_free) struct scan *s = NULL;
	static struct verdict v;
	struct complaints c;
	struct err e = {0};

	complaints_init(&c);
	CHECK_RC(pack_load_cached(dir, fold_path, folder, &c, &p, &e), RC_OK, &e);
	CHECK_RC(scan_new(p, &s, &e), RC_OK, &e);
	classify(s, slice_str(text), &v);
	CHECK_INT(v.label, want);
	complaints_done(&c);
}

/* Kept, used again as it lies, made anew when damaged or when it holds another scan, left alone by other packs. */
static void test_kept(void)
{
	static const char strong[] = "rules:\n  - {id: 1, symbol: XAY, class: scam, weight: 5, "
				     "pattern: 'xay.{0,9}zoo', description: d, match: [xay zoo], "
				     "nomatch: [zzz]}\n";
	char folder[CHECK_PATH + 8], path[CHECK_PATH * 2], text[sizeof(HEAD) + sizeof(strong) + 8];
	BUF_OWN struct buf file;

	(void)snprintf(folder, sizeof(folder), "%s/kept", dir);
	(void)snprintf(text, sizeof(text), "%s%s", HEAD, strong);
	write_file("a.yaml", text);
	load_kept(folder, "xay zoo", LABEL_SCAM);
	kept_file(folder, path);
	CHECK(path[0] != '\0');
	ino_t first = inode(path);
	load_kept(folder, "xay zoo", LABEL_SCAM);
	load_kept(folder, "xay bar", LABEL_HAM);
	CHECK(inode(path) == first);
	buf_init(&file, 1 << 24);
	for (int i = 0; i < 3; i++) {            /* cut, a byte turned, empty */
		int hold = open(path, O_RDONLY); /* so that its inode is not given out again */
		CHECK(hold >= 0);
		CHECK_RC(file_read(path, false, &file, NULL), RC_OK, NULL);
		if (i == 1)
			file.ptr[file.len - 9] ^= 1;
		check_file(folder, strrchr(path, '/') + 1,
			slice_of(file.ptr,
				i == 0           ? file.len / 2
					: i == 1 ? file.len
						 : 0),
			NULL);
		ino_t damaged = inode(path);
		load_kept(folder, "xay zoo", LABEL_SCAM);
		CHECK(inode(path) != damaged);
		(void)close(hold);
	}
	(void)unlink(path);
	remove_file("a.yaml");
	(void)rmdir(folder);
}

int main(void)
{
	check_dir(dir);
	RUN(test_refused);
	RUN(test_folder);
	RUN(test_no_folder);
	RUN(test_every_error);
	RUN(test_kept);
	(void)rmdir(dir);
	return check_done();
}
