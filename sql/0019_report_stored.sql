-- How many reports came within an hour, now and in other weeks: rows lie in the order of coming, so that a few bytes per page range do.
CREATE INDEX report_stored ON report USING brin (stored_at) WITH (pages_per_range = 16);
