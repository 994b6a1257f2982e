-- Clocks that run out, who is on duty, and the alerts that tell of it. docs/clocks.md.
ALTER TABLE case_file ADD COLUMN warned_at timestamptz, ADD COLUMN breached_at timestamptz, ADD COLUMN escalated_at timestamptz;
CREATE INDEX case_unwarned ON case_file (due_at) WHERE warned_at IS NULL AND state IN ('open', 'verifying', 'held');
CREATE INDEX case_unbreached ON case_file (due_at) WHERE breached_at IS NULL AND state IN ('open', 'verifying', 'held');
CREATE INDEX case_unescalated ON case_file (due_at) WHERE breached_at IS NOT NULL AND escalated_at IS NULL
	AND state IN ('open', 'verifying', 'held');
ALTER TABLE order_doc ADD COLUMN warned_at timestamptz, ADD COLUMN breached_at timestamptz;

-- The business calendar: days that are no working days though the week says so (holiday), and the other way round (workday).
CREATE TABLE calendar_day (day date PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('holiday', 'workday')), name text NOT NULL);
CREATE TABLE duty (from_at timestamptz NOT NULL, to_at timestamptz NOT NULL, who text NOT NULL, contact text NOT NULL, escalate text NOT NULL);
CREATE TABLE loaded_file (what text PRIMARY KEY, sha256 bytea NOT NULL, at timestamptz NOT NULL);
CREATE TABLE watch_state (one boolean PRIMARY KEY DEFAULT true CHECK (one), name text NOT NULL, before bytea, policy bytea);

-- When `work` of working time has passed since `start`: Monday to Friday, 08:00 to 17:00 in Vietnam, by the calendar.
CREATE FUNCTION business_due(start timestamptz, work interval) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
	d date := (start AT TIME ZONE INTERVAL '7 hours')::date;
	opens timestamptz;
	closes timestamptz;
	rest interval := work;
	kind_of text;
BEGIN
	FOR i IN 1..3660 LOOP
		SELECT kind INTO kind_of FROM calendar_day c WHERE c.day = d;
		IF coalesce(kind_of = 'workday', extract(isodow FROM d) < 6) THEN
			opens := greatest(start, (d + time '08:00') AT TIME ZONE INTERVAL '7 hours');
			closes := (d + time '17:00') AT TIME ZONE INTERVAL '7 hours';
			IF closes > opens THEN
				IF opens + rest <= closes THEN
					RETURN opens + rest;
				END IF;
				rest := rest - (closes - opens);
			END IF;
		END IF;
		d := d + 1;
	END LOOP;
	RETURN NULL;
END $$;

