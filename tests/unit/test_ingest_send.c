/* The parts of khien send that need no broker: lines and escapes, positions, the demonstration broker's budget and file. */
#include "ingest/send.h"
#include "tests/unit/check.h"

static char dir[CHECK_PATH];

static void test_lines(void)
{
	static const struct slice text =
		SLICE("{\"a\":1}\n\nnot json "
		      "\xff\r\n\001base64:YQpi\n\001base64:\n\001base64:YWI=\n\001tombstone\n"
		      "\001other\n\001base64:YQ\n\001base64:Y?==\n\001\nlast");
	static const struct {
		enum line_kind kind;
		const char *want; /* NULL: a tombstone */
	} rows[] = {
		{LINE_RECORD, "{\"a\":1}"},
		{LINE_EMPTY, ""},
		{LINE_RECORD, "not json \xff\r"},
		{LINE_RECORD, "a\nb"},
		{LINE_RECORD, ""},
		{LINE_RECORD, "ab"},
		{LINE_RECORD, NULL},
		{LINE_BAD, ""},
		{LINE_BAD, ""},
		{LINE_BAD, ""},
		{LINE_BAD, ""},
		{LINE_RECORD, "last"},
	};
	char path[CHECK_PATH];
	enum line_kind kind;
	struct slice record;
	const char *why;
	struct lines l;
	struct err e;

	check_file(dir, "in.jsonl", text, path);
	CHECK_RC(lines_open(&l, path, &e), RC_OK, &e);
	CHECK_INT(l.size, text.len);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_CASE("line %zu", i + 1);
		CHECK_RC(lines_next(&l, &kind, &record, &why, &e), RC_OK, &e);
		CHECK_INT(kind, rows[i].kind);
		CHECK_INT(l.line, i + 1);
		if (kind != LINE_RECORD)
			continue;
		CHECK((record.ptr == NULL) == (rows[i].want == NULL));
		CHECK_SLICE(record, rows[i].want);
	}
	CHECK_RC(lines_next(&l, &kind, &record, &why, &e), RC_OK, &e);
	CHECK_INT(kind, LINE_END);
	CHECK_INT(l.at, text.len);
	lines_close(&l);
	CHECK_RC(lines_open(&l, "/nowhere/x", &e), RC_INVALID, &e);
	CHECK_RC(lines_open(&l, dir, &e), RC_INVALID, &e);
}

static void test_long_line(void)
{
	static char text[SEND_RECORD_MAX * 2 + 100];
	char path[CHECK_PATH];
	enum line_kind kind;
	struct slice record;
	const char *why;
	struct lines l;
	struct err e;

	memset(text, 'x', sizeof(text));
	text[SEND_RECORD_MAX] = '\n';  /* a record of the largest size */
	text[sizeof(text) - 3] = '\n'; /* one that is longer than the reader keeps */
	check_file(dir, "long.jsonl", slice_of(text, sizeof(text)), path);
	CHECK_RC(lines_open(&l, path, &e), RC_OK, &e);
	CHECK_RC(lines_next(&l, &kind, &record, &why, &e), RC_OK, &e);
	CHECK(kind == LINE_RECORD && record.len == SEND_RECORD_MAX);
	CHECK_RC(lines_next(&l, &kind, &record, &why, &e), RC_OK, &e);
	CHECK_INT(kind, LINE_BAD);
	CHECK_RC(lines_next(&l, &kind, &record, &why, &e), RC_OK, &e);
	CHECK_INT(kind, LINE_RECORD);
	CHECK_SLICE(record, "xx");
	lines_close(&l);
}

static void read_to(struct lines *l, const char *path, struct position *at)
{
	enum line_kind kind;
	struct slice record;
	const char *why;
	struct err e = {0};

	CHECK_RC(lines_open(l, path, &e), RC_OK, &e);
	CHECK_RC(position_load(dir, "main", "complaints", l, at, &e), RC_OK, &e);
	CHECK_RC(lines_seek(l, at, &e), RC_OK, &e);
	CHECK_RC(lines_next(l, &kind, &record, &why, &e), RC_OK, &e);
	at->at = l->at;
	at->line = l->line;
	at->records++;
	CHECK_RC(position_save(at, l, &e), RC_OK, &e);
	lines_close(l);
}

static void test_positions(void)
{
	struct position at, other;
	char path[CHECK_PATH];
	struct lines l;
	struct err e;

	check_file(dir, "p.jsonl", SLICE("one\ntwo\nthree\n"), path);
	read_to(&l, path, &at);
	read_to(&l, path, &at);
	CHECK_INT(at.at, 8);
	CHECK_INT(at.line, 2);
	CHECK_INT(at.records, 2);
	/* another topic has a position of its own */
	CHECK_RC(lines_open(&l, path, &e), RC_OK, &e);
	CHECK_RC(position_load(dir, "main", "other", &l, &other, &e), RC_OK, &e);
	CHECK_INT(other.at, 0);
	(void)unlink(at.path);
	lines_close(&l);
}

static void test_changed_file(void)
{
	struct position at;
	char path[CHECK_PATH];
	struct lines l;
	struct err e;

	check_file(dir, "c.jsonl", SLICE("one\ntwo\n"), path);
	read_to(&l, path, &at);
	check_file(dir, "c.jsonl", SLICE("one\ntwo\nthree\n"), path); /* it grew: go on */
	read_to(&l, path, &at);
	CHECK_INT(at.at, 8);
	check_file(dir, "c.jsonl", SLICE("1ne\ntwo\nthree\n"), path); /* another file: anew */
	read_to(&l, path, &at);
	CHECK_INT(at.at, 4);
	check_file(dir, "c.jsonl", SLICE("1"), path); /* shorter than we were: anew */
	CHECK_RC(lines_open(&l, path, &e), RC_OK, &e);
	CHECK_RC(position_load(dir, "main", "complaints", &l, &at, &e), RC_OK, &e);
	CHECK_INT(at.at, 0);
	(void)unlink(at.path);
	lines_close(&l);
}

