/* Every bound of the program in one place. Bytes unless the name says otherwise. */
#pragma once

#define BOUND_RECORD \
	(64 * 1024) /* a Kafka record that is looked into; larger ones are quarantined, cut */
#define BOUND_CONTENT 4096   /* what of a message is scanned */
#define BOUND_SENDER_RAW 256 /* of what was written as a sender that was understood */
#define BOUND_WORD 128       /* a report's category */
#define BOUND_REPORT_ID 128  /* printable ASCII */
#define BOUND_FUTURE_S \
	(24 * 3600) /* how far received_at may lie after the timestamp of its Kafka record */
#define BOUND_JSON_DEPTH 32
#define BOUND_QUARANTINE_KEEP (64 * 1024) /* bytes of a quarantined record that are kept */
#define BOUND_BATCH_RECORDS 5000
#define BOUND_BATCH_BYTES (16 * 1024 * 1024)
#define BOUND_VOTES_PER_SENDER \
	5000 /* that score and ladder look at, per sender and service; of more than that the newest of each kind: */
#define BOUND_VOTES_MATCHED 2000  /* verified, the contact is in the records */
#define BOUND_VOTES_VERIFIED 2000 /* verified */
#define BOUND_VOTES_FORGED 500    /* the records deny the contact */
#define BOUND_VOTES_OTHER 500     /* none of this: anybody can make any number of them */
#define BOUND_TERMS 32            /* named terms of one verdict */
#define BOUND_SHADOWS 16          /* rules on trial that one verdict names */
#define BOUND_EVIDENCE 16         /* links, numbers, accounts and handles of one text */
#define BOUND_RULES 10000
#define BOUND_CONFIG_FILE (4 * 1024 * 1024)
#define BOUND_PLAN_FILE (4 * 1024 * 1024)
#define BOUND_PORTED_FILE (1024 * 1024 * 1024) /* some 50 million ported numbers */
#define BOUND_ORDER_ITEMS 100000               /* of one authority order */
#define BOUND_ORDER_FILE (16 * 1024 * 1024)
#define BOUND_LOOKUP_BATCH 10000
#define BOUND_HTTP_BODY (1024 * 1024)
#define BOUND_HTTP_BODIES (128 * 1024 * 1024) /* of all requests that are being received */
#define BOUND_ANSWERS (32 * 1024 * 1024)      /* of the answers that many ask for, all together */
#define BOUND_PATH_PART 512                   /* a decoded {…} of a path */
#define BOUND_TOKENS 10000  /* kept in memory; the ledger is asked for the others */
#define BOUND_CONSUMERS 300 /* names that follow the list: each has three cells of a metric */
#define BOUND_CONSUMERS_PER_TOKEN 64
#define BOUND_CHANGES_PER_ANSWER 10000
#define BOUND_PULL_CHANGES \
	300000 /* that a client without a position of its own is told one by one */
#define BOUND_CHANGES_BYTES \
	(32 * 1024 * 1024) /* of one answer: a larger release is fetched as a snapshot */
