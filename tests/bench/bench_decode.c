/* How many records one core decodes a second: JSON, numbers, citizens' texts, three MACs. Records are invented, in the mix of the real
 * ones: three of four are calls, one of ten is still the citizen's text. Leaves out Kafka and the ledger.
 *
 *	bench_decode [SECONDS] */
#include "ingest/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VARIANTS 10000
#define BATCH 5000

static struct slice make(struct arena *a, unsigned i)
{
	static const char text[] = "Chúc mừng quý khách đã trúng thưởng xe máy, vui lòng gọi ngay "
				   "để nhận quà trong ngày";
	unsigned from = 910000000 + i % 5000, about = 810000000 + i % 7919;

	if (i % 10 == 0)
		return slice_str(arena_fmt(a,
			"{\"schema\":\"report-sms/"
			"1\",\"report_id\":\"sms:%08u\",\"from\":\"+84%u\",\"to\":\"5656\","
			"\"received_at\":"
			"\"2026-08-31T09:%02u:02+07:00\",\"text\":\"V (0%u) (%s)\"}",
			i, from, i % 60, about, text));
	return slice_str(arena_fmt(a,
		"{\"schema\":\"complaint/"
		"1\",\"report_id\":\"ais:2026-%08u\",\"channel\":\"%s\",\"kind\":\"%s\",\"received_"
		"at\":"
		"\"2026-08-31T09:%02u:02+07:00\",\"occurred_at\":\"2026-08-31T08:%02u:40+07:00\","
		"\"reporter\":\"+84%u\","
		"\"reporter_verified\":true,\"sender\":\"0%u\",\"content\":\"%s\",\"category\":"
		"\"loan\",\"contact\":{\"service\":\"%s\","
		"\"matched\":\"yes\",\"origin\":\"own\",\"message_id\":\"m-%u\"},\"serving_"
		"carrier\":\"viettel\"}",
		i, i % 4 == 0 ? "sms5656" : "voice156",
		i % 4 == 0           ? "S"
			: i % 3 == 0 ? "LD"
				     : "V",
		i % 60, i % 60, from, about, text, i % 4 == 0 ? "sms" : "voice", i));
}

static void keys_make(struct keys **out)
{
	static const char *const names[] = {"mac.key", "wrap.key", "token.key"};
	char dir[] = "/tmp/khien-bench-XXXXXX", path[64];
	struct err e;

	if (mkdtemp(dir) == NULL || keys_create(dir, &e) != RC_OK ||
		keys_open(dir, out, &e) != RC_OK)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

int main(int argc, char **argv)
{
	OWN(arena_free) struct arena *records = arena_new((size_t)64 << 20);
	OWN(arena_free) struct arena *batch = arena_new((size_t)64 << 20);
	OWN(plan_free) struct plan *plan = NULL;
	OWN(keys_free) struct keys *keys = NULL;
	OWN(decoder_free) struct decoder *decoder = NULL;
	static struct slice values[VARIANTS];
	int64_t start, spent = 0, seconds = argc > 1 ? atoi(argv[1]) : 3;
	size_t done = 0, accepted = 0, bytes = 0;
	struct ingest_rules rules;
	struct complaints c;
	struct err e;

	complaints_init(&c);
	if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &plan, &e) != RC_OK) {
		fprintf(stderr, "%s\n%.*s", e.text, (int)c.text.len, buf_slice(&c.text).ptr);
		return 1;
	}
	complaints_done(&c);
	keys_make(&keys);
	rules = (struct ingest_rules){plan, keys, 168 * 3600};
	decoder = decoder_new(&rules);
	for (unsigned i = 0; i < VARIANTS; i++)
		values[i] = make(records, i);
	start = clk_system.mono_us(&clk_system);
	clock_t begun = clock();
	while (spent < seconds * US_PER_S) {
		arena_reset(batch);
		for (size_t i = 0; i < BATCH; i++, done++) {
			struct kafka_record r = {
				.topic = "complaints", .value = values[done % VARIANTS]};
			struct report report;

			if (decode(decoder, FEED_COMPLAINTS, &r, batch, &report) != RC_OK)
				return 1;
			accepted += report.disposition == DISP_ACCEPTED;
			bytes += r.value.len;
		}
		spent = clk_system.mono_us(&clk_system) - start;
	}
	double cpu_s =
		(double)(clock() - begun) / CLOCKS_PER_SEC; /* others may be on this core, too */
	printf("decode: %.0f records/s, %.0f a second of processor time (%.2f us a record), %.0f "
	       "bytes "
	       "a record, %.1f %% accepted, arena %zu bytes a record\n",
		(double)done * 1e6 / (double)spent, (double)done / cpu_s,
		cpu_s * 1e6 / (double)done, (double)bytes / (double)done,
		100.0 * (double)accepted / (double)done, arena_used(batch) / BATCH);
	return accepted == done ? 0 : 1;
}
