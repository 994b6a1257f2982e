-- How senders behave in the network and what recipients answered, beside the campaigns of their texts: docs/judgement.md section 8. All of it is computed
-- from the facts alone, so that it does not matter when.

-- Registered senders of many calls or messages (shippers, clinics, schools): the file as it is.
CREATE TABLE highvolume (
	scope   text NOT NULL,
	value   text COLLATE "C" NOT NULL,
	service smallint NOT NULL,
	owner   text NOT NULL,
	from_at timestamptz NOT NULL,
	to_at   timestamptz,                     -- NULL: to this day
	PRIMARY KEY (scope, value, service, from_at)
);
-- What a day of a reported sender's activity amounts to. It outlives the facts, so that a leg does not go when they are forgotten.
CREATE TABLE behaviour_day (
	sender  bigint NOT NULL,
	service smallint NOT NULL,
	day     date NOT NULL,                   -- in Vietnam, on which its spans begin
	degree  real NOT NULL,                   -- 0..1
	at      bigint,                          -- from when on it was over the cut-offs, microseconds; NULL: it was not
	PRIMARY KEY (sender, service, day)
) WITH (fillfactor = 80);
ALTER TABLE signal ADD COLUMN legs text NOT NULL DEFAULT ''; -- when each leg of any kind began, microseconds, ascending, the newest 32

-- The policy's cut-offs, in one value.
CREATE TYPE cutoffs AS (calls float8, messages float8, new_share float8, short_share float8, gap_share float8, back_share float8, signs int,
	registered float8, poll_answers bigint, poll_share float8);

-- Each day of the newest 2,000 spans. Sums run over a day's spans in the order of their ends, so that a later span never moves what was over before.
CREATE FUNCTION behaviour_days(of_scope text, of_value text, of_service smallint, c cutoffs)
RETURNS TABLE (day date, degree real, at bigint, whole boolean) LANGUAGE sql STABLE AS $$
	WITH newest AS MATERIALIZED (
		SELECT *, (from_at AT TIME ZONE INTERVAL '7 hours')::date AS day FROM activity t
		WHERE t.scope = of_scope AND t.value = of_value COLLATE "C" ORDER BY t.from_at DESC LIMIT 2000
	), run AS (
		SELECT n.day, n.to_at, sum(CASE of_service WHEN 1 THEN n.calls_out ELSE n.sms_out END) OVER w AS outward,
		       sum(CASE of_service WHEN 1 THEN n.calls_in ELSE n.sms_in END) OVER w AS back, sum(n.calls_out + n.sms_out) OVER w AS all_out,
		       sum(n.new_contacts) OVER w AS new_ones, sum(n.short_calls) OVER w AS short, sum(n.short_gaps) OVER w AS gaps,
		       greatest(1, extract(epoch FROM sum(n.to_at - n.from_at) OVER w) / 86400.0) AS days,
		       EXISTS (SELECT FROM highvolume h WHERE h.scope = of_scope AND h.value = of_value AND h.service = of_service
			AND h.from_at <= n.from_at AND (h.to_at IS NULL OR h.to_at > n.from_at)) AS registered
		FROM newest n WINDOW w AS (PARTITION BY n.day ORDER BY n.to_at, n.from_at ROWS UNBOUNDED PRECEDING)
	), judged AS (
		SELECT r.day, r.to_at, CASE WHEN r.outward = 0 OR r.outward / r.days < (CASE of_service WHEN 1 THEN c.calls ELSE c.messages END)
			* (CASE WHEN r.registered THEN c.registered ELSE 1 END) THEN 0 ELSE (r.new_ones >= c.new_share * r.all_out)::int
			+ (of_service = 1 AND r.short >= c.short_share * r.outward)::int + (r.gaps >= c.gap_share * r.all_out)::int
			+ (r.back <= c.back_share * r.outward)::int END AS signs
		FROM run r
	)
	SELECT j.day, least(1, max(j.signs) / c.signs::float8)::real,
	       (extract(epoch FROM min(j.to_at) FILTER (WHERE j.signs >= c.signs)) * 1000000)::bigint,
	       j.day > (SELECT min(n.day) FROM newest n) OR (SELECT count(*) FROM newest) < 2000
	FROM judged j GROUP BY j.day
$$;

