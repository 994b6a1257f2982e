/* khien VERB: finds the verb and hands over. */
#include "app/app.h"

#include <stdio.h>

static const struct verb verbs[] = {
	{"run", "the engine; all roles by default",
		"khien run -c FILE [--role ingest,keeper,api]\n", verb_run},
	{"check", "configuration, packs, policy, number plan: every error with file and line",
		"khien check -c FILE\n"
		"khien check --reference       every setting with its default\n",
		verb_check},
	{"migrate", "brings the schema up to date; twice, at once and interrupted are all safe",
		"khien migrate -c FILE\n", verb_migrate},
	{"activate", "makes the configured mode, policy and rule packs the active ones",
		"khien activate -c FILE\n", verb_activate},
	{"keys", "creates the installation's secrets; a new wrap key",
		"khien keys --dir DIR\n"
		"khien keys rotate -c FILE     a new wrap key beside the old one\n"
		"khien keys rewrap -c FILE     everything sealed again, after engines restarted\n"
		"khien keys forget -c FILE     the old one goes, when nothing needs it\n",
		verb_keys},
	{"audit", "walks the audit chain and holds it to the heads that were kept outside",
		"khien audit verify -c FILE [--heads FILE]\n"
		"FILE has lines of audit.heads_file (its default) or messages of the topic "
		"audit-heads;\n--heads none checks without\n",
		verb_audit},
	{"evidence", "a case as one signed archive",
		"khien evidence -c FILE --case ID > FILE.tar\n"
		"khien evidence -c FILE --public       the key that verifies it\n",
		verb_evidence},
	{"report", "the weekly or monthly report, in Vietnamese",
		"khien report week|month -c FILE [--of DAY] [--html]\n"
		"of the week or month with DAY (2026-09-15), else the last one that is over\n",
		verb_report},
	{"token", "API tokens: a new one is printed once",
		"khien token create -c FILE --name NAME --role ROLE [--ttl 24h] [--loopback]\n"
		"khien token list   -c FILE\n"
		"khien token revoke -c FILE --name NAME\n"
		"ROLE is viewer, analyst, supervisor, care, liaison, auditor, admin or feed;\n"
		"--ttl is 90s, 15m, 24h or 30d; --loopback: only from this machine\n",
		verb_token},
	{"user", "people who log in to the console",
		"khien user create   -c FILE --name NAME --role ROLE [--totp]\n"
		"khien user list     -c FILE\n"
		"khien user disable  -c FILE --name NAME\n"
		"khien user enable   -c FILE --name NAME\n"
		"khien user role     -c FILE --name NAME --role ROLE\n"
		"khien user password -c FILE --name NAME\n"
		"khien user totp     -c FILE --name NAME [--off]\n"
		"A password is asked for, or is the first line of standard input. ROLE is viewer, "
		"analyst,\nsupervisor, care, liaison, auditor or admin; totp prints a new secret "
		"for one-time codes once\n",
		verb_user},
	{"partition", "the partitions and what stopped them; lets a stopped one go on",
		"khien partition list   -c FILE [--all]\n"
		"khien partition resume -c FILE [--from OFFSET] TOPIC PARTITION\n"
		"--all: of every source, not of the configured one alone\n",
		verb_partition},
	{"quarantine", "records that were not understood: what they are, once more, or given up",
		"khien quarantine list  -c FILE [--state open|retried|dropped|all] [--reason R]\n"
		"                       [--topic T] [--limit N]\n"
		"khien quarantine show  -c FILE --why TEXT TOPIC PARTITION OFFSET\n"
		"khien quarantine retry -c FILE --why TEXT [--file FILE] TOPIC PARTITION OFFSET\n"
		"khien quarantine drop  -c FILE --why TEXT TOPIC PARTITION OFFSET\n"
		"list shows the open ones, at most 1000; --file: these bytes in place of the "
		"record's;\n"
		"--source NAME when several sources have that record\n",
		verb_quarantine},
	{"trust",
		"weighs reporters by what became of the cases that they reported; the keeper does "
		"it every night",
		"khien trust run -c FILE\n", verb_trust},
	{"kill-switch", "stops automatic additions to the list everywhere; what is listed stays",
		"khien kill-switch on|off|status -c FILE\n", verb_kill_switch},
	{"lift", "undoes blocks; shows them without --apply",
		"khien lift -c FILE WHAT… [--apply --why REASON]\n"
		"WHAT, all of which must hold: --sender S, --case C, --rule SYMBOL, --pack "
		"VERSION,\n"
		"--policy VERSION, --model VERSION, --since T, --until T (RFC 3339), --release "
		"N[-M],\n"
		"--service sms|voice\n",
		verb_lift},
	{"order", "authority orders: taken in, answered by a receipt per number",
		"khien order preview -c FILE ORDER\n"
		"khien order import  -c FILE [--accept-valid] ORDER\n"
		"khien order approve -c FILE NO\n"
		"khien order release -c FILE NO LINE\n"
		"khien order revoke  -c FILE NO --by LATER_NO\n"
		"khien order receipt -c FILE NO [--columns TITLE=NAME,…]\n"
		"khien order list    -c FILE\n"
		"ORDER is a file, NO an order's document_no\n",
		verb_order},
	{"held", "what waits because of a cap, of review mode or for a person",
		"khien held list -c FILE [--reason R]\n"
		"khien held release -c FILE --why REASON [--case C] [--reason R]\n"
		"reasons: cap_hour cap_day review_mode needs_person\n",
		verb_held},
	{"protected", "senders that automatic blocks never touch, by two people",
		"khien protected add -c FILE --scope number|short|name|range --value V --owner O "
		"--reason R\n"
		"                    [--service sms|voice] [--until T]\n"
		"khien protected import -c FILE CSV\n"
		"khien protected remove -c FILE ID\n"
		"khien protected list -c FILE\n"
		"khien protected reports -c FILE   open cases about protected senders\n",
		verb_protected},
	{"registration", "the ladder for wrong subscriber data: notices, then bars",
		"khien registration open -c FILE --why REASON NUMBER\n"
		"khien registration end -c FILE --why REASON CASE\n"
		"khien registration bar-both -c FILE CASE   a person's word for the two-way bar\n"
		"khien registration list -c FILE\n",
		verb_registration},
	{"replay", "what another policy, pack or model would have decided; changes nothing",
		"khien replay -c FILE --from T --to T [--policy F] [--rules D] [--model F]\n"
		"a JSON object a line per difference, then a summary\n",
		verb_replay},
	{"backup", "the database into every repository, and the state beside it; 3-2-1",
		"khien backup        -c FILE [--type full|diff|incr]\n"
		"khien backup list   -c FILE [--offline DIR]\n"
		"khien backup verify -c FILE [--offline DIR]\n"
		"khien backup export -c FILE --to DIR [--repo N]\n"
		"khien backup key FILE\n"
		"verify reads everything back; export makes an offline copy\n",
		verb_backup},
	{"restore", "an empty machine becomes the installation again",
		"khien restore -c FILE       --pgdata DIR [--repo N] [--root DIR]\n"
		"khien restore --offline DIR --pgdata DIR --key FILE [--root DIR]\n"
		"              [--user U] [--pg-bin DIR] [--stale-ok] [--erasures FILE | "
		"--no-erasures]\n"
		"--pgdata must be empty; --root goes before the path of every other file\n",
		verb_restore},
	{"drill", "a whole restore on a scratch stand, timed and checked",
		"khien drill -c FILE [--offline DIR] [--dir DIR] [--report FILE]\n"
		"khien drill --offline DIR --key FILE [--erasures FILE | --no-erasures] …\n"
		"options as of restore; --dir: where the scratch stand lies meanwhile\n",
		verb_drill},
	{"subject", "a person's rights: shown, erased, answered in time",
		"khien subject export -c FILE --why TEXT NUMBER\n"
		"khien subject erase  -c FILE --why TEXT NUMBER\n"
		"khien subject ask    -c FILE [--kind export|erase|object] [--asked T] NUMBER\n"
		"khien subject list   -c FILE\n",
		verb_subject},
	{"retention", "forgets what is older than its term",
		"khien retention run -c FILE [--dry-run]\n", verb_retention},
	{"send", "puts report files onto the topic",
		"khien send -c FILE [--rate N] [--topic T] [--state DIR] [--from-start] [FILE…]\n"
		"standard input without a file; --rate: records a second; --from-start: does not "
		"go on\n"
		"where an earlier send of the file ended\n",
		verb_send},
	{"follow", "keeps a file or a socket of this machine equal to the list",
		"khien follow [-c FILE] --url URL --key FILE [--out FILE] [--socket PATH]\n"
		"             [--consumer NAME] [--service sms|voice|both] [--ca FILE] [--wait S] "
		"[--stale S] [--once]\n"
		"--out or --socket is needed; --once ends when the file is right\n",
		verb_follow},
	{"classify", "JSON lines in, one verdict line out each",
		"khien classify [--rules DIR] [--model FILE] [--explain]\n"
		"a line of input is {\"content\":\"…\"}, best with an \"id\"\n",
		verb_classify},
	{"train", "labelled texts in, one model file out, and a cross-validated report",
		"khien train --out FILE [--rules DIR] [--version V] [--with TSV] [--bits N] "
		"[--cost C] TSV…\n"
		"--with: learnt from and never tested\n",
		verb_train},
	{"eval", "how well rules and model judge labelled texts",
		"khien eval [--rules DIR] [--model FILE | --folds K | --by-source] [--with TSV] "
		"[--each] [--cost C] TSV…\n"
		"--with: learnt from and never tested; --each: a line per text\n",
		verb_eval},
	{"broker", "the embedded broker, for demonstrations only",
		"khien broker --topics NAME:N,… --file FILE\n", verb_broker},
};

static void usage(FILE *to)
{
	fprintf(to, "usage: khien VERB [options]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(to, "  %-12s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to,
		"\nkhien VERB --help names its options. Exit: 0 done, 1 refused or failed, 2 wrong "
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
				printf("khien %s: %s\n\n%s", verbs[i].name, verbs[i].help,
					verbs[i].usage);
				return EXIT_DONE;
			}
		return verbs[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "khien: no verb '%s'\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
