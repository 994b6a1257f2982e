-- What came and what was listed, by the hour, for the console's charts.
CREATE INDEX report_received ON report USING brin (received_at);
CREATE INDEX release_at ON release (at);
