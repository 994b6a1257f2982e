/* khien VERB: finds the verb and hands over. */
#include "app/app.h"

#include <stdio.h>

static const struct verb verbs[] = {
	{"run", "-c FILE [--role ingest,keeper,api]", "the engine; all roles by default", verb_run},
	{"check", "-c FILE [--reference]",
		"configuration, packs, policy, number plan: every error with file and line",
		verb_check},
	{"migrate", "-c FILE",
		"brings the schema up to date; twice, at once and interrupted are all safe",
		verb_migrate},
	{"activate", "-c FILE", "makes the configured mode, policy and rule packs the active ones",
		verb_activate},
	{"keys", "--dir DIR", "creates the installation's secrets", verb_keys},
	{"token", "create|list|revoke -c FILE …", "API tokens", verb_token},
	{"partition", "list|resume -c FILE [TOPIC PARTITION [--from OFFSET]]",
		"the partitions and what stopped them; lets a stopped one go on", verb_partition},
	{"quarantine", "list|show|retry|drop -c FILE …",
		"records that were not understood: what they are, once more, or given up",
		verb_quarantine},
	{"kill-switch", "on|off|status -c FILE",
		"stops automatic additions to the list everywhere; what is listed stays",
		verb_kill_switch},
	{"lift", "-c FILE --sender S|--case C|--rule SYMBOL|… [--apply --why REASON]",
		"undoes blocks: of a sender, case, rule, pack, policy, releases or span of time;\n"
		"--service, --pack, --policy, --since, --until, --release N[-M]; shows without "
		"--apply",
		verb_lift},
	{"order", "import|preview|approve|release|revoke|receipt|list -c FILE …",
		"authority orders: taken in, answered by a receipt per number", verb_order},
	{"send", "-c FILE [FILE…]", "puts report files onto the topic", verb_send},
	{"follow", "[-c FILE] --url URL --key FILE …",
		"keeps a file (--out) or a socket (--socket) of this machine equal to the list;\n"
		"also --consumer NAME, --service sms|voice, --ca FILE, --wait S, --stale S, --once",
		verb_follow},
	{"classify", "[--rules DIR] [--model FILE] [--explain]",
		"JSON lines in, one verdict line out each", verb_classify},
	{"train", "--out FILE [--rules DIR] [--version V] [--with TSV] TSV…",
		"labelled texts in, one model file out, and a cross-validated report", verb_train},
	{"eval", "[--rules DIR] [--model FILE | --folds K | --by-source] [--with TSV] TSV…",
		"how well rules and model judge labelled texts", verb_eval},
	{"broker", "--topics NAME:N,… --file F", "the embedded broker, for demonstrations only",
		verb_broker},
};

static void usage(FILE *to)
{
	fprintf(to, "usage: khien VERB [options]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(to, "  %-10s %-49s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	fprintf(to,
		"\nkhien VERB --help tells more. Exit: 0 done, 1 refused or failed, 2 wrong "
		"usage.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("khien %s\n", KHIEN_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		for (int a = 2; a < argc; a++)
			if (strcmp(argv[a], "--help") == 0) {
				printf("usage: khien %s %s\n%s\n", verbs[i].name, verbs[i].args,
					verbs[i].help);
				return EXIT_DONE;
			}
		return verbs[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "khien: no verb '%s'\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
