-- What the engine asks of others to carry out a decision, and what came back: the HLR or BSS (provisioning), subscribers (notices), recipients
-- (polls). docs/executors.md.

-- An action is executed only when its answer is back: the HLR's, or a consumer's confirmed acknowledgement of the list with it.
ALTER TABLE action ADD COLUMN executed_at timestamptz, ADD COLUMN executed_by text;
CREATE INDEX action_unexecuted ON action (sender, service) WHERE state = 'admitted' AND executed_at IS NULL;
CREATE INDEX provisioning_sender ON provisioning (sender, service, seq);
CREATE INDEX provisioning_case ON provisioning (case_id);
CREATE INDEX wish_strong ON wish (sender) WHERE detail IN ('bar_both', 'recall') AND state = 'admitted' AND origin NOT LIKE 'order:%';
-- How far into the releases a keeper's chore has come.
CREATE TABLE chore_at (chore text PRIMARY KEY, release bigint NOT NULL);

-- Asks the HLR or BSS for what the list says of own subscribers, whoever wished for it, and takes it back when nothing wishes for it any more. What
-- orders have asked for themselves is asked for already.
CREATE FUNCTION provision(now timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	prev bigint := coalesce((SELECT c.release FROM chore_at c WHERE c.chore = 'provision'), 0);
	head bigint := coalesce((SELECT h.release FROM list_head h), 0);
	asked int;
	senders bigint[];
	services smallint[];
BEGIN
	-- a stronger wish may leave the list as it is
	SELECT array_agg(k.id), array_agg(k.service) INTO senders, services FROM (SELECT s.id, c.service FROM change c
		JOIN sender s ON s.scope = c.scope AND s.value = c.value
		WHERE c.release > prev AND c.release <= head AND c.scope = 'number' AND s.attribution = 'own'
		UNION SELECT w.sender, w.service FROM wish w JOIN sender s ON s.id = w.sender WHERE w.detail IN ('bar_both', 'recall')
		AND w.state = 'admitted' AND w.origin NOT LIKE 'order:%' AND s.attribution = 'own' AND s.scope = 'number') k;
	IF head > prev THEN
		INSERT INTO chore_at VALUES ('provision', head) ON CONFLICT (chore) DO UPDATE SET release = excluded.release;
	END IF;
	IF senders IS NULL THEN
		RETURN 0;
	END IF;
	PERFORM s.id FROM sender s JOIN (SELECT DISTINCT unnest(senders) AS id) k USING (id) ORDER BY s.scope COLLATE "C", s.value FOR NO KEY UPDATE OF s;
	WITH want AS (
		SELECT k.sender, k.service, coalesce(w.detail, 'lift') AS action, coalesce(w.origin, l.origin) AS origin,
		       coalesce(w.case_id, l.case_id) AS case_id, w.until, w.basis
		FROM unnest(senders, services) k(sender, service)
		LEFT JOIN LATERAL (SELECT x.detail, x.origin, x.case_id, x.until, x.basis FROM wish x WHERE x.sender = k.sender
			AND x.service = k.service AND x.action = 'bar' AND x.detail IN ('bar_out', 'bar_both', 'recall')
			AND (x.state = 'admitted' OR (x.state = 'wanted' AND x.origin LIKE 'order:%'))
			ORDER BY array_position(ARRAY['recall', 'bar_both', 'bar_out'], x.detail), x.origin LIMIT 1) w ON true
		LEFT JOIN LATERAL (SELECT p.action, p.origin, p.case_id FROM provisioning p WHERE p.sender = k.sender
			AND p.service = k.service ORDER BY p.seq DESC LIMIT 1) l ON true
		WHERE coalesce(w.detail, 'lift') <> coalesce(l.action, 'lift')
	), put AS (
		INSERT INTO provisioning (request_id, seq, case_id, sender, service, action, origin, asked_at, told)
		SELECT 'p' || substr(case_id(), 2), row_number() OVER (PARTITION BY w.sender ORDER BY w.service)
			+ (SELECT count(*) FROM provisioning b WHERE b.sender = w.sender),
			w.case_id, w.sender, w.service, w.action, w.origin, now, true FROM want w RETURNING *
	), line AS (
		SELECT (row_number() OVER (ORDER BY p.sender, p.seq) - 1) / 1000 AS g, p.sender, p.seq,
		       s.value || E'\t' || json_build_object('request_id', p.request_id, 'seq', p.seq, 'msisdn', '+' || s.value, 'action', p.action,
			'service', CASE p.service WHEN 0 THEN 'sms' ELSE 'voice' END, 'due', k.due_at, 'until', w.until, 'basis',
			coalesce(w.basis, ''), 'case', p.case_id) || E'\n' AS text
		FROM put p JOIN want w ON w.sender = p.sender AND w.service = p.service JOIN sender s ON s.id = p.sender
		LEFT JOIN case_file k ON k.id = p.case_id
	), told AS (
		INSERT INTO outbox (topic, messages, body)
		SELECT 'provisioning', count(*), string_agg(text, '' ORDER BY sender, seq) FROM line GROUP BY g ORDER BY g RETURNING messages
	)
	SELECT coalesce(sum(messages), 0) INTO asked FROM told;
	RETURN asked;
END $$;

-- Notes what was executed: the first answer counts. `again` also looks at consumers; false: only at answers of the HLR.
CREATE FUNCTION note_executed(now timestamptz, again boolean) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	n int;
	m int := 0;
BEGIN
	UPDATE action a SET executed_at = r.at, executed_by = 'hlr' FROM provisioning q JOIN provisioning_result r USING (request_id)
		WHERE a.state = 'admitted' AND a.executed_at IS NULL AND q.case_id = a.case_id AND q.sender = a.sender AND q.service = a.service
		AND q.action = a.action AND r.status = 'done' AND r.noted_at > now - interval '1 day';
	GET DIAGNOSTICS n = ROW_COUNT;
	IF again THEN
		UPDATE action a SET executed_at = now, executed_by = 'acknowledgement' FROM sender s, entry t, list_head h
			WHERE a.state = 'admitted' AND a.executed_at IS NULL AND s.id = a.sender AND t.scope = s.scope AND t.value = s.value
			AND t.service = a.service AND t.case_id = a.case_id AND EXISTS (SELECT FROM consumer c
				WHERE c.good_list = h.list AND c.good_release >= t.release AND (c.service IS NULL OR c.service = t.service));
		GET DIAGNOSTICS m = ROW_COUNT;
	END IF;
	RETURN n + m;
END $$;
CREATE INDEX provisioning_result_noted ON provisioning_result (noted_at);

-- ---- polls: recent recipients are asked whether they wanted it ----
ALTER TABLE poll ADD COLUMN case_id text COLLATE "C" NOT NULL DEFAULT '',
	ADD COLUMN decided_at timestamptz,
	ADD COLUMN outcome text CHECK (outcome IN ('yes', 'no', 'undecided')); -- NULL: answers are awaited
CREATE INDEX poll_sender ON poll (sender, service, asked_at);
CREATE INDEX poll_open ON poll (asked_at) WHERE decided_at IS NULL;
ALTER TABLE case_file ADD COLUMN polled_at timestamptz;  -- NULL: nobody was asked yet
CREATE INDEX case_unpolled ON case_file (rung) WHERE polled_at IS NULL AND kind = 'reports' AND rung >= 1
	AND state IN ('open', 'verifying', 'held') AND sender <> 0;

-- Asks about senders whose case reached `verify`; one of a sender and service in `apart`. Answers lines for the audit.
CREATE FUNCTION polls_ask(now timestamptz, sample_of int, apart interval, most int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	lines text;
BEGIN
	WITH found AS MATERIALIZED (
		SELECT k.id, k.sender, k.service, k.class FROM case_file k WHERE k.polled_at IS NULL AND k.kind = 'reports' AND k.rung >= 1
		AND k.state IN ('open', 'verifying', 'held') AND k.sender <> 0 ORDER BY k.id LIMIT most FOR NO KEY UPDATE SKIP LOCKED
	), due AS MATERIALIZED (
		SELECT k.id, k.sender, k.service, (SELECT max(p.asked_at) FROM poll p WHERE p.sender = k.sender AND p.service = k.service
			AND p.asked_at > now - apart) AS before, row_number() OVER (PARTITION BY k.sender, k.service ORDER BY k.class DESC) AS n
		FROM found k
	), put AS (
		INSERT INTO poll (poll_id, sender, service, sample, asked_at, case_id)
		SELECT 'q' || substr(case_id(), 2), d.sender, d.service, sample_of, now, d.id FROM due d WHERE d.before IS NULL AND d.n = 1
		RETURNING *
	), mark AS (
		UPDATE case_file k SET polled_at = coalesce(d.before, now) FROM due d WHERE k.id = d.id
	), told AS (
		INSERT INTO outbox (topic, messages, body) SELECT 'polls', count(*), string_agg(s.value || E'\t' || json_build_object(
			'poll_id', p.poll_id, 'sender', CASE s.scope WHEN 'number' THEN '+' ELSE '' END || s.value, 'service',
			CASE p.service WHEN 0 THEN 'sms' ELSE 'voice' END, 'sample', p.sample, 'recipient_pause_s',
			extract(epoch FROM apart)::bigint) || E'\n', '' ORDER BY p.poll_id)
		FROM put p JOIN sender s ON s.id = p.sender HAVING count(*) > 0
	)
	SELECT string_agg('poll.ask ' || p.poll_id || ' ' || p.case_id || E'\n', '' ORDER BY p.poll_id) INTO lines FROM put p;
	RETURN coalesce(lines, '');
END $$;
-- Silence is not yes: of those who answered, `share` must have said yes, and `quorum` must have answered, before `wait` is over.
CREATE FUNCTION polls_decide(now timestamptz, quorum int, share double precision, wait interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	lines text;
BEGIN
	WITH done AS (
		UPDATE poll p SET decided_at = now, outcome = CASE WHEN coalesce(a.yes + a.no, 0) < quorum THEN 'undecided'
			WHEN a.yes >= share * (a.yes + a.no) THEN 'yes' ELSE 'no' END
		FROM poll q LEFT JOIN poll_answer a ON a.poll_id = q.poll_id
		WHERE q.poll_id = p.poll_id AND p.decided_at IS NULL AND (a.yes + a.no >= quorum OR q.asked_at <= now - wait)
		RETURNING p.poll_id, p.case_id, p.outcome, a.yes, a.no, a.silent
	)
	SELECT string_agg(format(E'poll.decided %s %s %s yes=%s no=%s silent=%s\n', d.poll_id, d.case_id, d.outcome, coalesce(d.yes, 0),
		coalesce(d.no, 0), coalesce(d.silent, 0)), '' ORDER BY d.poll_id) INTO lines FROM done d;
	RETURN coalesce(lines, '');
END $$;

-- ---- the registration ladder: wrong subscriber data, Decree 49/2017/ND-CP Art. 1(7)e ----
ALTER TABLE case_file DROP CONSTRAINT case_file_kind_check;
ALTER TABLE case_file ADD CHECK (kind IN ('reports', 'spoofed_caller', 'fake_station', 'registration'));
DROP INDEX case_forged;
CREATE UNIQUE INDEX case_other ON case_file (sender, service, kind) WHERE state <> 'closed' AND kind <> 'reports';
CREATE TABLE registration (
	case_id    text COLLATE "C" PRIMARY KEY,
	sender     bigint NOT NULL,
	why        text NOT NULL,
	opened_at  timestamptz NOT NULL,
	opened_by  text NOT NULL,
	delivered  int NOT NULL DEFAULT 0,       -- notices that arrived
	first_at   timestamptz,                  -- when the first of them did: the clock of both bars
	one_way_at timestamptz,                  -- when that bar was wished for
	both_due_at timestamptz,                 -- since when the two-way bar waits for a person
	both_at    timestamptz,
	ended_at   timestamptz,
	ended_by   text
);
CREATE INDEX registration_open ON registration (opened_at) WHERE ended_at IS NULL;
CREATE TABLE notice (
	request_id text COLLATE "C" PRIMARY KEY,
	case_id    text COLLATE "C" NOT NULL,
	n          int NOT NULL,                 -- the how-manieth that arrives, if it does
	asked_at   timestamptz NOT NULL
);
CREATE INDEX notice_case ON notice (case_id, asked_at);

-- One step for every open one: counts notices that arrived, sends the next, bars when it is time. `may_bar`: mode auto. Answers audit lines.
CREATE FUNCTION registration_tend(now timestamptz, notices int, every interval, one_way interval, both_ways interval, basis_of text,
	may_bar boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	g record;
	lines text := '';
	id text;
	came int;
	came_at timestamptz;
	arms text;
BEGIN
	FOR g IN SELECT r.*, s.value, s.scope FROM registration r JOIN sender s ON s.id = r.sender WHERE r.ended_at IS NULL
		AND r.both_due_at IS NULL ORDER BY s.scope COLLATE "C", s.value FOR NO KEY UPDATE OF s SKIP LOCKED LOOP
		SELECT count(DISTINCT n.n), min(r.at) INTO came, came_at FROM notice n JOIN notice_result r USING (request_id)
			WHERE n.case_id = g.case_id AND r.status = 'delivered';
		IF came <> g.delivered THEN
			UPDATE registration r SET delivered = came, first_at = came_at WHERE r.case_id = g.case_id;
			lines := lines || format(E'notice.delivered %s %s\n', g.case_id, came);
		END IF;
		IF came < notices AND NOT EXISTS (SELECT FROM notice n WHERE n.case_id = g.case_id AND n.asked_at > now - every) THEN
			id := 'n' || substr(case_id(), 2);
			INSERT INTO notice VALUES (id, g.case_id, came + 1, now);
			INSERT INTO outbox (topic, messages, body) VALUES ('notices', 1, g.value || E'\t' || json_build_object('request_id', id,
				'msisdn', '+' || g.value, 'template', 'registration', 'params', json_build_object('n', came + 1, 'of', notices,
				'bar_at', coalesce(came_at, now) + one_way, 'case', g.case_id)) || E'\n');
			lines := lines || format(E'notice.ask %s %s/%s %s\n', g.case_id, came + 1, notices, id);
		END IF;
		IF came >= notices AND g.one_way_at IS NULL AND now >= came_at + one_way THEN
			arms := CASE WHEN may_bar THEN 'wanted' ELSE 'held' END;
			INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, rung, score, first_at, decided_at, state, reason)
				SELECT g.sender, v, 'auto:registration', 'bar', 'bar_out', g.case_id, basis_of, 3, 0, came_at, now, arms,
				CASE arms WHEN 'held' THEN 'review_mode' ELSE '' END FROM generate_series(0, 1) v
				ON CONFLICT (sender, service, origin) DO NOTHING;
			INSERT INTO action (case_id, sender, service, class, origin, rung, action, decided_at, state, reason, basis, recorded_at)
				SELECT g.case_id, g.sender, v, 0, 'auto:registration', 3, 'bar_out', now, arms,
				CASE arms WHEN 'held' THEN 'review_mode' ELSE '' END, basis_of, now FROM generate_series(0, 1) v;
			INSERT INTO dirty (sender, service) SELECT g.sender, v FROM generate_series(0, 1) v;
			UPDATE registration r SET one_way_at = now WHERE r.case_id = g.case_id;
			lines := lines || format(E'registration.bar_out %s %s\n', g.case_id, arms);
		END IF;
		IF g.one_way_at IS NOT NULL AND now >= came_at + both_ways THEN
			UPDATE registration r SET both_due_at = now WHERE r.case_id = g.case_id;
			lines := lines || format(E'registration.bar_both %s needs_person\n', g.case_id);
		END IF;
	END LOOP;
	UPDATE action a SET state = w.state, reason = w.reason FROM wish w WHERE w.origin = 'auto:registration' AND a.case_id = w.case_id
		AND a.origin = w.origin AND a.sender = w.sender AND a.service = w.service AND a.state IN ('wanted', 'held', 'admitted')
		AND (a.state, a.reason) IS DISTINCT FROM (w.state, w.reason);
	RETURN lines;
END $$;
CREATE INDEX wish_registration ON wish (sender) WHERE origin = 'auto:registration';
