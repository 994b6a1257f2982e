-- The traceparent of the record, for whoever follows it from the reporting system on.
ALTER TABLE quarantine ADD COLUMN trace text NOT NULL DEFAULT '';
-- The newest first, as people list them.
CREATE INDEX quarantine_at ON quarantine (at, topic, part, "offset");
CREATE INDEX quarantine_expires ON quarantine (expires_at);

-- The timestamp of the record in Kafka: offsets of two partitions say nothing of which came later.
ALTER TABLE contact_fact ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE activity ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE poll_answer ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE provisioning_result ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE notice_result ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE subscription ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';

-- One reporter's reports of one sender, for votes that are counted again; and all of a reporter's.
CREATE INDEX report_reporter ON report (reporter, sender);

-- What is over is found without walking the table.
CREATE INDEX activity_to ON activity USING brin (to_at);
CREATE INDEX contact_fact_noted ON contact_fact USING brin (noted_at);

-- What a sender did on the network in the spans that lie within `span` before `at`: one row, from at most its 2,000 newest spans. Peers are
-- at least those of the busiest span.
CREATE FUNCTION behaviour(of_scope text, of_value text, at timestamptz, span interval)
RETURNS TABLE (spans bigint, sms_out numeric, calls_out numeric, sms_in numeric, calls_in numeric, new_contacts numeric,
	short_calls numeric, short_gaps numeric, distinct_peers bigint) LANGUAGE sql STABLE AS $$
	SELECT count(*), coalesce(sum(a.sms_out), 0), coalesce(sum(a.calls_out), 0), coalesce(sum(a.sms_in), 0),
	       coalesce(sum(a.calls_in), 0), coalesce(sum(a.new_contacts), 0), coalesce(sum(a.short_calls), 0),
	       coalesce(sum(a.short_gaps), 0), coalesce(max(a.distinct_peers), 0)
	FROM (SELECT * FROM activity t WHERE t.scope = of_scope AND t.value = of_value COLLATE "C"
		AND t.from_at >= at - span AND t.from_at < at AND t.to_at <= at ORDER BY t.from_at DESC LIMIT 2000) a
$$;
