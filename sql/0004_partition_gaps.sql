-- A partition may stop twice at one offset; what was passed over is known when a person resumes it, who may also go back.
ALTER TABLE part_gap DROP CONSTRAINT part_gap_pkey;
ALTER TABLE part_gap
	ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	ADD COLUMN resumed_at timestamptz,       -- NULL: it still waits, and to_offset is where Kafka goes on, as far as is known
	ADD COLUMN resumed_by text;
UPDATE part_gap g SET resumed_at = noticed_at, resumed_by = '' WHERE NOT EXISTS (SELECT FROM part p
	WHERE p.source = g.source AND p.topic = g.topic AND p.part = g.part AND p.stopped <> '')
	OR EXISTS (SELECT FROM part_gap n WHERE n.source = g.source AND n.topic = g.topic AND n.part = g.part
		AND (n.noticed_at, n.id) > (g.noticed_at, g.id));
CREATE UNIQUE INDEX part_gap_waits ON part_gap (source, topic, part) WHERE resumed_at IS NULL;
