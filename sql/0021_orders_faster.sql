-- A new case's id, without a row per character: 13 characters of base32, from the bits of a UUID that are random.
CREATE OR REPLACE FUNCTION case_id() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT 'c-' || translate(substr(b, 1, 8) || substr(b, 12, 5), 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
		'0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjkmnpqrstvwxyz')
	FROM (SELECT encode(uuid_send(gen_random_uuid()), 'base64') AS b) r
$$;
-- A case without a time of its own (an order's without a deadline) has no clock.
DROP INDEX case_unwarned;
DROP INDEX case_unbreached;
CREATE INDEX case_unwarned ON case_file (due_at) WHERE warned_at IS NULL AND state IN ('open', 'verifying', 'held') AND due_at > first_at;
CREATE INDEX case_unbreached ON case_file (due_at) WHERE breached_at IS NULL AND state IN ('open', 'verifying', 'held') AND due_at > first_at;
-- One look at every clock. Many at once are one alert with their number and the first of them. Answers how many alerts were raised.
CREATE OR REPLACE FUNCTION clocks_tend(now timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	g record;
	raised int := 0;
	n_held bigint;
BEGIN
	FOR g IN WITH w AS (UPDATE case_file k SET warned_at = now FROM (SELECT c.id FROM case_file c WHERE c.warned_at IS NULL
		AND c.state IN ('open', 'verifying', 'held') AND c.due_at > c.first_at AND c.due_at <= now + interval '11 days' AND now < c.due_at
		AND now >= c.due_at - (c.due_at - c.first_at) / 4 ORDER BY c.due_at LIMIT 5000 FOR NO KEY UPDATE SKIP LOCKED) x
		WHERE k.id = x.id RETURNING k.id, k.class, k.due_at)
		SELECT class, count(*) AS n, min(due_at) AS due, (array_agg(id ORDER BY due_at))[1:20] AS ids FROM w GROUP BY class LOOP
		PERFORM alert_raise(now, 'clock.warning', 'warning', jsonb_build_object('class', CASE g.class WHEN 1 THEN 'scam' ELSE 'nuisance' END,
			'cases', g.n, 'due', g.due, 'first', g.ids));
		raised := raised + 1;
	END LOOP;
	FOR g IN WITH w AS (UPDATE case_file k SET breached_at = now, warned_at = coalesce(warned_at, now) FROM (SELECT c.id FROM case_file c
		WHERE c.breached_at IS NULL AND c.state IN ('open', 'verifying', 'held') AND c.due_at > c.first_at AND c.due_at <= now ORDER BY c.due_at LIMIT 5000
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
-- Items and targets are made by the transaction that makes their document, which nothing ever deletes; asking for it 300,000 times is not for free.
ALTER TABLE order_item DROP CONSTRAINT order_item_document_no_fkey;
ALTER TABLE order_target DROP CONSTRAINT order_target_document_no_fkey;
