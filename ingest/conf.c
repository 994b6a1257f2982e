/* What of the configuration file is ingest's, and where the records come from according to it. The demonstration broker's file is three
 * kinds of lines: the address, "source ID", and one "topic NAME PARTITIONS" each. Leaves out talking to Kafka (wire/kafka.h). */
#include "ingest/ingest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct conf_item items[] = {
	{.name = "source",
		.type = CONF_TEXT,
		.def = "main",
		.min = 1,
		.max = 63,
		.help = "Id of the Kafka cluster in the ledger. Offsets belong to it: give a new "
			"cluster a new id."},
	{.name = "kafka.brokers",
		.type = CONF_TEXT,
		.def = "",
		.max = 255,
		.help = "Bootstrap brokers, host:port,… Needed unless kafka.brokers_file is "
			"given."},
	{.name = "kafka.brokers_file",
		.type = CONF_FILE,
		.def = "",
		.help = "File that `khien broker` wrote; its address and source id are taken "
			"instead."},
	{.name = "kafka.demo",
		.type = CONF_BOOL,
		.def = "false",
		.help = "The broker is a demonstration that keeps about 5 MB a partition; `khien "
			"send` stops before that."},
	{.name = "kafka.group",
		.type = CONF_TEXT,
		.def = "khien",
		.min = 1,
		.max = 200,
		.help = "Consumer group."},
	{.name = "kafka.client_id",
		.type = CONF_TEXT,
		.def = "khien",
		.min = 1,
		.max = 200,
		.help = "Client id that the brokers see."},
	{.name = "kafka.instance_id",
		.type = CONF_TEXT,
		.def = "",
		.max = 200,
		.help = "Static membership: a name that this process keeps over restarts and no "
			"other has; its workers are NAME-0, NAME-1, … Empty: dynamic members."},
	{.name = "kafka.security",
		.type = CONF_CHOICE,
		.def = "plaintext",
		.choices = "plaintext|ssl|sasl_plaintext|sasl_ssl",
		.help = "How the brokers are spoken to; plaintext is for this host only."},
	{.name = "kafka.tls.ca",
		.type = CONF_FILE,
		.def = "",
		.help = "Authorities (PEM) that may vouch for the brokers; empty: those of the "
			"system. The broker's name is always checked."},
	{.name = "kafka.tls.cert",
		.type = CONF_FILE,
		.def = "",
		.help = "Our own certificate (PEM), when the brokers ask for one."},
	{.name = "kafka.tls.key",
		.type = CONF_FILE,
		.def = "",
		.secret = true,
		.help = "Its key (PEM, not encrypted)."},
	{.name = "kafka.sasl.mechanism",
		.type = CONF_CHOICE,
		.def = "SCRAM-SHA-512",
		.choices = "SCRAM-SHA-512|SCRAM-SHA-256|PLAIN",
		.help = "SASL mechanism."},
	{.name = "kafka.sasl.username",
		.type = CONF_TEXT,
		.def = "",
		.max = 200,
		.help = "SASL user."},
	{.name = "kafka.sasl.password_file",
		.type = CONF_FILE,
		.def = "",
		.secret = true,
		.help = "File with that user's password."},
	{.name = "kafka.extra",
		.type = CONF_LIST,
		.def = "",
		.max = KAFKA_EXTRAS,
		.help = "Further client properties, property=value, for tuning."},
	{.name = "kafka.topics.complaints",
		.type = CONF_TEXT,
		.def = "complaints",
		.min = 1,
		.max = 249,
		.help = "Topic of the reports."},
	{.name = "kafka.topics.contacts",
		.type = CONF_TEXT,
		.def = "contacts",
		.max = 249,
		.help = "Topic of contact facts that come later than their report, or before it; "
			"empty: it is not read."},
	{.name = "kafka.topics.activity",
		.type = CONF_TEXT,
		.def = "activity",
		.max = 249,
		.help = "Topic of what senders do on the network; empty: it is not read."},
	{.name = "kafka.topics.poll_answers",
		.type = CONF_TEXT,
		.def = "poll-answers",
		.max = 249,
		.help = "Topic of what recipients answered; empty: it is not read."},
	{.name = "kafka.topics.provisioning_results",
		.type = CONF_TEXT,
		.def = "provisioning-results",
		.max = 249,
		.help = "Topic of what became of requests to the HLR and BSS; empty: it is not "
			"read."},
	{.name = "kafka.topics.notice_results",
		.type = CONF_TEXT,
		.def = "notice-results",
		.max = 249,
		.help = "Topic of what became of notices; empty: it is not read."},
	{.name = "kafka.topics.subscriptions",
		.type = CONF_TEXT,
		.def = "subscriptions",
		.max = 249,
		.help = "Topic of numbers that changed hands or carriers; empty: it is not read."},
	{.name = "numbers.dir",
		.type = CONF_FILE,
		.def = "numbers",
		.help = "Folder of the number plan: plan.csv, short.csv, old_prefixes.csv, "
			"portability.csv."},
	{.name = "numbers.own_carrier",
		.type = CONF_TEXT,
		.def = "viettel",
		.min = 1,
		.max = 63,
		.help = "The carrier that we are, as the number plan writes it."},
	{.name = "send.state_dir",
		.type = CONF_FILE,
		.def = ".khien-send",
		.help = "Folder where `khien send` keeps how far it came."},
};

