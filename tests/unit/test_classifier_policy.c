/* The shipped policy loads with the values of docs/judgement.md; a wrong one is refused whole, with every error and its line. */
#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"

static char dir[CHECK_PATH];

static void shipped(struct buf *out)
{
	struct err e;

	buf_init(out, BOUND_CONFIG_FILE);
	CHECK_RC(file_read(SOURCE_DIR "/etc/policy.yaml", false, out, &e), RC_OK, &e);
}

static void test_shipped(void)
{
	OWN(policy_free) struct policy *p = NULL;
	struct complaints c;
	struct err e = {0};
	uint8_t hash[SHA256_LEN];
	BUF_OWN struct buf text;

	complaints_init(&c);
	shipped(&text);
	if (!CHECK_RC(policy_load(SOURCE_DIR "/etc/policy.yaml", &c, &p, &e), RC_OK, &e)) {
		printf("%s", c.text.ptr != NULL ? c.text.ptr : "");
		return;
	}
	CHECK_NEAR(p->text_scam_at, 0.8, 0);
	CHECK_NEAR(p->score.half_life_s, 7 * 86400, 0);
	CHECK_NEAR(p->score.bias, -4.5, 0);
	CHECK_NEAR(p->score.contact, 0.8, 0);
	CHECK_INT(p->window_s, 240 * 3600);
	CHECK_INT(p->late_after_s, 168 * 3600);
	CHECK_INT(p->contact_yes, 2);
	CHECK_INT(p->spoofed_reporters, 3);
	CHECK_INT(p->clock_s[CLASS_SCAM], 7200);
	CHECK_INT(p->ladder[CLASS_SCAM].rungs, 5);
	CHECK_INT(p->ladder[CLASS_SCAM].good_time_s, 180 * 86400);
	CHECK_INT(p->poll.answers, 10);
	CHECK_INT(p->people.confirmed_s[CLASS_SCAM], 180 * 86400);
	CHECK_INT(p->people.confirmed_s[CLASS_NUISANCE], 30 * 86400);
	CHECK_INT(p->people.appeal_confirmed_s, 72 * 3600);
	CHECK(!p->people.appeal_working);
	CHECK_INT(p->registration.one_way_s, 15 * 86400);
	struct ladder own, other;
	policy_ladder(p, CLASS_SCAM, ATTR_OWN, SERVICE_SMS, &own);
	policy_ladder(p, CLASS_SCAM, ATTR_OTHER, SERVICE_SMS, &other);
	CHECK_INT(own.rungs, 5);
	CHECK_INT(own.rung[4].approval, APPROVAL_TWO);
	CHECK_INT(other.rungs, 3);
	CHECK_INT(p->ladder[CLASS_SCAM].rung[2].reporters, 5);
	CHECK(p->ladder[CLASS_SCAM].rung[2].leg);
	CHECK_INT(p->ladder[CLASS_NUISANCE].rung[2].terms, 2);
	CHECK_INT(p->ladder[CLASS_NUISANCE].rung[2].terms_s[1], 30 * 86400);
	CHECK_STR(p->action[ATTR_OWN], "bar_out");
	CHECK_STR(p->action[ATTR_FOREIGN], "bar_in");
	CHECK_STR(p->action[ATTR_BRANDNAME], "person");
	CHECK_INT(p->cap_day, 2000);
	CHECK_NEAR(p->growth_share, 0.02, 0);
	CHECK(policy_scam_category(p, SLICE("Fake_Job")));
	CHECK(!policy_scam_category(p, SLICE("loan")));
	CHECK(!policy_scam_category(p, SLICE("")));
	sha256(buf_slice(&text), hash);
	CHECK(memcmp(hash, p->hash, SHA256_LEN) == 0);
	complaints_done(&c);
}

/* Loads the shipped policy with `from` replaced by `to`; the complaints stand in `c`. */
static enum rc load_changed(const char *from, const char *to, struct complaints *c)
{
	OWN(policy_free) struct policy *p = NULL;
	BUF_OWN struct buf text;
	BUF_OWN struct buf changed;
	char path[CHECK_PATH * 2];
	struct err e;

	shipped(&text);
	buf_init(&changed, BOUND_CONFIG_FILE);
	const char *at = strstr(text.ptr, from);
	if (!CHECK(at != NULL))
		return RC_OK;
	buf_add(&changed, slice_of(text.ptr, (size_t)(at - text.ptr)));
	buf_add(&changed, slice_str(to));
	buf_add(&changed, slice_str(at + strlen(from)));
	check_file(dir, "policy.yaml", buf_slice(&changed), path);
	enum rc rc = policy_load(path, c, &p, &e);
	CHECK((rc == RC_OK) == (p != NULL));
	CHECK(rc == RC_OK || strstr(e.text, " 1 errors") == NULL);
	(void)unlink(path);
	return rc;
}

