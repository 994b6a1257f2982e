/* app: one file per verb: options, wiring, shutdown. What several verbs need stands here. */
#pragma once

#include "api/api.h"
#include "engine/engine.h"

#define EXIT_DONE 0
#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define APP_FILES 32 /* given with one option */

struct verb {
	const char *name, *help, *usage;
	int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

int verb_activate(int argc, char **argv);
int verb_backup(int argc, char **argv);
int verb_audit(int argc, char **argv);
int verb_broker(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_classify(int argc, char **argv);
int verb_drill(int argc, char **argv);
int verb_eval(int argc, char **argv);
int verb_evidence(int argc, char **argv);
int verb_follow(int argc, char **argv);
int verb_held(int argc, char **argv);
int verb_keys(int argc, char **argv);
int verb_kill_switch(int argc, char **argv);
int verb_trust(int argc, char **argv);
int verb_lift(int argc, char **argv);
int verb_migrate(int argc, char **argv);
int verb_order(int argc, char **argv);
int verb_partition(int argc, char **argv);
int verb_protected(int argc, char **argv);
int verb_quarantine(int argc, char **argv);
int verb_registration(int argc, char **argv);
int verb_replay(int argc, char **argv);
int verb_restore(int argc, char **argv);
int verb_retention(int argc, char **argv);
int verb_report(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_send(int argc, char **argv);
int verb_subject(int argc, char **argv);
int verb_token(int argc, char **argv);
int verb_train(int argc, char **argv);
int verb_user(int argc, char **argv);

/* Every configuration table of the program, NULL-ended after `n`. */
extern const struct conf_table *const app_tables[];
extern const size_t app_tables_count;

/* Loads the configuration; every error goes to stderr with file and line. RC_INVALID: exit with EXIT_USAGE. */
MUST_USE enum rc app_conf(const char *path, struct conf **out);
/* What most verbs need beside the configuration; each is opened only when its pointer is not NULL. Complains on stderr. */
MUST_USE enum rc app_open(const struct conf *c, struct keys **keys, struct plan **plan,
	struct pg **pg, const char *name);
/* "person:NAME" of who called us, for the audit and for what needs two people: the real user; of root, who became root. */
void app_actor(char out[80]);
/* Rule packs of a folder, NULL: the shipped ones. Complains on stderr. */
MUST_USE enum rc app_pack(const char *rules, struct pack **out, struct err *e);
/* A model file; NULL: the shipped one, "" or none shipped: *out stays as it is. */
MUST_USE enum rc app_model(const char *path, struct model **out, struct err *e);
/* Labelled texts of files, each list NULL-ended; `always` (may be NULL) are learnt from and never tested. Complains on stderr. */
MUST_USE enum rc app_texts(
	const struct pack *p, char **files, char **always, struct texts **out, struct err *e);
/* Complains "khien VERB: …" on stderr and answers EXIT_USAGE. */
int app_usage(const char *verb, const char *fmt, ...) PRINTF(2, 3);
/* The same of what getopt gave last: an option unknown, or known with a value that it cannot have, which is named. */
int app_wrong_option(const char *verb);
/* Tells systemd ("READY=1", …), when it listens; how often it wants to hear WATCHDOG=1, 0: never. */
void app_notify(const char *state);
int64_t app_watchdog_us(void);
/* Folder of the schema's files: of the installation this program is part of, else of the sources it was built from. */
const char *app_sql_dir(void);
const char *app_console_dir(void);
/* Set by SIGTERM and SIGINT once app_signals was called; counts SIGHUPs. */
extern volatile int app_stop, app_hups;
void app_signals(void);
