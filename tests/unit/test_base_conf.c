/* conf: values, defaults, the environment and secrets; and every error of a file at once, each with its line. */
#include "base/conf.h"
#include "tests/unit/check.h"

static const struct conf_item kafka_items[] = {
	{.name = "kafka.brokers", .type = CONF_LIST, .min = 1, .max = 3, .help = "Where Kafka is."},
	{.name = "kafka.batch",
		.type = CONF_INT,
		.def = "500",
		.min = 1,
		.max = 5000,
		.reloadable = true,
		.help = "Records of one batch."},
	{.name = "kafka.tls.ca", .type = CONF_FILE, .def = "", .help = "The authority | a file."},
};

static const struct conf_item other_items[] = {
	{.name = "mode",
		.type = CONF_CHOICE,
		.def = "review",
		.choices = "shadow|review|auto",
		.help = "Who decides."},
	{.name = "name", .type = CONF_TEXT, .def = "", .min = 3, .max = 10, .help = "A name."},
	{.name = "term",
		.type = CONF_SPAN_S,
		.def = "24h",
		.min = 60,
		.max = 864000,
		.help = "How long."},
	{.name = "weight",
		.type = CONF_REAL,
		.def = "0.5",
		.min = 0,
		.max = 1,
		.help = "How much."},
	{.name = "on", .type = CONF_BOOL, .def = "true", .help = "Whether."},
	{.name = "key", .type = CONF_FILE, .def = "", .secret = true, .help = "The secret."},
	{.name = "numbers", .type = CONF_LIST, .def = "a, b", .help = "Some."},
};

static const struct conf_table kafka_table = {"kafka", kafka_items, ARRAY_LEN(kafka_items)};
static const struct conf_table other_table = {"app", other_items, ARRAY_LEN(other_items)};
static const struct conf_table *const tables[] = {&kafka_table, &other_table};

static char dir[CHECK_PATH], path[CHECK_PATH];

/* Loads the text; the complaints, with the folder's name cut off, are in `said`. */
static struct conf *load(const char *text, struct buf *said)
{
	struct complaints c;
	struct conf *conf = NULL;
	struct err e = {.text = ""};
	struct slice rest, line;
	enum rc rc;

	complaints_init(&c);
	check_file(dir, "khien.yml", slice_str(text), path);
	rc = conf_load(path, tables, ARRAY_LEN(tables), &c, &conf, &e);
	CHECK_INT(rc == RC_OK, c.count == 0);
	CHECK_INT(rc == RC_OK, conf != NULL);
	CHECK(rc == RC_OK || (rc == RC_INVALID && e.text[0] != '\0'));
	buf_init(said, 65536);
	for (rest = buf_slice(&c.text); slice_line(&rest, &line);) {
		size_t skip = slice_starts(line, slice_str(dir)) ? strlen(dir) + 1 : 0;

		buf_add(said, slice_of(line.ptr + skip, line.len - skip));
		buf_byte(said, '\n');
	}
	complaints_done(&c);
	return conf;
}

static void test_values(void)
{
	BUF_OWN struct buf said;
	char want[CHECK_PATH * 2];

	(void)setenv("KHIEN_TEST_MODE", "auto", 1);
	(void)setenv("KHIEN_TEST_LIST", "x, y,z", 1);
	OWN(conf_free)
	struct conf *c = load("kafka:\n"
			      "  brokers: [h1:9092, 'h2:9092']\n"
			      "  batch: 1000\n"
			      "  tls: {ca: tls/ca.pem}\n"
			      "mode: $KHIEN_TEST_MODE\n"
			      "name: $$abc\n"
			      "term: 7d\n"
			      "weight: 1\n"
			      "on: off\n"
			      "numbers: $KHIEN_TEST_LIST\n",
		&said);
	CHECK_SLICE(buf_slice(&said), "");
	if (c == NULL)
		return;
	CHECK_INT(conf_count(c, "kafka.brokers"), 2);
	CHECK_STR(conf_at(c, "kafka.brokers", 1), "h2:9092");
	CHECK_INT(conf_int(c, "kafka.batch"), 1000);
	CHECK_INT(conf_line(c, "kafka.batch"), 3);
	(void)snprintf(want, sizeof(want), "%s/tls/ca.pem", dir);
	CHECK_STR(conf_text(c, "kafka.tls.ca"), want);
	CHECK_STR(conf_text(c, "mode"), "auto");
	CHECK_STR(conf_text(c, "name"), "$abc");
	CHECK_INT(conf_int(c, "term"), 604800);
	CHECK_NEAR(conf_real(c, "weight"), 1, 0);
	CHECK(!conf_bool(c, "on"));
	CHECK_INT(conf_count(c, "numbers"), 3);
	CHECK_STR(conf_at(c, "numbers", 1), "y");
	CHECK_STR(conf_path(c), path);
}

