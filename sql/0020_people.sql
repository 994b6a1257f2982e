-- What people decide: steps of a case, notes, appeals, proposals that wait for a second person, findings that follow, answers that are replayed.
-- docs/cases.md. Times are parameters here too.

ALTER TABLE case_file
	ADD COLUMN assignee   text NOT NULL DEFAULT '',
	ADD COLUMN reason     text NOT NULL DEFAULT '', -- of the outcome, in a person's words
	ADD COLUMN settled_at timestamptz,         -- when an action, a reasoned no-action or a referral stopped the clock
	ADD COLUMN settled_by text NOT NULL DEFAULT '',
	ADD COLUMN settled_how text CHECK (settled_how IN ('single', 'bulk', 'auto')),
	ADD COLUMN merged_into text COLLATE "C",
	ADD COLUMN reopened   int NOT NULL DEFAULT 0;
CREATE INDEX case_queue ON case_file (due_at, id);
CREATE INDEX case_merged ON case_file (merged_into) WHERE merged_into IS NOT NULL;

-- One row per step that a person or the keeper's clocks made; `version` is the case's after it.
CREATE TABLE case_event (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	case_id    text COLLATE "C" NOT NULL,
	at         timestamptz NOT NULL,
	actor      text NOT NULL,
	event      text NOT NULL,
	from_state text NOT NULL,
	to_state   text NOT NULL,
	version    int NOT NULL,
	reason     text NOT NULL DEFAULT '',
	detail     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX case_event_case ON case_event (case_id, id);
CREATE TABLE case_note (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	case_id text COLLATE "C" NOT NULL,
	at      timestamptz NOT NULL,
	author  text NOT NULL,
	text    text NOT NULL
);
CREATE INDEX case_note_case ON case_note (case_id, id);
CREATE TABLE appeal (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	case_id    text COLLATE "C" NOT NULL,
	opened_at  timestamptz NOT NULL,
	opened_by  text NOT NULL,
	grounds    text NOT NULL,
	automatic  boolean NOT NULL,             -- nobody had confirmed the block: 24 h, else 72 h
	due_at     timestamptz NOT NULL,
	decided_at timestamptz,
	decided_by text,
	decision   text CHECK (decision IN ('granted', 'rejected', 'lapsed')),
	reason     text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX appeal_open ON appeal (case_id) WHERE decided_at IS NULL;
CREATE INDEX appeal_due ON appeal (due_at) WHERE decided_at IS NULL;
CREATE INDEX appeal_case ON appeal (case_id);
-- The first person's decision, until a second one agrees or a day is over.
CREATE TABLE proposal (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	cases      text[] NOT NULL,
	version    int,                          -- of the one case; NULL: of many
	decision   jsonb NOT NULL,
	why        text NOT NULL,                -- why one person is not enough
	asked_by   text NOT NULL,
	asked_at   timestamptz NOT NULL,
	decided_by text,
	decided_at timestamptz,
	agreed     boolean
);
CREATE INDEX proposal_open ON proposal (id) WHERE decided_at IS NULL;
-- What people found of what had been reported: the facts for reporters' trust and for the precision of rules. The newest one of a case counts.
CREATE TABLE finding (
	case_id text COLLATE "C" NOT NULL,
	at      timestamptz NOT NULL,
	was_right boolean NOT NULL,
	cause   text NOT NULL,                   -- uphold, bar, no_action, lift, appeal_grant, …
	actor   text NOT NULL
);
CREATE INDEX finding_case ON finding (case_id, at DESC);
CREATE VIEW finding_now AS SELECT DISTINCT ON (case_id) case_id, at, was_right, cause, actor FROM finding ORDER BY case_id, at DESC;
CREATE VIEW reporter_finding AS
	SELECT DISTINCT r.reporter, f.case_id, f.at, f.was_right FROM finding_now f JOIN case_file k ON k.id = f.case_id
	JOIN report r ON r.sender = k.sender AND r.case_id = k.id WHERE r.disposition = 0;
CREATE VIEW rule_finding AS
	SELECT t.name AS rule, count(*) FILTER (WHERE f.was_right) AS right_cases, count(*) FILTER (WHERE NOT f.was_right) AS wrong_cases
	FROM finding_now f JOIN case_file k ON k.id = f.case_id CROSS JOIN LATERAL (SELECT DISTINCT j->>'name' AS name
		FROM report r CROSS JOIN LATERAL jsonb_array_elements(CASE r.terms WHEN '' THEN '[]' ELSE r.terms END::jsonb) j
		WHERE r.sender = k.sender AND r.case_id = k.id AND r.disposition = 0) t GROUP BY 1;
-- A write that is sent again is answered again, not done again.
CREATE TABLE idempotency (
	token   text COLLATE "C" NOT NULL,
	key     text COLLATE "C" NOT NULL,
	request bytea NOT NULL,                  -- SHA-256 of method, path, If-Match and body
	status  int NOT NULL DEFAULT 0,
	etag    text NOT NULL DEFAULT '',
	body    text NOT NULL DEFAULT '',
	at      timestamptz NOT NULL,
	PRIMARY KEY (token, key)
);
CREATE INDEX idempotency_at ON idempotency (at);
-- What reports hear later: not only that something was reversed.
ALTER TABLE retraction ADD COLUMN status text NOT NULL DEFAULT 'reversed', ADD COLUMN reason text NOT NULL DEFAULT 'lifted',
	ADD COLUMN at timestamptz; -- of the decision: reports that joined later hear nothing

CREATE FUNCTION iso(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT to_char(at AT TIME ZONE INTERVAL '0', 'YYYY-MM-DD"T"HH24:MI:SS') || CASE WHEN extract(microseconds FROM at)::bigint % 1000000 = 0
		THEN '' ELSE to_char(at AT TIME ZONE INTERVAL '0', '.US') END || 'Z'
$$;
CREATE FUNCTION service_word(s smallint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE s WHEN 0 THEN 'sms' ELSE 'voice' END $$;
CREATE FUNCTION class_word(c smallint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE c WHEN 0 THEN 'nuisance' ELSE 'scam' END $$;
-- A number as logs and the audit show it.
CREATE FUNCTION masked(scope text, value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN scope = 'number' AND length(value) > 6 THEN left(value, 4) || repeat('*', length(value) - 6) || right(value, 2) ELSE value END
$$;

-- A case as people see it.
CREATE FUNCTION case_object(k case_file, now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_build_object('id', k.id, 'version', k.version, 'kind', k.kind, 'sender', CASE WHEN s.id = 0 THEN NULL ELSE
		jsonb_build_object('scope', s.scope, 'value', s.value, 'attribution', s.attribution, 'carrier', nullif(s.carrier, '')) END,
		'service', service_word(k.service), 'class', class_word(k.class), 'state', k.state, 'outcome', k.outcome,
		'reason', nullif(k.reason, ''), 'rung', k.rung, 'reports', k.reports, 'assignee', nullif(k.assignee, ''),
		'first_at', iso(k.first_at), 'opened_at', iso(k.opened_at), 'closed_at', iso(k.closed_at), 'due_at', iso(k.due_at),
		'clock', CASE WHEN k.settled_at <= k.due_at THEN 'met' WHEN k.settled_at IS NOT NULL THEN 'late'
			WHEN k.state = 'closed' THEN 'ended' WHEN now >= k.due_at THEN 'overdue' ELSE 'running' END,
		'settled_at', iso(k.settled_at), 'settled_by', nullif(k.settled_by, ''), 'settled_how', k.settled_how,
		'merged_into', k.merged_into, 'reopened', k.reopened)
	FROM sender s WHERE s.id = k.sender
$$;

-- Moves a case that the caller has locked. `how`: a step that stops the clock says by whom; NULL: it runs on.
CREATE FUNCTION case_step(k_id text, now timestamptz, who text, what text, next text, how_closed text, why text, how text, more jsonb)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	was text;
	v int;
BEGIN
	SELECT k.state INTO was FROM case_file k WHERE k.id = k_id FOR NO KEY UPDATE;
	UPDATE case_file k SET state = next, version = k.version + 1,
		outcome = CASE WHEN next = 'closed' THEN how_closed END, closed_at = CASE WHEN next = 'closed' THEN now END,
		reason = CASE WHEN next = 'closed' THEN why ELSE '' END,
		settled_at = CASE WHEN how IS NULL THEN k.settled_at ELSE coalesce(k.settled_at, now) END,
		settled_by = CASE WHEN how IS NOT NULL AND k.settled_at IS NULL THEN who ELSE k.settled_by END,
		settled_how = CASE WHEN how IS NOT NULL AND k.settled_at IS NULL THEN how ELSE k.settled_how END
		WHERE k.id = k_id RETURNING k.version INTO v;
	INSERT INTO case_event (case_id, at, actor, event, from_state, to_state, version, reason, detail)
		VALUES (k_id, now, who, what, was, next, v, why, more);
	RETURN v;
END $$;

-- Ends what machine and people wished for the case's sender and service; orders stay. A floor lets no earlier vote count for automatic actions.
-- Other cases that lived by these wishes close with it. Answers how many wishes ended.
CREATE FUNCTION case_end(k_id text, now timestamptz, who text, what text, how_closed text, why text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	k case_file;
	other text;
	n int;
	others text[];
BEGIN
	SELECT c.* INTO k FROM case_file c WHERE c.id = k_id;
	WITH gone AS (DELETE FROM wish w WHERE w.sender = k.sender AND w.service = k.service AND w.origin NOT LIKE 'order:%' AND k.sender <> 0
		RETURNING w.case_id)
	SELECT count(*), array_agg(DISTINCT g.case_id ORDER BY g.case_id) FILTER (WHERE g.case_id <> k_id) INTO n, others FROM gone g;
	IF n > 0 THEN
		INSERT INTO dirty (sender, service) VALUES (k.sender, k.service);
	END IF;
	UPDATE action x SET state = 'lifted', reason = why WHERE x.sender = k.sender AND x.service = k.service AND k.sender <> 0
		AND x.origin NOT LIKE 'order:%' AND x.state IN ('wanted', 'admitted', 'held');
	INSERT INTO standing AS t (sender, service, score, as_of, terms, votes, floor, rules, policy)
		SELECT k.sender, k.service, 0, NULL, '[]', 0, now, '', '' WHERE k.sender <> 0
		ON CONFLICT (sender, service) DO UPDATE SET score = 0, as_of = NULL, terms = '[]', votes = 0, floor = greatest(t.floor, excluded.floor);
	FOR other IN SELECT c.id FROM case_file c WHERE c.id = ANY(others) AND c.state <> 'closed' AND NOT EXISTS (SELECT FROM wish w
		WHERE w.case_id = c.id AND w.sender = c.sender AND w.service = c.service) ORDER BY c.id FOR NO KEY UPDATE OF c LOOP
		PERFORM case_step(other, now, who, what, 'closed', how_closed, why, NULL, jsonb_build_object('with', k_id));
		INSERT INTO retraction (sender, case_id, at) VALUES (k.sender, other, now);
	END LOOP;
	RETURN n;
END $$;

-- Wishes on a person's word, in place of what that person's word was before; the keeper admits it at its next release.
CREATE FUNCTION case_enforce(k_id text, now timestamptz, who text, act text, detail_ text, ends timestamptz, basis_ text, why text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	k case_file;
	level smallint := CASE act WHEN 'bar' THEN 3 WHEN 'throttle' THEN 2 ELSE 1 END;
BEGIN
	SELECT c.* INTO k FROM case_file c WHERE c.id = k_id;
	UPDATE action a SET state = 'superseded', reason = 'a later decision' WHERE a.case_id = k_id AND a.origin = 'person:' || k_id
		AND a.state IN ('wanted', 'admitted', 'held');
	INSERT INTO wish AS w (sender, service, origin, action, detail, case_id, until, basis, rung, score, first_at, decided_at, state, reason)
		VALUES (k.sender, k.service, 'person:' || k_id, act, detail_, k_id, ends, basis_, level, 1, k.first_at, now, 'wanted', '')
		ON CONFLICT (sender, service, origin) DO UPDATE SET action = excluded.action, detail = excluded.detail, until = excluded.until,
		basis = excluded.basis, rung = excluded.rung, decided_at = excluded.decided_at, state = 'wanted', reason = '';
	INSERT INTO action (case_id, sender, service, class, origin, rung, action, decided_at, until, state, reason, basis, recorded_at)
		VALUES (k_id, k.sender, k.service, k.class, 'person:' || k_id, level, detail_, now, ends, 'wanted', why, basis_, now);
	INSERT INTO dirty (sender, service) VALUES (k.sender, k.service);
END $$;

-- Another carrier, or an authority, is told of the case.
CREATE FUNCTION case_refer(k_id text, now timestamptz, toward text, why text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	called text := 'r' || substr(case_id(), 2);
BEGIN
	INSERT INTO outbox (topic, messages, body) SELECT 'referrals', 1, CASE s.scope WHEN 'number' THEN '+' ELSE '' END || s.value || E'\t' ||
		json_build_object('referral_id', called, 'seq', (SELECT 1 + count(*) FROM case_event e JOIN case_file o ON o.id = e.case_id
			WHERE o.sender = k.sender AND e.event = 'refer'), 'case', k.id, 'sender', CASE s.scope WHEN 'number' THEN '+' ELSE '' END || s.value,
		'scope', s.scope, 'service', service_word(k.service), 'class', class_word(k.class), 'to', toward, 'carrier', nullif(s.carrier, ''),
		'reports', k.reports, 'first_at', iso(k.first_at), 'at', iso(now), 'reason', why) || E'\n'
		FROM case_file k JOIN sender s ON s.id = k.sender WHERE k.id = k_id AND k.sender <> 0;
	RETURN called;
END $$;

-- The keeper's clocks: appeals that nobody decided in time are granted; quiet nuisance cases close. Answers lines for the audit, and NULL when
-- there was nothing to do.
CREATE FUNCTION cases_tend(now timestamptz, quiet interval, most int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p record;
	lines text := '';
	n int;
BEGIN
	FOR p IN SELECT a.id, a.case_id, k.sender, k.service FROM appeal a JOIN case_file k ON k.id = a.case_id JOIN sender s ON s.id = k.sender
		WHERE a.decided_at IS NULL AND a.due_at <= now AND k.state = 'appealed' ORDER BY s.scope COLLATE "C", s.value, k.id LIMIT most
		FOR NO KEY UPDATE OF s, a SKIP LOCKED LOOP
		PERFORM FROM case_file k WHERE k.id = p.case_id AND k.state = 'appealed' FOR NO KEY UPDATE;
		CONTINUE WHEN NOT FOUND;
		UPDATE appeal a SET decided_at = now, decided_by = 'keeper', decision = 'lapsed', reason = 'nobody decided in time' WHERE a.id = p.id;
		n := case_end(p.case_id, now, 'keeper', 'appeal_lapse', 'lifted', 'the appeal was not decided in time');
		PERFORM case_step(p.case_id, now, 'keeper', 'appeal_lapse', 'closed', 'lifted', 'the appeal was not decided in time', 'auto', '{}');
		INSERT INTO retraction (sender, case_id, at) VALUES (p.sender, p.case_id, now);
		lines := lines || format(E'appeal.lapsed %s wishes=%s\n', p.case_id, n);
	END LOOP;
	IF quiet IS NULL THEN
		RETURN nullif(lines, '');
	END IF;
	DELETE FROM idempotency i WHERE i.at < now - interval '1 day';
	FOR p IN SELECT k.id, k.sender FROM case_file k JOIN sender s ON s.id = k.sender WHERE k.class = 0 AND k.kind = 'reports'
		AND k.state IN ('open', 'verifying') AND k.due_at <= now
		AND NOT EXISTS (SELECT FROM report r WHERE r.sender = k.sender AND r.case_id = k.id AND r.received_at > now - quiet)
		AND NOT EXISTS (SELECT FROM wish w WHERE w.sender = k.sender AND w.service = k.service AND w.case_id = k.id)
		ORDER BY k.due_at, k.id LIMIT most FOR NO KEY UPDATE OF k SKIP LOCKED LOOP
		PERFORM case_step(p.id, now, 'keeper', 'quiet', 'closed', 'no_action', 'no further report within the quiet time', 'auto', '{}');
		INSERT INTO retraction (sender, case_id, status, reason, at) VALUES (p.sender, p.id, 'no_action', 'quiet', now);
		lines := lines || format(E'case.quiet %s\n', p.id);
	END LOOP;
	RETURN nullif(lines, '');
END $$;
-- Text as a search compares it: small letters without Vietnamese diacritics; bytes that are no UTF-8 are nothing.
CREATE FUNCTION fold_plain(content bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	t text;
BEGIN
	BEGIN
		t := convert_from(content, 'UTF8');
	EXCEPTION WHEN OTHERS THEN
		t := encode(content, 'escape');
	END;
	RETURN translate(regexp_replace(normalize(lower(t), NFD), '[' || U&'\0300' || '-' || U&'\036F' || ']', '', 'g'), 'đ', 'd');
END $$;
