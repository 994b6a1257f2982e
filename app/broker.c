/* khien broker: the embedded broker in a process of its own, for demonstrations and trials without Kafka. Its address goes to a file that the
 * configuration names (kafka.brokers_file). */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

/* "complaints:4,activity:2" */
static bool topics_parse(const char *text, struct kafka_source *out)
{
	struct slice rest = slice_str(text), one, name;

	while (slice_cut(&rest, ',', &one)) {
		uint64_t partitions = 1;
		size_t n = out->topic_count;

		if (n == KAFKA_DEMO_TOPICS || !slice_cut(&one, ':', &name) || name.len == 0 ||
			name.len >= sizeof(out->topics[n].name) ||
			(one.len > 0 && slice_u64(one, &partitions) != RC_OK) || partitions < 1 ||
			partitions > 256)
			return false;
		memcpy(out->topics[n].name, name.ptr, name.len);
		out->topics[n].partitions = (int)partitions;
		out->topic_count++;
	}
	return out->topic_count > 0;
}

static enum rc open_broker(struct kafka_source *s, struct kafka_demo **out, struct err *e)
{
	const char *names[KAFKA_DEMO_TOPICS];
	int partitions[KAFKA_DEMO_TOPICS];
	enum rc rc;

	for (size_t i = 0; i < s->topic_count; i++) {
		names[i] = s->topics[i].name;
		partitions[i] = s->topics[i].partitions;
	}
	rc = kafka_demo_open(names, partitions, s->topic_count, out, e);
	if (rc != RC_OK)
		return rc;
	if ((size_t)snprintf(s->brokers, sizeof(s->brokers), "%s", kafka_demo_brokers(*out)) >=
		sizeof(s->brokers))
		return err_set(e, RC_FATAL, "the broker's address is too long");
	(void)snprintf(
		s->source, sizeof(s->source), "demo-%016llx", (unsigned long long)random_u64());
	return RC_OK;
}

static void banner(const struct kafka_source *s, const char *file)
{
	fprintf(stderr,
		"*** DEMONSTRATION BROKER, not for service: it lives in this process's memory "
		"alone, ***\n"
		"*** keeps only about 5 MB a partition without saying so, and forgets all when it "
		"ends. ***\n"
		"broker: %s, source %s, address in %s\n",
		s->brokers, s->source, file);
	for (size_t i = 0; i < s->topic_count; i++)
		fprintf(stderr, "broker: topic %s, %d partitions\n", s->topics[i].name,
			s->topics[i].partitions);
}

int verb_broker(int argc, char **argv)
{
	static const struct option options[] = {
		{"topics", required_argument, NULL, 't'},
		{"file", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	const char *topics = NULL, *file = NULL;
	struct kafka_source s = {.demo = true};
	struct err e = {0};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 't')
			topics = optarg;
		else if (c == 'f')
			file = optarg;
		else
			return app_usage("broker", "unknown option");
	}
	if (optind < argc || topics == NULL || file == NULL)
		return app_usage("broker", "--topics NAME:PARTITIONS,… and --file FILE are needed");
	if (!topics_parse(topics, &s))
		return app_usage("broker",
			"--topics %s: not NAME:PARTITIONS,… (1 to 256 partitions, up to %d topics)",
			topics, KAFKA_DEMO_TOPICS);
	OWN(kafka_demo_close) struct kafka_demo *broker = NULL;
	app_signals();
	enum rc rc = open_broker(&s, &broker, &e);
	if (rc == RC_OK)
		rc = kafka_source_write(file, &s, &e);
	if (rc != RC_OK) {
		fprintf(stderr, "khien broker: %s\n", e.text);
		return EXIT_REFUSED;
	}
	banner(&s, file);
	while (app_stop == 0)
		wait_ms(60000, &app_stop);
	(void)unlink(file); /* nobody shall look for it there */
	return EXIT_DONE;
}