-- What people must hear of; the keeper's process sends it to every address until it is taken.
CREATE TABLE alert (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at       timestamptz NOT NULL,
	kind     text NOT NULL,                  -- clock.warning, clock.breach, clock.escalated, order.warning, order.breach, held.cap, watch.begin, …
	severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
	body     jsonb NOT NULL
);
CREATE TABLE alert_delivery (
	alert    bigint NOT NULL REFERENCES alert ON DELETE CASCADE,
	url      text NOT NULL,
	attempts int NOT NULL DEFAULT 0,
	next_at  timestamptz NOT NULL,
	sent_at  timestamptz,
	error    text NOT NULL DEFAULT '',
	PRIMARY KEY (alert, url)
);
CREATE INDEX alert_unsent ON alert_delivery (next_at) WHERE sent_at IS NULL;
CREATE FUNCTION alert_raise(now timestamptz, kind_of text, severity_of text, body_of jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO alert (at, kind, severity, body) SELECT now, kind_of, severity_of, body_of || jsonb_build_object('duty', coalesce((
		SELECT jsonb_agg(jsonb_build_object('who', d.who, 'contact', d.contact, 'escalate', d.escalate) ORDER BY d.who) FROM duty d
		WHERE d.from_at <= now AND d.to_at > now), '[]'))
$$;
-- Whether it was so when it was last looked at: an alert is raised at the change.
CREATE TABLE alarm_state (what text PRIMARY KEY, n bigint NOT NULL);

-- One look at every clock. Many at once are one alert with their number and the first of them. Answers how many alerts were raised.
CREATE FUNCTION clocks_tend(now timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	g record;
	raised int := 0;
	n_held bigint;
BEGIN
	FOR g IN WITH w AS (UPDATE case_file k SET warned_at = now FROM (SELECT c.id FROM case_file c WHERE c.warned_at IS NULL
		AND c.state IN ('open', 'verifying', 'held') AND c.due_at <= now + interval '11 days' AND now < c.due_at
		AND now >= c.due_at - (c.due_at - c.first_at) / 4 ORDER BY c.due_at LIMIT 5000 FOR NO KEY UPDATE SKIP LOCKED) x
		WHERE k.id = x.id RETURNING k.id, k.class, k.due_at)
		SELECT class, count(*) AS n, min(due_at) AS due, (array_agg(id ORDER BY due_at))[1:20] AS ids FROM w GROUP BY class LOOP
		PERFORM alert_raise(now, 'clock.warning', 'warning', jsonb_build_object('class', CASE g.class WHEN 1 THEN 'scam' ELSE 'nuisance' END,
			'cases', g.n, 'due', g.due, 'first', g.ids));
		raised := raised + 1;
	END LOOP;
	FOR g IN WITH w AS (UPDATE case_file k SET breached_at = now, warned_at = coalesce(warned_at, now) FROM (SELECT c.id FROM case_file c
		WHERE c.breached_at IS NULL AND c.state IN ('open', 'verifying', 'held') AND c.due_at <= now ORDER BY c.due_at LIMIT 5000
		FOR NO KEY UPDATE SKIP LOCKED) x WHERE k.id = x.id RETURNING k.id, k.class, k.due_at)
		SELECT class, count(*) AS n, min(due_at) AS due, (array_agg(id ORDER BY due_at))[1:20] AS ids FROM w GROUP BY class LOOP
		PERFORM alert_raise(now, 'clock.breach', 'critical', jsonb_build_object('class', CASE g.class WHEN 1 THEN 'scam' ELSE 'nuisance' END,
			'cases', g.n, 'due', g.due, 'first', g.ids));
		raised := raised + 1;
	END LOOP;
	FOR g IN WITH w AS (UPDATE case_file k SET escalated_at = now FROM (SELECT c.id FROM case_file c WHERE c.breached_at IS NOT NULL
		AND c.escalated_at IS NULL AND c.state IN ('open', 'verifying', 'held') AND now >= c.breached_at + (c.due_at - c.first_at) / 2
		ORDER BY c.due_at LIMIT 5000 FOR NO KEY UPDATE SKIP LOCKED) x WHERE k.id = x.id RETURNING k.id, k.class, k.due_at)
		SELECT class, count(*) AS n, min(due_at) AS due, (array_agg(id ORDER BY due_at))[1:20] AS ids FROM w GROUP BY class LOOP
		PERFORM alert_raise(now, 'clock.escalated', 'critical', jsonb_build_object('class', CASE g.class WHEN 1 THEN 'scam' ELSE 'nuisance' END,
			'cases', g.n, 'due', g.due, 'first', g.ids));
		raised := raised + 1;
	END LOOP;
	FOR g IN SELECT d.document_no, d.deadline, now >= d.deadline AS late, (SELECT count(*) FROM order_target t
		WHERE t.document_no = d.document_no AND (t.state = 'held' OR (t.state = 'wished' AND t.proved_at IS NULL))) AS open
		FROM order_doc d WHERE d.deadline IS NOT NULL AND d.ended_at IS NULL AND d.breached_at IS NULL
		AND now >= d.deadline - (d.deadline - d.received_at) / 4 AND (d.warned_at IS NULL OR now >= d.deadline) LOOP
		UPDATE order_doc d SET warned_at = coalesce(d.warned_at, now), breached_at = CASE WHEN g.late THEN now END
			WHERE d.document_no = g.document_no;
		IF g.open > 0 THEN
			UPDATE order_doc d SET breach = breach OR g.late WHERE d.document_no = g.document_no;
			PERFORM alert_raise(now, CASE WHEN g.late THEN 'order.breach' ELSE 'order.warning' END, 'critical',
				jsonb_build_object('document_no', g.document_no, 'deadline', g.deadline, 'open', g.open));
			raised := raised + 1;
		END IF;
	END LOOP;
	SELECT count(*) INTO n_held FROM wish w WHERE w.state = 'held' AND w.reason IN ('cap_hour', 'cap_day');
	IF n_held > 0 AND coalesce((SELECT a.n FROM alarm_state a WHERE a.what = 'held.cap'), 0) = 0 THEN
		PERFORM alert_raise(now, 'held.cap', 'critical', jsonb_build_object('held', n_held,
			'release', 'khien held release --reason cap_hour --why REASON'));
		raised := raised + 1;
	END IF;
	INSERT INTO alarm_state VALUES ('held.cap', n_held) ON CONFLICT (what) DO UPDATE SET n = excluded.n WHERE alarm_state.n <> excluded.n;
	RETURN raised;
END $$;