static void test_defaults(void)
{
	BUF_OWN struct buf said;
	OWN(conf_free) struct conf *c = load("kafka: {brokers: \"h1,h2\"}\n", &said);

	CHECK_SLICE(buf_slice(&said), "");
	if (c == NULL)
		return;
	CHECK_INT(conf_count(c, "kafka.brokers"), 2);
	CHECK_INT(conf_int(c, "kafka.batch"), 500);
	CHECK_INT(conf_line(c, "kafka.batch"), 0);
	CHECK_STR(conf_text(c, "kafka.tls.ca"), "");
	CHECK_STR(conf_text(c, "mode"), "review");
	CHECK_STR(conf_text(c, "name"), "");
	CHECK_INT(conf_int(c, "term"), 86400);
	CHECK_NEAR(conf_real(c, "weight"), 0.5, 0);
	CHECK(conf_bool(c, "on"));
	CHECK_INT(conf_count(c, "numbers"), 2);
	CHECK_STR(conf_at(c, "numbers", 1), "b");
}

static void test_errors(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", "khien.yml:1: kafka.brokers is missing: Where Kafka is.\n"},
		{"kafka:\n", "khien.yml:1: kafka.brokers is missing: Where Kafka is.\n"},
		{"kafka:\n  brokers: []\n",
			"khien.yml:2: kafka.brokers: the number of entries 0 is not between 1 and "
			"3\n"},
		{"kafka: {brokers: a}\nkafca: 1\nmode: strict\nname: ab\nterm: 59\nweight: "
		 "1.01\non: maybe\n",
			"khien.yml:2: kafca is not known\n"
			"khien.yml:3: mode must be shadow|review|auto, not \"strict\"\n"
			"khien.yml:4: name: the length 2 is not between 3 and 10\n"
			"khien.yml:5: term: the span of seconds 59 is not between 60 and 864000\n"
			"khien.yml:6: weight: the value 1.01 is not between 0 and 1\n"
			"khien.yml:7: on must be true or false, not \"maybe\"\n"},
		{"kafka:\n  brokers: a\n  batch: 0\n  bach: 1\n  tls:\n    cert: x\n",
			"khien.yml:3: kafka.batch: the value 0 is not between 1 and 5000\n"
			"khien.yml:4: kafka.bach is not known\n"
			"khien.yml:6: kafka.tls.cert is not known\n"},
		{"kafka:\n  brokers: a\n  batch: 1k\nname: {a: 1}\nweight: [1]\nterm: ~\n",
			"khien.yml:3: kafka.batch must be a whole number, not \"1k\"\n"
			"khien.yml:4: name must be a text, not a map\n"
			"khien.yml:5: weight must be a number, not a list\n"
			"khien.yml:6: term has no value (write \"\" for an empty one)\n"},
		{"kafka: h1\n",
			"khien.yml:1: kafka must be a map of settings\n"
			"khien.yml:1: kafka.brokers is missing: Where Kafka is.\n"},
		{"kafka: {brokers: [[a]]}\n",
			"khien.yml:1: kafka.brokers: entries must be plain values\n"
			"khien.yml:1: kafka.brokers: the number of entries 0 is not between 1 and "
			"3\n"},
		{"kafka: {brokers: $KHIEN_TEST_UNSET}\n",
			"khien.yml:1: kafka.brokers: the environment has no $KHIEN_TEST_UNSET "
			"(write $$ for a "
			"dollar sign)\n"},
		{"- a\n",
			"khien.yml:1: the file must be a map of settings\n"
			"khien.yml:1: kafka.brokers is missing: Where Kafka is.\n"},
		{"a: 1\na: 2\n", "khien.yml:2: \"a\" was given before, in line 1\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BUF_OWN struct buf said;

		CHECK_CASE("%zu", i);
		conf_free(load(cases[i].text, &said));
		CHECK_SLICE(buf_slice(&said), cases[i].want);
	}
}

