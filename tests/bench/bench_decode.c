/* How many records one core decodes a second: JSON, numbers, citizens' texts, three MACs. Records are invented, in the mix of the real
 * ones: three of four are calls, one of ten is still the citizen's text. Then each of its stages by itself, over the same records. Leaves out
 * Kafka and the ledger.
 *
 *	bench_decode [SECONDS] */
#include <time.h>

#include "tests/bench/records.h"

#define BATCH 5000
#define STAGE_ROUNDS 30 /* over all variants */

/* What the stages work on. */
struct bench {
	const struct plan *plan;
	const struct keys *keys;
	struct json_parser *json;
	struct arena *arena;
	struct slice value;
	uint8_t mac[MAC_LEN];
};

static struct json parsed(struct bench *b)
{
	struct json record = {0};
	struct err e;

	if (json_parse(b->json, b->value, &record, &e) != RC_OK)
		abort();
	return record;
}

static void stage_json(struct bench *b)
{
	(void)parsed(b);
}

/* The members as they were written: what a format does not know is kept so. */
static void stage_members(struct bench *b)
{
	struct json_raw raw = json_raw(b->value);
	struct slice key, value;

	while (json_raw_next(&raw, &key, &value))
		b->mac[0] ^= (uint8_t)value.len;
}

static void stage_numbers(struct bench *b)
{
	struct sender s;
	const char *why;

	b->mac[0] ^= msisdn_parse(b->plan, SLICE("+84912345678"), &s);
	b->mac[0] ^= (uint8_t)sender_parse(b->plan, SLICE("0812345678"), TIME_NONE, &s, &why);
}

static void stage_times(struct bench *b)
{
	int64_t at = 0;

	b->mac[0] ^= (uint8_t)time_parse(SLICE("2026-08-31T09:15:02+07:00"), &at);
	b->mac[0] ^= (uint8_t)time_parse(SLICE("2026-08-31T08:15:40+07:00"), &at);
}

static void stage_macs(struct bench *b)
{
	keys_mac(b->keys, "report_id", SLICE("ais:2026-00000001"), b->mac);
	keys_mac(b->keys, "reporter", SLICE("84912345678"), b->mac);
	keys_mac(b->keys, "body", slice_of(b->value.ptr, 170), b->mac);
}

static void stage_copies(struct bench *b)
{
	b->mac[0] ^= arena_copy(b->arena, slice_of(b->value.ptr, 20)).ptr == NULL;
	b->mac[0] ^= arena_copy(b->arena, slice_of(b->value.ptr, 110)).ptr == NULL;
	b->mac[0] ^= arena_copy(b->arena, slice_of(b->value.ptr, 80)).ptr == NULL;
}

/* Of every tenth record, and so a tenth of what one costs. */
static void stage_text(struct bench *b)
{
	struct sms_parts parts;

	if (slice_starts(b->value, SLICE("{\"schema\":\"report-sms")))
		(void)sms_split(b->plan, SLICE(BENCH_SMS), TIME_NONE, b->arena, &parts);
}

static double cpu_us(void)
{
	return (double)clock() * 1e6 / CLOCKS_PER_SEC;
}

static void stages(struct bench *b, const struct slice *values)
{
	static const struct {
		const char *name;
		void (*run)(struct bench *b);
	} all[] = {{"JSON", stage_json}, {"members as written", stage_members},
		{"sender and reporter", stage_numbers}, {"two times", stage_times},
		{"three MACs", stage_macs}, {"copies", stage_copies},
		{"citizen's text", stage_text}};

	printf("of that, each by itself, us a record:");
	for (size_t s = 0; s < ARRAY_LEN(all); s++) {
		double begun = cpu_us();

		for (size_t i = 0; i < (size_t)STAGE_ROUNDS * BENCH_VARIANTS; i++) {
			if (i % BATCH == 0)
				arena_reset(b->arena);
			b->value = values[i % BENCH_VARIANTS];
			all[s].run(b);
		}
		printf("%s %s %.2f", s > 0 ? "," : "", all[s].name,
			(cpu_us() - begun) / STAGE_ROUNDS / BENCH_VARIANTS);
	}
	printf("; the rest is fields and checks\n");
}

int main(int argc, char **argv)
{
	OWN(arena_free) struct arena *records = arena_new((size_t)64 << 20);
	OWN(arena_free) struct arena *batch = arena_new((size_t)64 << 20);
	OWN(plan_free) struct plan *plan = NULL;
	OWN(keys_free) struct keys *keys = NULL;
	OWN(decoder_free) struct decoder *decoder = NULL;
	static struct slice values[BENCH_VARIANTS];
	int64_t start, spent = 0, seconds = argc > 1 ? atoi(argv[1]) : 3;
	size_t done = 0, accepted = 0, bytes = 0;
	struct ingest_rules rules;

	bench_world(&plan, &keys);
	rules = (struct ingest_rules){plan, keys, 168 * 3600};
	decoder = decoder_new(&rules);
	for (unsigned i = 0; i < BENCH_VARIANTS; i++)
		values[i] = bench_record(records, i);
	start = clk_system.mono_us(&clk_system);
	clock_t begun = clock();
	while (spent < seconds * US_PER_S) {
		arena_reset(batch);
		for (size_t i = 0; i < BATCH; i++, done++) {
			struct kafka_record r = {
				.topic = "complaints", .value = values[done % BENCH_VARIANTS]};
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
	struct bench b = {.plan = plan, .keys = keys, .json = json_parser_new(), .arena = batch};
	if (b.json == NULL)
		return 1;
	stages(&b, values);
	json_parser_free(b.json);
	return accepted == done ? 0 : 1;
}
