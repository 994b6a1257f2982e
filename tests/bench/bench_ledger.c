/* How many reports a second one worker's ledger takes on a PostgreSQL of its own: claim, judge, settle, commit, with fsync and
 * everything on. Leaves out Kafka, decoding and texts. Arguments: reports, batch, senders, reporters; the environment names the
 * database (KHIEN_TEST_PG; a schema of its own). */
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/ledger_world.h"
#include "tests/unit/rnd.h"

static struct ledger_world w;

static double wall_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* CPU seconds of the server's process of our connection, when it runs on this machine: what a busy machine does not change. */
static double server_s(void)
{
	static long pid;
	char path[64], line[512] = "";
	unsigned long user = 0, system = 0;

	if (pid == 0) {
		struct pg_result *r = NULL;
		struct err e;

		pgtest_need(pg_run(ledger_pg(w.l), "SELECT pg_backend_pid()", NULL, 0, &r, &e), &e,
			"pid");
		pid = (long)pg_int(r, 0, 0);
		pg_free(r);
	}
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	(void)fclose(f);
	const char *end = strrchr(line, ')');
	if (end == NULL ||
		sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			&system) != 2)
		return 0;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* A few senders get most of the reports: the square of an even draw. */
static struct filing make(uint64_t *seed, int64_t i, uint64_t senders, uint64_t reporters)
{
	char *id = arena_fmt(w.arena, "bench:%lld", (long long)i);
	uint64_t a = rnd(seed, 1000000),
		 sender = (uint64_t)((double)senders * (double)a * (double)a / 1e12);
	struct filing f = {
		.offset = i,
		.disposition = DISP_ACCEPTED,
		.reason = "counted",
		.detail = "",
		.bytes = SLICE("{}"),
		.report_id = slice_str(id),
		.kind = KIND_V,
		.service = SERVICE_VOICE,
		.channel = CH_PORTAL,
		.received_at = T0 + i * 2000,
		.occurred_at = T0 + i * 2000 - US_PER_HOUR,
		.reporter = slice_str(
			arena_fmt(w.arena, "849%08llu", (unsigned long long)rnd(seed, reporters))),
		.verified = true,
		.attribution = ATTR_OTHER,
		.carrier = "x",
		.number_class = "mobile",
		.content = SLICE("goi moi chao vay tien lai suat thap, lien tuc nhieu lan trong "
				 "ngay, da chan van goi"),
		.category = SLICE("loan"),
		.terms = SLICE("[{\"name\":\"LOAN_OFFER\",\"weight\":1.2,\"at\":9,\"len\":8}]"),
		.extra = SLICE(""),
		.duration_s = 12,
		.counts = true,
		.cls = rnd(seed, 5) == 0 ? CLASS_SCAM : CLASS_NUISANCE,
		.label = LABEL_SPAM,
		.text_score = 0.7f,
		.fingerprint = rnd_u64(seed),
		.matched = rnd(seed, 4) == 0 ? MATCHED_YES : MATCHED_UNCHECKED,
	};
	f.sender.scope = SCOPE_NUMBER;
	(void)snprintf(
		f.sender.value, sizeof(f.sender.value), "849%08llu", (unsigned long long)sender);
	f.sender_raw = arena_copy(w.arena, slice_str(f.sender.value));
	keys_mac(w.keys, "report_id", f.report_id, f.id_hash);
	keys_mac(w.keys, "reporter", f.reporter, f.reporter_mac);
	memcpy(f.body_mac, f.id_hash, MAC_LEN);
	return f;
}

struct spent {
	double make, claim, judge, settle;
	size_t touched, votes, batches;
};

static void one(int64_t from, size_t n, uint64_t *seed, uint64_t senders, uint64_t reporters,
	struct spent *x)
{
	struct ledger_settings s = world_settings(&w);
	struct batch_part part = {
		.part = &w.part, .from = from, .next = from + (int64_t)n, .records = (int64_t)n};
	struct touched *touched = NULL;
	struct control control;
	struct err e = {.text = ""};
	size_t n_touched = 0;
	bool fenced;
	double t0 = wall_s();

	arena_reset(w.arena);
	struct filing *f = arena_array(w.arena, n, sizeof(*f));
	for (size_t i = 0; i < n; i++)
		f[i] = make(seed, from + (int64_t)i, senders, reporters);
	struct ledger_batch b = {.parts = &part, .n_parts = 1, .filings = f, .n = n};
	double t1 = wall_s();
	pgtest_need(ledger_claim(w.l, &s, &b, w.now_us, w.arena, &control, &touched, &n_touched,
			    &fenced, &e),
		&e, "claim");
	double t2 = wall_s();
	pgtest_need(judge_touched(&w.judge, &control, w.now_us, touched, n_touched, w.arena), &e,
		"judge");
	double t3 = wall_s();
	pgtest_need(ledger_settle(w.l, &s, &b, touched, n_touched, w.now_us, w.arena, &e), &e,
		"settle");
	double t4 = wall_s();
	w.part.next_offset = part.next;
	x->make += t1 - t0;
	x->claim += t2 - t1;
	x->judge += t3 - t2;
	x->settle += t4 - t3;
	x->touched += n_touched;
	x->batches++;
	for (size_t i = 0; i < n_touched; i++)
		x->votes += touched[i].n_votes;
}

static int64_t arg(int argc, char **argv, int i, int64_t usual)
{
	int64_t v = usual;

	if (argc > i && slice_i64(slice_str(argv[i]), &v) != RC_OK)
		exit(2);
	return v;
}

int main(int argc, char **argv)
{
	int64_t reports = arg(argc, argv, 1, 400000), batch = arg(argc, argv, 2, 4000);
	uint64_t senders = (uint64_t)arg(argc, argv, 3, 100000),
		 reporters = (uint64_t)arg(argc, argv, 4, 200000);
	uint64_t seed = 1;
	int64_t step = reports / 4 > batch ? reports / 4 : reports;

	if (!ledger_world_init(&w))
		return 1;
	printf("reports/s of one worker, batches of %lld, %llu senders, %llu reporters\n",
		(long long)batch, (unsigned long long)senders, (unsigned long long)reporters);
	for (int64_t at = 0; at < reports;) {
		struct spent x = {.batches = 0};
		double wall = wall_s(), cpu = cpu_s(), server = server_s();
		int64_t end = at + step < reports ? at + step : reports, from = at;

		for (; at < end; at += batch)
			one(at, (size_t)batch, &seed, senders, reporters, &x);
		double n = (double)(at - from), b = (double)x.batches;
		wall = wall_s() - wall - x.make;
		printf("%8lld..%lld: %.0f/s, of a batch %.1f ms claim %.1f ms judge %.1f ms "
		       "settle; CPU client %.1f + server %.1f us a"
		       " report; %.0f senders %.0f votes a batch\n",
			(long long)from, (long long)at, n / wall, x.claim / b * 1e3,
			x.judge / b * 1e3, x.settle / b * 1e3, (cpu_s() - cpu - x.make) / n * 1e6,
			(server_s() - server) / n * 1e6, (double)x.touched / b,
			(double)x.votes / b);
		(void)fflush(stdout);
	}
	ledger_world_done(&w);
	return 0;
}
