-- The traceparent of the record, for whoever follows it from the reporting system on.
ALTER TABLE quarantine ADD COLUMN trace text NOT NULL DEFAULT '';
-- The newest first, as people list them.
CREATE INDEX quarantine_at ON quarantine (at DESC, topic, part, "offset" DESC);

-- The timestamp of the record in Kafka: offsets of two partitions say nothing of which came later.
ALTER TABLE contact_fact ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE activity ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE poll_answer ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE provisioning_result ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE notice_result ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE subscription ADD COLUMN stamped_at timestamptz NOT NULL DEFAULT 'epoch';

-- One reporter's reports of one sender, for votes that are counted again; and all of a reporter's.
CREATE INDEX report_reporter ON report (reporter, sender);
