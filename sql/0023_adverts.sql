-- Facts about advertising that a case names: Decree 91/2020/ND-CP. What is not known is unknown, never a violation. docs/adverts.md.
CREATE TABLE dnc (                           -- the Do-Not-Call registry; the number as the MAC that reporters have
	mac     bytea NOT NULL,
	service smallint NOT NULL,
	from_at timestamptz NOT NULL,
	to_at   timestamptz,                     -- NULL: to this day
	PRIMARY KEY (mac, service, from_at)
);
CREATE TABLE brandname (
	name    text COLLATE "C" NOT NULL,       -- lower case
	owner   text NOT NULL,
	from_at timestamptz NOT NULL,
	to_at   timestamptz,
	PRIMARY KEY (name, from_at)
);
-- Of the newest 200 reports of a case, how many show each fact: yes (the limit was kept, or it is so), no, unknown. violates: of those of an advertisement, how
-- many break the limit that `limit_of` cites.
CREATE FUNCTION advert_facts(of_case text) RETURNS TABLE (fact text, yes bigint, no bigint, unknown bigint, violates bigint, limit_of text)
LANGUAGE sql STABLE AS $$
	WITH r AS MATERIALIZED (
		SELECT x.*, s.scope, s.value, u.mac, upper(encode(substr(btrim(x.content, E' \t\r\n'::bytea), 1, 4), 'escape')) IN ('[QC]', '[AD]') AS labelled,
		       coalesce(x.occurred_at, x.received_at) AS t, (x.occurred_at AT TIME ZONE INTERVAL '7 hours')::time AS hour
		FROM report x JOIN sender s ON s.id = x.sender LEFT JOIN subject u ON u.id = x.reporter
		WHERE x.case_id = of_case AND x.disposition = 0 ORDER BY x.received_at DESC LIMIT 200
	), a AS MATERIALIZED (
		SELECT r.*, (r.kind = 0 AND r.labelled) OR lower(r.category) IN ('ad', 'ads', 'advert', 'advertisement', 'quang_cao') AS ad,
		CASE WHEN r.kind <> 0 OR r.content = '' THEN NULL WHEN r.labelled THEN true WHEN r.matched = 1 THEN false END AS label_ok,
		CASE r.service WHEN 0 THEN r.hour >= '07:00' AND r.hour < '22:00' ELSE r.hour >= '08:00' AND r.hour < '17:00' END AS hour_ok,
		CASE WHEN (SELECT count(*) FROM report y WHERE y.sender = r.sender AND y.reporter = r.reporter AND y.service = r.service AND y.disposition = 0
			AND y.received_at > r.received_at - interval '2 days' AND y.received_at < r.received_at + interval '2 days'
			AND coalesce(y.occurred_at, y.received_at) > r.t - interval '24 hours' AND coalesce(y.occurred_at, y.received_at) <= r.t)
			> CASE r.service WHEN 0 THEN 3 ELSE 1 END THEN false END AS count_ok,
		CASE WHEN r.mac IS NULL OR NOT EXISTS (SELECT FROM loaded_file f WHERE f.what = 'dnc') THEN NULL ELSE NOT EXISTS (SELECT FROM dnc d
			WHERE d.mac = r.mac AND d.service = r.service AND d.from_at <= r.t AND (d.to_at IS NULL OR d.to_at > r.t)) END AS dnc_ok,
		CASE WHEN r.scope = 'number' THEN false WHEN r.scope <> 'name' OR NOT EXISTS (SELECT FROM loaded_file f WHERE f.what = 'brandnames') THEN NULL
			ELSE EXISTS (SELECT FROM brandname b WHERE b.name = r.value AND b.from_at <= r.t AND (b.to_at IS NULL OR b.to_at > r.t)) END AS sender_ok
		FROM r
	)
	SELECT f.fact, count(*) FILTER (WHERE f.ok), count(*) FILTER (WHERE NOT f.ok), count(*) FILTER (WHERE f.ok IS NULL),
	       count(*) FILTER (WHERE NOT f.ok AND a.ad AND f.limit_of <> ''), f.limit_of
	FROM a CROSS JOIN LATERAL (VALUES (1, 'advertisement', CASE WHEN a.ad THEN true END, ''),
		(2, 'not_on_dnc_list', a.dnc_ok, 'Decree 91/2020/ND-CP Art. 7: no advertisement to a number on the Do-Not-Call list'),
		(3, 'registered_sender', a.sender_ok, 'Decree 91/2020/ND-CP Art. 13: advertisements only under a registered brandname'),
		(4, 'labelled', a.label_ok, 'Decree 91/2020/ND-CP Arts. 14-15: [QC] or [AD] at the very start'),
		(5, 'allowed_hour', a.hour_ok, 'Decree 91/2020/ND-CP Art. 13: messages 07:00-22:00, calls 08:00-17:00'),
		(6, 'within_24h_limit', a.count_ok, 'Decree 91/2020/ND-CP Art. 13: at most 3 messages, 1 call to one number in 24 hours')) f(ord, fact, ok, limit_of)
	GROUP BY f.ord, f.fact, f.limit_of ORDER BY f.ord
$$;
