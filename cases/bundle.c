/* A case as one archive that stands on its own: whoever gets it needs tar, sha256sum and openssl to see that nothing in it was changed. Leaves out
 * who may have it. */
#include <stdio.h>
#include <time.h>

#include "cases/rows.h"

#define PART_CAP (256UL << 20)

/* $1 the case, $2 now. Each one becomes a file. */
static const struct bundle_part {
	const char *name, *sql;
} bundle_parts[] = {
	{"case.json", "SELECT jsonb_pretty(case_object(k, $2)) FROM case_file k WHERE k.id = $1"},
	{"reports.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(jsonb_build_object('report_id', "
		"r.report_id,"
		" 'case', r.case_id, 'received_at', iso(r.received_at), 'occurred_at',"
		" iso(r.occurred_at), 'stored_at', iso(r.stored_at), 'person', dense.n, 'verified',"
		" r.verified, 'weight', r.weight, 'contact', (ARRAY['unchecked', 'yes', 'no'])[1 +"
		" r.matched], 'duration_s', r.duration_s, 'category', r.category, 'text_score',"
		" r.text_score, 'terms', CASE r.terms WHEN '' THEN '[]' ELSE r.terms END::jsonb, "
		"'rules',"
		" r.rules, 'content_hex', encode(r.content, 'hex')) ORDER BY r.received_at, "
		"r.id_hash)),"
		" '[]') FROM case_file k JOIN report r ON r.sender = k.sender AND r.case_id = k.id"
		" JOIN (SELECT i.reporter, row_number() OVER (ORDER BY min(i.received_at), "
		"i.reporter)"
		" AS n FROM case_file m JOIN report i ON i.sender = m.sender AND i.case_id = m.id "
		"WHERE"
		" m.id = $1 OR m.merged_into = $1 GROUP BY i.reporter) dense ON dense.reporter ="
		" r.reporter WHERE (k.id = $1 OR k.merged_into = $1) AND r.disposition = 0"
		" AND $2::timestamptz IS NOT NULL"},
	{"actions.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(to_jsonb(a) ORDER BY a.decided_at, a.id)), "
		"'[]')"
		" FROM action a WHERE a.case_id = $1 AND $2::timestamptz IS NOT NULL"},
	{"steps.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(to_jsonb(v) ORDER BY v.id)), '[]')"
		" FROM case_event v WHERE v.case_id = $1 AND $2::timestamptz IS NOT NULL"},
	{"notes.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(to_jsonb(n) ORDER BY n.id)), '[]')"
		" FROM case_note n WHERE n.case_id = $1 AND $2::timestamptz IS NOT NULL"},
	{"appeals.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(to_jsonb(p) ORDER BY p.id)), '[]')"
		" FROM appeal p WHERE p.case_id = $1 AND $2::timestamptz IS NOT NULL"},
	{"score.json",
		"SELECT coalesce((SELECT jsonb_pretty(to_jsonb(t) || jsonb_build_object('terms',"
		" t.terms::jsonb)) FROM standing t WHERE t.sender = k.sender AND t.service = "
		"k.service),"
		" 'null') FROM case_file k WHERE k.id = $1 AND $2::timestamptz IS NOT NULL"},
	{"acknowledgements.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(jsonb_build_object('release', c.release, "
		"'op',"
		" c.op, 'action', c.action, 'until', iso(c.until), 'basis', c.basis, 'released_at',"
		" iso(l.at), 'list', l.list, 'digest', encode(l.digest, 'hex'), 'proofs',"
		" (SELECT coalesce(jsonb_agg(jsonb_build_object('consumer', p.consumer, 'at', "
		"iso(p.at),"
		" 'release', p.release) ORDER BY p.at, p.consumer), '[]') FROM proof p WHERE "
		"p.list ="
		" l.list AND p.release >= c.release)) ORDER BY c.release, c.ord)), '[]') FROM "
		"change c"
		" JOIN release l ON l.n = c.release WHERE c.case_id = $1 AND $2::timestamptz IS "
		"NOT NULL"},
	{"versions.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(jsonb_build_object('kind', f.kind, "
		"'version',"
		" f.version, 'sha256', encode(f.hash, 'hex'), 'stored_at', iso(f.stored_at)) ORDER "
		"BY"
		" f.kind, f.version)), '[]') FROM artifact f WHERE f.version IN (SELECT a.policy "
		"FROM"
		" action a WHERE a.case_id = $1 UNION SELECT split_part(a.rules, '/', 1) FROM "
		"action a"
		" WHERE a.case_id = $1 UNION SELECT split_part(a.rules, '/', 2) FROM action a WHERE"
		" a.case_id = $1) AND $2::timestamptz IS NOT NULL"},
	{"audit.json",
		"SELECT coalesce(jsonb_pretty(jsonb_agg(jsonb_build_object('id', u.id, 'at', "
		"iso(u.at),"
		" 'actor', u.actor, 'what', u.what, 'lines', (SELECT jsonb_agg(x.line) FROM"
		" unnest(string_to_array(u.lines, E'\\n')) x(line) WHERE x.line LIKE '%' || $1 || "
		"'%'),"
		" 'link', l.seq, 'hash', encode(l.hash, 'hex')) ORDER BY u.id)), '[]') FROM audit "
		"u LEFT"
		" JOIN audit_chain l ON l.id = u.id WHERE u.lines LIKE '%' || $1 || '%'"
		" AND u.at >= (SELECT k.opened_at - interval '1 hour' FROM case_file k WHERE k.id "
		"= $1)"
		" AND $2::timestamptz IS NOT NULL"},
};