static void test_budget(void)
{
	struct kafka_source s = {
		.demo = true, .source = "demo-1", .brokers = "127.0.0.1:1", .topic_count = 1};
	struct budget b, again;
	int32_t partition = 0;
	size_t taken = 0;
	int others = 0;
	struct err e;

	(void)snprintf(s.topics[0].name, sizeof(s.topics[0].name), "complaints");
	s.topics[0].partitions = 4;
	CHECK_RC(budget_load(dir, &s, "complaints", &b, &e), RC_OK, &e);
	CHECK_INT(b.partitions, 4);
	while (budget_take(&b, SLICE("84812341213"), 100000, &partition))
		taken++;
	CHECK(taken >= 38 && taken <= 40 && partition == -1);
	for (const char *key = "01234567"; *key != '\0'; key++) /* the other three have room */
		others += budget_take(&b, slice_of(key, 1), 100000, &partition) && partition >= 0 &&
			partition < 4;
	CHECK_INT(others, 6);
	CHECK_RC(budget_save(&b, &e), RC_OK, &e);
	CHECK_RC(budget_load(dir, &s, "complaints", &again, &e), RC_OK, &e);
	CHECK(memcmp(b.bytes, again.bytes, sizeof(b.bytes)) == 0);
	CHECK(!budget_take(&again, SLICE("84812341213"), 100000, &partition));
	(void)unlink(b.path);
	s.demo = false;
	CHECK_RC(budget_load(dir, &s, "complaints", &b, &e), RC_OK, &e);
	CHECK(budget_take(&b, SLICE("9"), 1u << 30, &partition) && partition == -1);
}

static const struct conf_table *const tables[] = {&ingest_conf};

static enum rc source_of(const char *text, struct kafka_source *out, struct conf **c, struct err *e)
{
	struct complaints wrong;
	char path[CHECK_PATH];

	complaints_init(&wrong);
	check_file(dir, "khien.yaml", slice_str(text), path);
	CHECK_RC(conf_load(path, tables, 1, &wrong, c, e), RC_OK, e);
	complaints_done(&wrong);
	return kafka_source_of(*c, out, e);
}

static void test_source(void)
{
	struct kafka_source wrote = {.brokers = "127.0.0.1:4711",
				    .source = "demo-2",
				    .topic_count = 2},
			    s;
	char path[CHECK_PATH * 2];
	struct err e = {0};

	(void)snprintf(wrote.topics[0].name, sizeof(wrote.topics[0].name), "complaints");
	(void)snprintf(wrote.topics[1].name, sizeof(wrote.topics[1].name), "activity");
	wrote.topics[0].partitions = 4;
	wrote.topics[1].partitions = 1;
	(void)snprintf(path, sizeof(path), "%s/broker", dir);
	{
		OWN(conf_free) struct conf *c = NULL;
		CHECK_RC(source_of("kafka:\n  brokers_file: broker\n", &s, &c, &e), RC_RETRY, &e);
	}
	CHECK_RC(kafka_source_write(path, &wrote, &e), RC_OK, &e);
	{
		OWN(conf_free) struct conf *c = NULL;
		CHECK_RC(source_of("kafka:\n  brokers_file: broker\n", &s, &c, &e), RC_OK, &e);
		CHECK_STR(s.settings.brokers, "127.0.0.1:4711");
		CHECK_STR(s.source, "demo-2");
		CHECK(s.demo && s.topic_count == 2 && s.topics[0].partitions == 4);
		CHECK_STR(s.topics[1].name, "activity");
	}
	check_file(dir, "broker", SLICE("127.0.0.1:4711\ntopic complaints x\n"), NULL);
	{
		OWN(conf_free) struct conf *c = NULL;
		CHECK_RC(source_of("kafka:\n  brokers_file: broker\n", &s, &c, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, "broker:2");
	}
	{
		OWN(conf_free) struct conf *c = NULL;
		CHECK_RC(source_of("source: hn-1\nkafka:\n  brokers: a:1,b:2\n  extra: "
				   "[security.protocol=ssl]\n",
				 &s, &c, &e),
			RC_OK, &e);
		CHECK_STR(s.settings.brokers, "a:1,b:2");
		CHECK_STR(s.settings.extra[0], "security.protocol=ssl");
		CHECK(s.settings.extra[1] == NULL && !s.demo);
		CHECK_STR(s.source, "hn-1");
	}
	{
		OWN(conf_free) struct conf *c = NULL;
		CHECK_RC(source_of("source: hn-1\n", &s, &c, &e), RC_INVALID, &e);
	}
}

int main(void)
{
	static const char *const made[] = {
		"in.jsonl", "long.jsonl", "p.jsonl", "c.jsonl", "broker", "khien.yaml"};
	char path[CHECK_PATH * 2];

	check_dir(dir);
	RUN(test_lines);
	RUN(test_long_line);
	RUN(test_positions);
	RUN(test_changed_file);
	RUN(test_budget);
	RUN(test_source);
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		(void)unlink(path);
	}
	CHECK_INT(rmdir(dir), 0);
	return check_done();
}
