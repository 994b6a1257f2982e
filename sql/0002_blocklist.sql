-- What is blocked, why, until when. Workers write wishes and dirty keys; only the keeper writes entries and releases.

CREATE TABLE protected (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	scope   text NOT NULL CHECK (scope IN ('number', 'short', 'name')),
	low     text COLLATE "C" NOT NULL,
	high    text COLLATE "C" NOT NULL,       -- = low for a single one; a range has digits of one length
	service smallint,                        -- NULL: both
	owner   text NOT NULL,
	reason  text NOT NULL,
	until   timestamptz,
	origin  text NOT NULL                    -- 'file', or who added it
);
CREATE INDEX protected_key ON protected (scope, low, high);

-- Why an entry should be on the list. One row per reason: auto:scam, auto:nuisance, person:ID, order:NO.
CREATE TABLE wish (
	sender   bigint NOT NULL,
	service  smallint NOT NULL,
	origin   text NOT NULL,
	action   text NOT NULL CHECK (action IN ('bar', 'throttle', 'label')),
	detail   text NOT NULL,                  -- bar_in, bar_out, …
	case_id  text NOT NULL,
	until    timestamptz,                    -- NULL: open-ended
	basis    text NOT NULL,
	rung     smallint NOT NULL DEFAULT 0,
	score    real NOT NULL DEFAULT 0,
	first_at timestamptz NOT NULL,           -- first received_at of the case
	decided_at timestamptz NOT NULL,
	state    text NOT NULL CHECK (state IN ('wanted', 'admitted', 'held')),
	reason   text NOT NULL DEFAULT '',       -- of held: protected, needs_person, review_mode, one_leg, cap_hour, cap_day
	PRIMARY KEY (sender, service, origin)
) WITH (fillfactor = 80);
CREATE INDEX wish_held ON wish (reason, score) WHERE state = 'held';
CREATE INDEX wish_until ON wish (until) WHERE state = 'admitted';

CREATE TABLE dirty (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	sender  bigint NOT NULL,
	service smallint NOT NULL
);

-- The keeper's fence and the head of the list.
CREATE TABLE keeper (
	one     boolean PRIMARY KEY DEFAULT true CHECK (one),
	epoch   bigint NOT NULL DEFAULT 0,
	owner   text NOT NULL DEFAULT '',
	beat    bigint NOT NULL DEFAULT 0        -- moves while the leader lives
);
INSERT INTO keeper DEFAULT VALUES;
CREATE TABLE list_head (
	one     boolean PRIMARY KEY DEFAULT true CHECK (one),
	list    uuid NOT NULL,                   -- lineage: a restore starts a new one
	release bigint NOT NULL,
	count   bigint NOT NULL,
	digest  bytea NOT NULL,                  -- 32 bytes, big-endian sum
	at      timestamptz NOT NULL
);
CREATE TABLE entry (
	scope   text COLLATE "C" NOT NULL,
	value   text COLLATE "C" NOT NULL,
	service smallint NOT NULL,
	sender  bigint NOT NULL,
	action  text NOT NULL,
	case_id text NOT NULL,
	until   timestamptz,
	basis   text NOT NULL,
	origin  text NOT NULL,                   -- of the wish that won
	release bigint NOT NULL,                 -- that put it there in this form
	PRIMARY KEY (scope, value, service)
);
CREATE INDEX entry_until ON entry (until) WHERE until IS NOT NULL;
CREATE TABLE release (
	n       bigint PRIMARY KEY,
	list    uuid NOT NULL,
	at      timestamptz NOT NULL,
	added   int NOT NULL,
	removed int NOT NULL,
	count   bigint NOT NULL,
	digest  bytea NOT NULL
);
-- A changed entry is a remove of its old line and an add of its new one, in that order.
CREATE TABLE change (
	release bigint NOT NULL,
	ord     int NOT NULL,
	op      text NOT NULL CHECK (op IN ('add', 'remove')),
	scope   text NOT NULL,
	value   text NOT NULL,
	service smallint NOT NULL,
	action  text NOT NULL,
	case_id text NOT NULL,
	until   timestamptz,
	basis   text NOT NULL,
	PRIMARY KEY (release, ord)
);
-- Automatic additions, for the sliding caps.
CREATE TABLE admission (
	at      timestamptz NOT NULL,
	sender  bigint NOT NULL,
	service smallint NOT NULL
);
CREATE INDEX admission_at ON admission (at);

-- Kamailio htable's shape: key_name, key_type, value_type, key_value, expires (unix seconds, 0 open).
CREATE VIEW blk_htable AS
	SELECT id, key_name, 0 AS key_type, 0 AS value_type, key_value, expires FROM (
		SELECT sender * 2 + service AS id, value AS key_name,
		       action || '|' || case_id || '|' || coalesce(extract(epoch FROM until)::bigint, 0) AS key_value,
		       coalesce(extract(epoch FROM until)::bigint, 0) AS expires
		FROM entry WHERE service = 1 AND scope IN ('number', 'short') AND action = 'bar') v;