const struct conf_table ingest_conf = {.room = "ingest", .items = items, .count = ARRAY_LEN(items)};

#define FILE_CAP 4096

static enum rc read_file(const char *path, char out[FILE_CAP], struct slice *text, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return err_set(e, errno == ENOENT ? RC_RETRY : RC_INVALID, "%s: %s", path,
			strerror(errno));
	n = fread(out, 1, FILE_CAP, f);
	(void)fclose(f);
	*text = slice_of(out, n);
	return n < FILE_CAP ? RC_OK
			    : err_set(e, RC_INVALID, "%s: too long for a broker's file", path);
}

static bool copy(struct slice s, char *out, size_t room)
{
	if (s.len == 0 || s.len >= room)
		return false;
	memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return true;
}

static bool topic_line(struct slice line, struct kafka_source *out)
{
	struct slice name;
	uint64_t partitions;

	if (out->topic_count == KAFKA_DEMO_TOPICS || !slice_cut(&line, ' ', &name) ||
		!copy(name, out->topics[out->topic_count].name, sizeof(out->topics[0].name)) ||
		slice_u64(line, &partitions) != RC_OK || partitions < 1 || partitions > 1000)
		return false;
	out->topics[out->topic_count++].partitions = (int)partitions;
	return true;
}

static enum rc from_file(const char *path, struct kafka_source *out, struct err *e)
{
	char content[FILE_CAP];
	struct slice text, line, word;
	int at = 0;
	enum rc rc = read_file(path, content, &text, e);
	bool good = true;

	if (rc != RC_OK)
		return rc;
	for (; good && slice_line(&text, &line); at++) {
		struct slice rest = line;

		if (at == 0)
			good = copy(line, out->brokers, sizeof(out->brokers));
		else if (!slice_cut(&rest, ' ', &word))
			good = false;
		else if (slice_eq(word, SLICE("source")))
			good = copy(rest, out->source, sizeof(out->source));
		else
			good = slice_eq(word, SLICE("topic")) && topic_line(rest, out);
	}
	if (!good || at == 0)
		return err_set(e, RC_INVALID, "%s:%d: not a line of a broker's file", path, at);
	out->demo = true;
	return RC_OK;
}

/* property=value of our own settings, before the user's further ones. */
static enum rc put(
	struct kafka_source *s, size_t *n, const char *property, const char *value, struct err *e)
{
	char *at = s->own[*n];

	if (value[0] == '\0')
		return RC_OK;
	assert(*n < KAFKA_OWN);
	if ((size_t)snprintf(at, sizeof(s->own[0]), "%s=%s", property, value) >= sizeof(s->own[0]))
		return err_set(e, RC_INVALID, "kafka: the value of %s is too long", property);
	s->extra[(*n)++] = at;
	return RC_OK;
}

static enum rc put_password(const struct conf *c, struct kafka_source *s, size_t *n, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 512);
	enum rc rc = conf_read_file(c, "kafka.sasl.password_file", &b, e);
	if (rc != RC_OK)
		return rc == RC_NONE ? err_set(e, RC_INVALID,
					       "%s: kafka.sasl.password_file is needed with "
					       "kafka.security %s",
					       conf_path(c), conf_text(c, "kafka.security"))
				     : rc;
	buf_byte(&b, '\0');
	return b.failed ? err_set(e, RC_INVALID, "kafka.sasl.password_file: too long")
			: put(s, n, "sasl.password", b.ptr, e);
}

