/* What the benchmarks of ingest share: invented records in the mix of the real ones (three of four are calls, one of ten is still the citizen's
 * text), fresh keys, the shipped number plan. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ingest/ingest.h"

#define BENCH_VARIANTS 10000
#define BENCH_CONTENT                                                                                     \
	"Chúc mừng quý khách đã trúng thưởng xe máy, vui lòng gọi ngay để nhận quà " \
	"trong ngày"
#define BENCH_SMS "V (0812345678) (" BENCH_CONTENT ")"

static inline struct slice bench_record(struct arena *a, unsigned i)
{
	static const char text[] = BENCH_CONTENT;
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

static inline void bench_keys(struct keys **out)
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

static inline void bench_world(struct plan **plan, struct keys **keys)
{
	struct complaints c;
	struct err e;

	complaints_init(&c);
	if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, plan, &e) != RC_OK) {
		fprintf(stderr, "%s\n%.*s", e.text, (int)c.text.len, buf_slice(&c.text).ptr);
		exit(1);
	}
	complaints_done(&c);
	bench_keys(keys);
}
