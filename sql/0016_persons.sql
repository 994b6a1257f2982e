-- Persons and their rights: who was forgotten, and what they asked for.
CREATE TABLE erasure (
	mac    bytea NOT NULL,                   -- MAC of the number, as in subject: it says nothing without the key
	at     timestamptz NOT NULL,             -- what was stored before this is gone
	actor  text NOT NULL,
	reason text NOT NULL,
	PRIMARY KEY (mac, at)
);
CREATE TABLE subject_request (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	mac      bytea NOT NULL,
	kind     text NOT NULL CHECK (kind IN ('export', 'erase', 'object')),
	asked_at timestamptz NOT NULL,
	answer_by timestamptz NOT NULL,          -- working days: the setting privacy.answer
	carry_out_by timestamptz NOT NULL,
	noted_by text NOT NULL,
	done_at  timestamptz
);
CREATE INDEX subject_request_open ON subject_request (answer_by) WHERE done_at IS NULL;