-- Puts down what is known of these senders and services beside their votes; answers those for which it has changed.
CREATE FUNCTION signals_put(senders bigint[], services smallint[], c cutoffs) RETURNS TABLE (sender bigint, service smallint) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO behaviour_day AS b (sender, service, day, degree, at)
		SELECT u.sender, u.service, d.day, d.degree, d.at FROM unnest(senders, services) u(sender, service) JOIN sender s ON s.id = u.sender
		CROSS JOIN LATERAL behaviour_days(s.scope, s.value, u.service, c) d
		WHERE d.whole OR NOT EXISTS (SELECT FROM behaviour_day o WHERE o.sender = u.sender AND o.service = u.service AND o.day = d.day)
		ON CONFLICT ON CONSTRAINT behaviour_day_pkey DO UPDATE SET degree = excluded.degree, at = excluded.at
		WHERE (b.degree, b.at) IS DISTINCT FROM (excluded.degree, excluded.at);
	RETURN QUERY WITH known AS MATERIALIZED (
		SELECT u.sender, u.service, coalesce(k.level, 0) AS campaign, coalesce(d.degree, 0) AS behaviour, coalesce(p.opinion, 0) AS poll,
		       leg.at AS campaign_at, d.at AS behaviour_at, p.at AS poll_at, coalesce((SELECT string_agg(x.at::text, ' ' ORDER BY x.at) FROM
			(SELECT DISTINCT y.at FROM unnest(d.legs || p.legs || leg.at) y(at) WHERE y.at IS NOT NULL ORDER BY y.at DESC LIMIT 32) x), '') AS legs
		FROM unnest(senders, services) u(sender, service)
		-- the largest campaign of its texts
		LEFT JOIN LATERAL (SELECT max(g.level) AS level FROM (SELECT DISTINCT y.text FROM campaign_say y
			WHERE y.sender = u.sender AND y.service = u.service LIMIT 1000) y
			JOIN campaign_text t ON t.key = y.text JOIN campaign g ON g.id = t.campaign) k ON true
		-- a leg only when people upheld a text that the SMSC carried for this very sender
		LEFT JOIN LATERAL (SELECT (extract(epoch FROM min(greatest(r.received_at, t.upheld_at))) * 1000000)::bigint AS at
			FROM campaign_say y JOIN campaign_text t ON t.key = y.text AND t.upheld_at IS NOT NULL
			JOIN report r ON r.sender = y.sender AND r.service = 0 AND r.disposition = 0 AND r.matched = 1 AND r.weight > 0
			AND r.fingerprint = t.fingerprint WHERE y.sender = u.sender AND y.service = u.service AND u.service = 0) leg ON true
		-- the newest ten days of its activity
		LEFT JOIN LATERAL (SELECT max(b.degree) FILTER (WHERE b.day > b.newest - 10) AS degree, max(b.at) AS at, array_agg(b.at) AS legs
			FROM (SELECT b.*, max(b.day) OVER () AS newest FROM behaviour_day b
			WHERE b.sender = u.sender AND b.service = u.service) b) d ON true
		-- the newest poll that enough have answered; of forgotten answers the outcome remains
		LEFT JOIN LATERAL (SELECT (array_agg(q.opinion ORDER BY q.asked_at DESC, q.poll_id))[1]::real AS opinion, max(q.at) AS at,
			array_agg(q.at) AS legs FROM (SELECT q.poll_id, q.asked_at, coalesce((a.yes - a.no)::float8 / (a.yes + a.no),
			CASE q.outcome WHEN 'yes' THEN 1 ELSE -1 END) AS opinion, CASE WHEN a.poll_id IS NULL AND q.outcome = 'yes'
			THEN (extract(epoch FROM q.decided_at) * 1000000)::bigint WHEN a.yes >= c.poll_share * (a.yes + a.no)
			THEN (extract(epoch FROM greatest(a.stamped_at, q.asked_at)) * 1000000)::bigint END AS at
			FROM poll q LEFT JOIN poll_answer a ON a.poll_id = q.poll_id WHERE q.sender = u.sender AND q.service = u.service
			AND CASE WHEN a.poll_id IS NULL THEN q.outcome IN ('yes', 'no') ELSE a.yes + a.no >= c.poll_answers END) q) p ON true
	)
	INSERT INTO signal AS g (sender, service, campaign, behaviour, poll, campaign_at, behaviour_at, poll_at, legs)
		SELECT n.sender, n.service, n.campaign, n.behaviour, n.poll, n.campaign_at, n.behaviour_at, n.poll_at, n.legs FROM known n
		WHERE (n.campaign, n.behaviour, n.poll, n.legs) <> (0, 0, 0, '') OR EXISTS (SELECT FROM signal o WHERE o.sender = n.sender
			AND o.service = n.service)
		ON CONFLICT ON CONSTRAINT signal_pkey DO UPDATE SET campaign = excluded.campaign, behaviour = excluded.behaviour, poll = excluded.poll,
			campaign_at = excluded.campaign_at, behaviour_at = excluded.behaviour_at, poll_at = excluded.poll_at, legs = excluded.legs
		WHERE (g.campaign, g.behaviour, g.poll, g.legs) IS DISTINCT FROM (excluded.campaign, excluded.behaviour, excluded.poll, excluded.legs)
		RETURNING g.sender, g.service;
END $$;
UPDATE signal SET legs = campaign_at::text WHERE campaign_at IS NOT NULL;
-- A new sender may have been active before: it is looked at once. service -1: both.
CREATE FUNCTION sender_is_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO rejudge (sender, service) SELECT n.id, -1 FROM made n WHERE n.id <> 0;
	RETURN NULL;
END $$;
CREATE TRIGGER sender_is_new AFTER INSERT ON sender REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sender_is_new();
