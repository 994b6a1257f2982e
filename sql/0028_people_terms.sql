-- What the active policy says of people's decisions. docs/policy.md. A policy that was stored before this table has no row: then what was usual.
CREATE TABLE policy_people (
	policy bytea PRIMARY KEY,                -- artifact.hash
	confirmed_scam interval NOT NULL, confirmed_nuisance interval NOT NULL,
	appeal_automatic interval NOT NULL, appeal_confirmed interval NOT NULL,
	appeal_working boolean NOT NULL          -- counted in working time
);
CREATE FUNCTION confirmed_until(of_class int, now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
	SELECT now + make_interval(secs => extract(epoch FROM coalesce((SELECT CASE of_class WHEN 1 THEN p.confirmed_scam ELSE p.confirmed_nuisance END
		FROM policy_people p JOIN control k USING (policy)), CASE of_class WHEN 1 THEN interval '180 days' ELSE interval '30 days' END))::float8)
$$;
CREATE FUNCTION appeal_due(automatic boolean, now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT CASE WHEN p.appeal_working THEN business_due(now, x.span) ELSE now + x.span END
		FROM policy_people p JOIN control k USING (policy)
		CROSS JOIN LATERAL (SELECT CASE WHEN automatic THEN p.appeal_automatic ELSE p.appeal_confirmed END AS span) x),
		now + CASE WHEN automatic THEN interval '24 hours' ELSE interval '72 hours' END)
$$;