static void test_no_file(void)
{
	struct complaints c;
	struct conf *conf = NULL;
	struct err e;

	complaints_init(&c);
	CHECK_RC(conf_load("/nowhere/khien.yml", tables, 2, &c, &conf, &e), RC_INVALID, &e);
	CHECK_HAS(c.text.ptr, "/nowhere/khien.yml: No such file");
	complaints_done(&c);
}

static void test_secret(void)
{
	static const char text[] = "kafka: {brokers: a}\nkey: secret.key\n";
	char secret[CHECK_PATH];
	BUF_OWN struct buf said, got;
	BUF_OWN struct buf open_said, none_said;
	struct err e;

	check_file(dir, "secret.key", SLICE("pass word\n\n"), secret);
	OWN(conf_free) struct conf *c = load(text, &said);
	CHECK_SLICE(buf_slice(&said), "");
	buf_init(&got, 100);
	CHECK_RC(conf_read_file(c, "key", &got, &e), RC_OK, &e);
	CHECK_SLICE(buf_slice(&got), "pass word\n");
	CHECK_RC(conf_read_file(c, "kafka.tls.ca", &got, &e), RC_NONE, &e);

	CHECK_INT(chmod(secret, 0640), 0);
	CHECK_RC(conf_read_file(c, "key", &got, &e), RC_DENIED, &e);
	CHECK_HAS(e.text, "key: ");
	conf_free(load(text, &open_said));
	CHECK_HAS(open_said.ptr, "khien.yml:2: key: ");
	CHECK_HAS(open_said.ptr, "has mode 0640");
	CHECK_INT(unlink(secret), 0);
	conf_free(load(text, &none_said));
	CHECK_HAS(none_said.ptr, "khien.yml:2: key: cannot look at the secret file");
}

static void test_reference(void)
{
	BUF_OWN struct buf b;

	buf_init(&b, 65536);
	conf_reference(tables, ARRAY_LEN(tables), &b);
	CHECK(!b.failed);
	CHECK_HAS(b.ptr, "\n## kafka\n\n| name | type | default | |\n");
	CHECK_HAS(b.ptr,
		"| `kafka.brokers` | list, 1 to 3 entries | must be given | Where Kafka is. |\n");
	CHECK_HAS(b.ptr,
		"| `kafka.batch` | whole number, 1 to 5000 | `500` | Records of one batch. "
		"*reload* |\n");
	CHECK_HAS(b.ptr, "| `kafka.tls.ca` | file | none | The authority \\| a file. |\n");
	CHECK_HAS(
		b.ptr, "| `mode` | one of `shadow` `review` `auto` | `review` | Who decides. |\n");
	CHECK_HAS(b.ptr, "| `term` | span, 1m to 10d | `24h` | How long. |\n");
	CHECK_HAS(b.ptr, "| `key` | secret file | none | The secret. |\n");
}

int main(void)
{
	check_dir(dir);
	RUN(test_values);
	RUN(test_defaults);
	RUN(test_errors);
	RUN(test_no_file);
	RUN(test_secret);
	RUN(test_reference);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(rmdir(dir), 0);
	return check_done();
}
