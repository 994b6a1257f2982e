/* Private to cases: what orders.c and order_people.c share. */
#pragma once

#include "cases/cases.h"

/* SQL text: true when the case `k` is an open one that the machine's and the authority's decisions join. */
#define CASE_OPEN(k) k ".state <> 'closed' AND " k ".kind = 'reports'"

/* Requests to the HLR or BSS for the targets of order $1 that `which` (over order_target t) names; $2 now. Only own subscribers have one, and only
 * what stops their own traffic. */
#define ASK_PROVISIONING(which)                                                                    \
	"INSERT INTO provisioning (request_id, case_id, sender, service, action, origin, "         \
	"asked_at)"                                                                                \
	" SELECT 'order:' || t.document_no || '/' || t.line || '/' || t.service, t.case_id, "      \
	"t.sender,"                                                                                \
	" t.service, d.action, 'order:' || t.document_no, $2 FROM order_target t"                  \
	" JOIN order_doc d USING (document_no) JOIN sender s ON s.id = t.sender"                   \
	" WHERE t.document_no = $1 AND " which " AND s.attribution = 'own' AND s.scope = 'number'" \
	" AND d.action IN ('bar_out', 'bar_both', 'recall') ON CONFLICT (request_id) DO NOTHING"
/* Those of order $1 that were not told yet go out, a thousand in a row of the outbox. */
#define TELL_PROVISIONING                                                                          \
	"WITH untold AS (UPDATE provisioning p SET told = true WHERE p.origin = 'order:' || $1 "   \
	"AND NOT p.told"                                                                           \
	" RETURNING p.*), line AS (SELECT (row_number() OVER (ORDER BY u.request_id) - 1) / 1000 " \
	"AS g,"                                                                                    \
	" u.request_id || E'\\t' || json_build_object('request_id', u.request_id, 'seq', 1, "      \
	"'msisdn', '+' || s.value,"                                                                \
	" 'action', u.action, 'service', CASE u.service WHEN 0 THEN 'sms' ELSE 'voice' END, "      \
	"'due', d.deadline,"                                                                       \
	" 'basis', d.legal_basis, 'case', u.case_id) || E'\\n' AS text FROM untold u"              \
	" JOIN sender s ON s.id = u.sender JOIN order_doc d ON d.document_no = $1)"                \
	" INSERT INTO outbox (topic, messages, body)"                                              \
	" SELECT 'provisioning', count(*), string_agg(text, '') FROM line GROUP BY g ORDER BY g"

/* Inside the caller's transaction: carries the order out, with its audit entry. */
MUST_USE enum rc order_apply(struct pg *c, const char *document_no, const char *actor,
	int64_t now_us, struct arena *a, struct order_done *out, struct err *e);
/* The same: ends an order in force. RC_CONFLICT: it is not in force. Its senders are locked by the caller. */
MUST_USE enum rc order_end(struct pg *c, const char *document_no, const char *by, int64_t now_us,
	struct arena *a, int64_t *ended, struct err *e);