/* A ustar header: POSIX.1-1988, "Tar Interchange Format"; the checksum counts its own field as blanks. */
static void tar_file(
	struct buf *out, const char *folder, const char *name, struct slice text, int64_t now_us)
{
	char h[512] = {0};
	static const char zeros[512];
	unsigned sum = 0;

	(void)snprintf(h, 100, "%s/%s", folder, name);
	(void)snprintf(h + 100, 8, "%07o", 0644);
	(void)snprintf(h + 108, 8, "%07o", 0);
	(void)snprintf(h + 116, 8, "%07o", 0);
	(void)snprintf(h + 124, 12, "%011zo", text.len);
	(void)snprintf(h + 136, 12, "%011llo", (unsigned long long)(now_us / US_PER_S));
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
	buf_add(out, slice_of(h, sizeof(h)));
	buf_add(out, text);
	if (text.len % 512 != 0)
		buf_add(out, slice_of(zeros, 512 - text.len % 512));
}

static void manifest_line(struct buf *manifest, const char *name, struct slice text)
{
	uint8_t sum[SHA256_LEN];

	sha256(text, sum);
	buf_hex(manifest, sum, sizeof(sum));
	buf_fmt(manifest, "  %s\n", name);
}

static enum rc gather_parts(struct pg *c, const char *id, int64_t now_us, struct buf *manifest,
	struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 14);
	enum rc rc = a != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_text(slice_str(id), a), pg_p_time(now_us, a)};

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(bundle_parts); i++) {
		BUF_OWN struct buf text;

		buf_init(&text, PART_CAP);
		rc = read_value(c, bundle_parts[i].sql, p, ARRAY_LEN(p), &text, e);
		buf_byte(&text, '\n');
		if (rc != RC_OK)
			continue;
		tar_file(out, id, bundle_parts[i].name, buf_slice(&text), now_us);
		manifest_line(manifest, bundle_parts[i].name, buf_slice(&text));
	}
	return rc;
}

enum rc case_bundle(struct pg *c, const struct keys *k, const char *id, int64_t now_us,
	struct buf *out, struct err *e)
{
	static const char zeros[1024];
	uint8_t signature[SIGN_LEN];
	char pem[SIGN_PEM];
	BUF_OWN struct buf manifest;

	buf_init(&manifest, 64 * 1024);
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc == RC_OK)
		rc = gather_parts(c, id, now_us, &manifest, out, e);
	pg_rollback(c);
	if (rc != RC_OK)
		return rc;
	keys_sign(k, buf_slice(&manifest), signature);
	keys_sign_public(k, pem);
	tar_file(out, id, "MANIFEST.sha256", buf_slice(&manifest), now_us);
	tar_file(out, id, "MANIFEST.sig", slice_of((const char *)signature, SIGN_LEN), now_us);
	tar_file(out, id, "signer.pem", slice_str(pem), now_us);
	buf_add(out, slice_of(zeros, sizeof(zeros)));
	return buf_fits(out, e);
}