static enum rc put_security(const struct conf *c, struct kafka_source *s, size_t *n, struct err *e)
{
	const char *how = conf_text(c, "kafka.security");
	bool tls = strstr(how, "ssl") != NULL, sasl = strncmp(how, "sasl", 4) == 0;
	enum rc rc = RC_OK;

	if (tls || sasl)
		rc = put(s, n, "security.protocol", how, e);
	if (rc == RC_OK && tls)
		rc = put(s, n, "ssl.ca.location", conf_text(c, "kafka.tls.ca"), e);
	if (rc == RC_OK && tls)
		rc = put(s, n, "ssl.certificate.location", conf_text(c, "kafka.tls.cert"), e);
	if (rc == RC_OK && tls)
		rc = put(s, n, "ssl.key.location", conf_text(c, "kafka.tls.key"), e);
	if (rc != RC_OK || !sasl)
		return rc;
	if (conf_text(c, "kafka.sasl.username")[0] == '\0')
		return err_set(e, RC_INVALID,
			"%s: kafka.sasl.username is needed with kafka.security %s", conf_path(c),
			how);
	rc = put(s, n, "sasl.mechanisms", conf_text(c, "kafka.sasl.mechanism"), e);
	if (rc == RC_OK)
		rc = put(s, n, "sasl.username", conf_text(c, "kafka.sasl.username"), e);
	return rc == RC_OK ? put_password(c, s, n, e) : rc;
}

enum rc kafka_source_of(const struct conf *c, struct kafka_source *out, struct err *e)
{
	const char *file = conf_text(c, "kafka.brokers_file");
	enum rc rc = RC_OK;
	size_t n = conf_count(c, "kafka.extra"), own = 0;

	memset(out, 0, sizeof(*out));
	(void)snprintf(out->source, sizeof(out->source), "%s", conf_text(c, "source"));
	(void)snprintf(out->brokers, sizeof(out->brokers), "%s", conf_text(c, "kafka.brokers"));
	out->demo = conf_bool(c, "kafka.demo");
	if (file[0] != '\0')
		rc = from_file(file, out, e);
	if (rc != RC_OK)
		return rc;
	if (out->brokers[0] == '\0')
		return err_set(e, RC_INVALID,
			"%s: neither kafka.brokers nor kafka.brokers_file is given", conf_path(c));
	rc = put_security(c, out, &own, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n && i < KAFKA_EXTRAS; i++)
		out->extra[own + i] = conf_at(c, "kafka.extra", i);
	out->settings = (struct kafka_settings){
		.brokers = out->brokers,
		.client_id = conf_text(c, "kafka.client_id"),
		.group = conf_text(c, "kafka.group"),
		.instance = conf_text(c, "kafka.instance_id")[0] != '\0'
			? conf_text(c, "kafka.instance_id")
			: NULL,
		.extra = out->extra,
	};
	return RC_OK;
}

enum rc kafka_source_write(const char *path, const struct kafka_source *s, struct err *e)
{
	BUF_OWN struct buf text;
	char temp[4096];
	bool good;
	FILE *f;

	buf_init(&text, FILE_CAP - 1);
	buf_fmt(&text, "%s\nsource %s\n", s->brokers, s->source);
	for (size_t i = 0; i < s->topic_count; i++)
		buf_fmt(&text, "topic %s %d\n", s->topics[i].name, s->topics[i].partitions);
	if (text.failed || (size_t)snprintf(temp, sizeof(temp), "%s.new", path) >= sizeof(temp))
		return err_set(e, RC_INVALID, "%s: name or content too long", path);
	f = fopen(temp, "we");
	if (f == NULL)
		return err_set(e, RC_INVALID, "%s: %s", temp, strerror(errno));
	good = fwrite(text.ptr, 1, text.len, f) == text.len;
	good = fclose(f) == 0 && good;
	if (!good || rename(temp, path) != 0) {
		(void)err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
		(void)unlink(temp);
		return RC_INVALID;
	}
	return RC_OK;
}
