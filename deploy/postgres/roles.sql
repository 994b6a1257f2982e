-- Roles beside the engine's own, which owns the schema. Run once as a superuser in the engine's database after khien migrate, and again after
-- an upgrade: it can be repeated. Passwords and pg_hba.conf are yours.

-- Switches that read the list from PostgreSQL: two views, nothing else.
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'khien_switch') THEN CREATE ROLE khien_switch LOGIN; END IF; END $$;
GRANT SELECT ON blk_htable, blk_exempt_htable TO khien_switch;

-- Statistics and the auditor: everything but who reported, what people wrote, and who may log in.
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'khien_statistics') THEN CREATE ROLE khien_statistics LOGIN; END IF; END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO khien_statistics;
REVOKE ALL ON report, subject, quarantine, token, person, session, login_failure, asker, erasure, subject_request, order_doc, outbox, contact_fact
	FROM khien_statistics;
DO $$
DECLARE part regclass;
BEGIN
	FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'report'::regclass LOOP
		EXECUTE format('REVOKE ALL ON %s FROM khien_statistics', part);
	END LOOP;
END $$;
GRANT SELECT (stored_month, disposition, reason, channel, kind, service, class, received_at, occurred_at, stored_at, verified, sender, case_id,
	weight, merged, matched, origin, duration_s, label, text_score, fingerprint, rules, category) ON report TO khien_statistics;
