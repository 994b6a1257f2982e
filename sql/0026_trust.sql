-- Runs of the nightly job that weighs reporters: docs/judgement.md section 9. One a Vietnamese day by the keeper, any number by people.
CREATE TABLE trust_run (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at      timestamptz NOT NULL,
	version text NOT NULL,                   -- of the definition
	actor   text NOT NULL,
	changed bigint NOT NULL
);
CREATE INDEX trust_run_at ON trust_run (at);
CREATE INDEX case_decided ON case_file (id) WHERE state = 'closed' AND outcome IN ('upheld', 'lifted');
