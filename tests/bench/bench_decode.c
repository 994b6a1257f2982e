/* How many records one core decodes a second: JSON, numbers, citizens' texts, three MACs. Records are invented, in the mix of the real
 * ones: three of four are calls, one of ten is still the citizen's text. Leaves out Kafka and the ledger.
 *
 *	bench_decode [SECONDS] */
#include <time.h>

#include "tests/bench/records.h"

#define BATCH 5000

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
	return accepted == done ? 0 : 1;
}