static void test_refused(void)
{
	static const struct {
		const char *from, *to, *says;
	} cases[] = {
		{"scam_at: 0.80", "scam_at: 1.5", "scam_at"},
		{"scam_at: 0.80", "scam_at: much", "scam_at"},
		{"half_life: 7d", "half_life: 1s", "half_life"},
		{"  velocity: 0.4\n", "", "\"velocity\" is missing"},
		{"window: 240h", "windows: 240h", "window"},
		{"per_hour: 200", "per_hour: -1", "per_hour"},
		{"per_hour: 200", "per_hour: 200\n  per_week: 3", "per_week"},
		{"contact_yes: 2", "contact_yes: 1", "contact_yes"},
		{"reporters: 5, leg: true,", "reporters: 5,", "leg"},
		{"rung: observe, reporters: 1}", "rung: observe, reporters: 1, terms: [1d]}",
			"observe"},
		{"{rung: observe, reporters: 1}\n", "{rung: recall, reporters: 1}\n", "observe"},
		{"rung: verify, reporters: 3", "rung: verify, reporters: 7", "fewer"},
		{"rung: verify, reporters: 3", "rung: verified, reporters: 3", "rung"},
		{"terms: [24h]", "terms: []", "terms"},
		{"terms: [24h]", "terms: [1s]", "term"},
		{"terms: [24h], basis: \"Decree 91/2020/ND-CP; carrier policy\"", "terms: [24h]",
			"basis"},
		{"short: person", "short: bar_in", "person"},
		{"confirmed_scam: 180d", "confirmed_scam: 1s", "confirmed_scam"},
		{"appeal_time: clock", "appeal_time: soon", "appeal_time"},
		{"appeal_time: clock", "appeal_times: clock", "appeal_times"},
		{"brandname: person", "brandname: bar_out", "person"},
		{"foreign: bar_in", "foreign: explode", "foreign"},
		{"foreign: bar_in", "", "foreign"},
		{"policy: shipped-2026.11", "policy: ''", "policy"},
		{"scam_categories: [scam,", "scam_categories: [[scam],", "category"},
		{"ladders:", "ladders: 3 #", ""},
		{"for: own, approval: person", "for: own, approval: auto", "approval"},
		{"for: own, approval: person", "for: ours, approval: person", "\"for\""},
		{"rung: verify, reporters: 3}", "rung: verify, reporters: 3, from: yesterday}",
			"RFC 3339"},
		{"rung: verify, reporters: 3}",
			"rung: verify, reporters: 3, from: 2026-02-01, until: 2026-01-01}",
			"after"},
		{"rung: verify, reporters: 3}", "rung: verify, reporters: 3, action: bar_in}",
			"only a bar"},
		{"terms: [24h],", "terms: [24h], action: bar_in,", "without a person"},
		{"rung: observe, reporters: 1}", "rung: observe, reporters: 1, service: sms}",
			"for everybody"},
		{"both_after: 30d ", "both_after: 10d ", "longer"},
		{"yes_share: 0.60", "yes_share: 0.2", "yes_share"},
		{"every: 24h", "every: 24h\n    often: 3", "often"},
		{"good_time: 180d", "good_time: 1h", "good_time"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct complaints c;

		complaints_init(&c);
		CHECK_CASE("%s -> %s", cases[i].from, cases[i].to);
		CHECK_INT(load_changed(cases[i].from, cases[i].to, &c), RC_INVALID);
		CHECK(c.count > 0);
		CHECK_HAS(c.text.ptr, cases[i].says);
		CHECK_HAS(c.text.ptr, "policy.yaml:");
		complaints_done(&c);
	}
}

static void test_every_error_at_once(void)
{
	OWN(policy_free) struct policy *p = NULL;
	struct complaints c;
	struct err e;
	char path[CHECK_PATH * 2];

	complaints_init(&c);
	check_file(dir, "policy.yaml", SLICE("policy: x\nwindow: 0s\ntext: {scam_at: 2}\nodd: 1\n"),
		path);
	CHECK_RC(policy_load(path, &c, &p, &e), RC_INVALID, &e);
	CHECK(p == NULL);
	CHECK_HAS(c.text.ptr, "policy.yaml:2:");
	CHECK_HAS(c.text.ptr, "policy.yaml:3:");
	CHECK_HAS(c.text.ptr, "policy.yaml:4:");
	CHECK(c.count > 8); /* and the maps that are missing */
	CHECK_HAS(e.text, "policy.yaml: ");
	CHECK_HAS(e.text, " errors");
	(void)unlink(path);
	complaints_done(&c);
	complaints_init(&c);
	CHECK_RC(policy_load("/nonexistent/policy.yaml", &c, &p, &e), RC_NONE, &e);
	complaints_done(&c);
}

int main(void)
{
	check_dir(dir);
	RUN(test_shipped);
	RUN(test_refused);
	RUN(test_every_error_at_once);
	(void)rmdir(dir);
	return check_done();
}
