/* yaml: the tree with its lines, what is refused, and the typed readers with their complaints. */
#include "base/yaml.h"
#include "tests/unit/check.h"

static void test_tree(void)
{
	static const char text[] = "# comment\n"
				   "kafka:\n"
				   "  brokers: [a, 'b c']\n"
				   "  empty:\n"
				   "rules:\n"
				   "  - id: x1\n"
				   "    text: |\n"
				   "      two\n"
				   "      lines\n"
				   "  - {id: \"x2\", w: -1.5}\n";
	OWN(yaml_free) struct yaml_doc *d = NULL;
	const struct yaml *k, *r;
	struct err e;

	CHECK_RC(yaml_parse("f.yml", slice_str(text), &d, &e), RC_OK, &e);
	if (d == NULL)
		return;
	CHECK_STR(yaml_name(d), "f.yml");
	CHECK_INT(yaml_root(d)->kind, YAML_MAP);
	CHECK_INT(yaml_root(d)->count, 2);
	k = yaml_get(yaml_root(d), "kafka");
	CHECK_INT(k->line, 2); /* a key's line, not its content's */
	CHECK_INT(yaml_get(k, "brokers")->count, 2);
	CHECK_SLICE(yaml_get(k, "brokers")->child->value, "a");
	CHECK(!yaml_get(k, "brokers")->child->quoted);
	CHECK_SLICE(yaml_get(k, "brokers")->child->next->value, "b c");
	CHECK_STR(yaml_get(k, "brokers")->child->next->value.ptr, "b c");
	CHECK(yaml_get(k, "brokers")->child->next->quoted);
	CHECK_SLICE(yaml_get(k, "empty")->value, "");
	r = yaml_get(yaml_root(d), "rules");
	CHECK_INT(r->kind, YAML_LIST);
	CHECK_INT(r->child->line, 6);
	CHECK_SLICE(yaml_get(r->child, "text")->value, "two\nlines\n");
	CHECK_INT(yaml_get(r->child, "text")->line, 7);
	CHECK_SLICE(yaml_get(r->child->next, "w")->value, "-1.5");
	CHECK_INT(yaml_get(r->child->next, "w")->line, 10);
	CHECK(yaml_get(r, "id") == NULL && yaml_get(NULL, "id") == NULL);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "f:3: \"a\" was given before, in line 1"},
		{"x:\n  a: &n 1\n", "f:2: anchors"},
		{"a: &n [1]\n", "f:1: anchors"},
		{"a: *n\n", "f:1: an alias"},
		{"a: !!int 1\n", "f:1: anchors (&name) and tags"},
		{"a: 1\n---\nb: 2\n", "f:2: a second document"},
		{"? [a]\n: 1\n", "f:1: a key must be a plain word"},
		{"a: [1, 2\nb: 3\n", "f:2:"},
		{"a:\n\t- b\n", "f:2:"},
		{"a: \"x\\0y\"\n", "f:1: a NUL in a value"},
		{"a: \xFF\n", "f: byte 3:"},
		{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
			"f:1: nested too deep"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct yaml_doc *d = NULL;
		struct err e = {.text = ""};

		CHECK_CASE("%s", cases[i].text);
		CHECK_RC(yaml_parse("f", slice_str(cases[i].text), &d, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, cases[i].want);
		CHECK(d == NULL);
	}
}

static void test_nothing_is_an_empty_map(void)
{
	static const char *const texts[] = {
		"", "# only a comment\n", "\xEF\xBB\xBF# marked\n", "---\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		OWN(yaml_free) struct yaml_doc *d = NULL;
		struct err e;

		CHECK_CASE("%zu", i);
		CHECK_RC(yaml_parse("f", slice_str(texts[i]), &d, &e), RC_OK, &e);
		CHECK_INT(yaml_root(d)->count, 0);
		CHECK_INT(yaml_root(d)->kind, i == 3 ? YAML_SCALAR : YAML_MAP);
	}
}

/* Many keys, and the densest list: neither slow nor out of room. */
static void test_large(void)
{
	BUF_OWN struct buf b;
	OWN(yaml_free) struct yaml_doc *d = NULL, *list = NULL;
	struct err e;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < 50000; i++)
		buf_fmt(&b, "k%d: %d\n", i, i);
	CHECK_RC(yaml_parse("f", buf_slice(&b), &d, &e), RC_OK, &e);
	CHECK_INT(yaml_root(d)->count, 50000);
	buf_clear(&b);
	buf_byte(&b, '[');
	for (int i = 0; i < 100000; i++)
		buf_add(&b, SLICE("a,"));
	buf_byte(&b, ']');
	CHECK_RC(yaml_parse("f", buf_slice(&b), &list, &e), RC_OK, &e);
	CHECK_INT(yaml_root(list)->count, 100000);
}

