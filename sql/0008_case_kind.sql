-- Cases against forged senders are of their own kind, beside those of reports: docs/judgement.md section 6.
ALTER TABLE case_file ADD COLUMN kind text NOT NULL DEFAULT 'reports'
	CHECK (kind IN ('reports', 'spoofed_caller', 'fake_station'));
DROP INDEX case_open;
CREATE UNIQUE INDEX case_open ON case_file (sender, service, class) WHERE state <> 'closed' AND kind = 'reports';
CREATE UNIQUE INDEX case_forged ON case_file (sender, service) WHERE state <> 'closed' AND kind <> 'reports';