static void test_load(void)
{
	char dir[CHECK_PATH], path[CHECK_PATH], none[CHECK_PATH * 2];
	OWN(yaml_free) struct yaml_doc *d = NULL;
	struct err e;

	check_dir(dir);
	check_file(dir, "a.yml", SLICE("a: 1\n"), path);
	CHECK_RC(yaml_load(path, 5, &d, &e), RC_OK, &e);
	CHECK_STR(yaml_name(d), path);
	yaml_free(TAKE(d));
	CHECK_RC(yaml_load(path, 4, &d, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "larger than 4 bytes");
	(void)snprintf(none, sizeof(none), "%s/none.yml", dir);
	CHECK_RC(yaml_load(none, 100, &d, &e), RC_NONE, &e);
	CHECK_RC(yaml_load(dir, 100, &d, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "not a regular file");
	CHECK_INT(unlink(path), 0);
	CHECK_INT(rmdir(dir), 0);
}

static void test_readers(void)
{
	static const char text[] =
		"i: 12\nneg: -5\nr: 2.5e3\nb: yes\ns: 15m\nword: abc\nlist: [7, x]\nd: 2d\n"
		"hex: 0x10\nnan: nan\n";
	static const char *const keys[] = {"i", "neg", "r", "b", "s", "word", "list", "d", NULL};
	OWN(yaml_free) struct yaml_doc *d = NULL;
	const struct yaml *m;
	struct complaints c;
	struct err e;
	int64_t i = 0, s = 0;
	double r = 0;
	bool b = false;

	CHECK_RC(yaml_parse("f", slice_str(text), &d, &e), RC_OK, &e);
	m = yaml_root(d);
	complaints_init(&c);
	CHECK(yaml_int(yaml_get(m, "i"), "f", 0, 12, &i, &c) && i == 12);
	CHECK(yaml_int(yaml_get(m, "neg"), "f", -5, 0, &i, &c) && i == -5);
	CHECK(yaml_real(yaml_get(m, "r"), "f", 0, 1e6, &r, &c) && r == 2500);
	CHECK(yaml_real(yaml_get(m, "i"), "f", 0, 12, &r, &c) && r == 12);
	CHECK(yaml_bool(yaml_get(m, "b"), "f", &b, &c) && b);
	CHECK(yaml_span_s(yaml_get(m, "s"), "f", &s, &c) && s == 900);
	CHECK(yaml_span_s(yaml_get(m, "d"), "f", &s, &c) && s == 172800);
	CHECK(yaml_span_s(yaml_get(m, "i"), "f", &s, &c) && s == 12);
	CHECK_INT(c.count, 0);

	CHECK(!yaml_int(yaml_get(m, "i"), "f", 0, 11, &i, &c) && i == -5);
	CHECK(!yaml_int(yaml_get(m, "list"), "f", 0, 11, &i, &c));
	CHECK(!yaml_int(yaml_get(m, "list")->child->next, "f", 0, 11, &i, &c));
	CHECK(!yaml_int(yaml_get(m, "absent"), "f", 0, 11, &i, &c));
	CHECK(yaml_need(m, "f", "absent", &c) == NULL);
	CHECK(!yaml_real(yaml_get(m, "hex"), "f", 0, 99, &r, &c));
	CHECK(!yaml_real(yaml_get(m, "nan"), "f", 0, 99, &r, &c));
	CHECK(!yaml_bool(yaml_get(m, "word"), "f", &b, &c));
	CHECK(!yaml_span_s(yaml_get(m, "neg"), "f", &s, &c) && s == 12);
	CHECK(!yaml_only(m, "f", keys, &c));
	CHECK(!yaml_only(yaml_get(m, "i"), "f", keys, &c));
	CHECK_SLICE(buf_slice(&c.text),
		"f:1: \"i\" must be a whole number from 0 to 11, not \"12\"\n"
		"f:7: \"list\" must be a whole number from 0 to 11, not a list\n"
		"f:7: must be a whole number from 0 to 11, not \"x\"\n"
		"f: a value is missing; it must be a whole number from 0 to 11\n"
		"f:1: \"absent\" is missing\n"
		"f:9: \"hex\" must be a number from 0 to 99, not \"0x10\"\n"
		"f:10: \"nan\" must be a number from 0 to 99, not \"nan\"\n"
		"f:6: \"word\" must be true or false, not \"abc\"\n"
		"f:2: \"neg\" must be a span of time such as 90s, 15m, 24h or 7d, not \"-5\"\n"
		"f:9: \"hex\" is not known here\n"
		"f:10: \"nan\" is not known here\n"
		"f:1: \"i\" must be a map of keys and values, not \"12\"\n");
	complaints_done(&c);
}

static void test_spans(void)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: refused */
	} cases[] = {{"0", 0}, {"90s", 90}, {"2h", 7200}, {"7d", 604800}, {"", -1}, {"s", -1},
		{"1w", -1}, {"1 h", -1}, {"1h30m", -1}, {"-1s", -1}, {"1.5h", -1},
		{"9223372036854775807", INT64_MAX}, {"9223372036854775807d", -1}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t s = -1;

		CHECK_CASE("\"%s\"", cases[i].in);
		CHECK_RC(yaml_as_span_s(slice_str(cases[i].in), &s),
			cases[i].want < 0 ? RC_INVALID : RC_OK, NULL);
		CHECK_INT(s, cases[i].want);
	}
}

static void test_complaints_bounded(void)
{
	struct complaints c;
	size_t lines = 0;

	complaints_init(&c);
	for (int i = 1; i <= 250; i++)
		complain(&c, "f", i, "bad \"%s\"", "x\ny");
	CHECK_INT(c.count, 250);
	for (const char *p = c.text.ptr; *p != '\0'; p++)
		lines += *p == '\n' ? 1 : 0;
	CHECK_INT(lines, 101);
	CHECK_HAS(c.text.ptr, "f:100: bad \"x y\"\n(only the first 100 errors are shown)\n");
	complaints_done(&c);
}

int main(void)
{
	RUN(test_tree);
	RUN(test_refused);
	RUN(test_nothing_is_an_empty_map);
	RUN(test_large);
	RUN(test_load);
	RUN(test_readers);
	RUN(test_spans);
	RUN(test_complaints_bounded);
	return check_done();
}
