-- What is blocked, why, until when. Workers write wishes and dirty keys; only the keeper writes entries and releases.

-- Spans of texts compared byte by byte, so that a sender finds the ranges that hold it by an index.
CREATE TYPE textspan AS RANGE (subtype = text, collation = "C");

CREATE TABLE protected (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	scope   text NOT NULL CHECK (scope IN ('number', 'short', 'name')),
	low     text COLLATE "C" NOT NULL,
	high    text COLLATE "C" NOT NULL,       -- = low for a single one; a range has digits of one length
	service smallint,                        -- NULL: both
	owner   text NOT NULL,
	reason  text NOT NULL,
	until   timestamptz,                     -- protection ends here; the keeper then removes the row
	origin  text NOT NULL,                   -- 'file', or who added it
	CHECK (low <= high AND length(low) = length(high))
);
CREATE INDEX protected_key ON protected (scope, low, high);
CREATE INDEX protected_span ON protected USING gist (textspan(low, high, '[]')) WHERE low <> high;
CREATE INDEX protected_until ON protected (until) WHERE until IS NOT NULL;

-- Why an entry should be on the list. One row per reason: auto:scam, auto:nuisance, person:ID, order:NO. The keeper
-- deletes a wanted or admitted one when its time is over; what was decided stays in action.
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
CREATE INDEX wish_wanted ON wish (score DESC, first_at) WHERE state = 'wanted'; -- the keeper's queue

-- Keys to be looked at by the next release. Rows come and go by the thousand, and the keeper asks for the first one
-- forty times a second: it is vacuumed early.
CREATE TABLE dirty (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	sender  bigint NOT NULL,
	service smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
	autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 100000);

-- The keeper's fence and the head of the list.
CREATE TABLE keeper (
	one     boolean PRIMARY KEY DEFAULT true CHECK (one),
	epoch   bigint NOT NULL DEFAULT 0,
	owner   text NOT NULL DEFAULT '',
	beat    bigint NOT NULL DEFAULT 0        -- moves while the leader lives
) WITH (fillfactor = 20);
INSERT INTO keeper DEFAULT VALUES;
CREATE TABLE list_head (
	one     boolean PRIMARY KEY DEFAULT true CHECK (one),
	list    uuid NOT NULL,                   -- lineage: a restore starts a new one
	release bigint NOT NULL,
	count   bigint NOT NULL,
	digest  bytea NOT NULL,                  -- 32 bytes, big-endian sum
	sms_count  bigint NOT NULL DEFAULT 0,    -- of the service sms alone; voice is the rest
	sms_digest bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
	at      timestamptz NOT NULL
) WITH (fillfactor = 20);
CREATE TABLE entry (
	scope   text COLLATE "C" NOT NULL,
	value   text COLLATE "C" NOT NULL,
	service smallint NOT NULL,
	sender  bigint NOT NULL,
	action  text NOT NULL,
	case_id text NOT NULL,
	until   timestamptz,                     -- whole seconds, as in the line
	basis   text NOT NULL,
	origin  text NOT NULL,                   -- of the wish that won
	release bigint NOT NULL,                 -- that put it there in this form
	PRIMARY KEY (scope, value, service)
) WITH (fillfactor = 90);
CREATE INDEX entry_until ON entry (until) WHERE until IS NOT NULL;
CREATE TABLE release (
	n       bigint PRIMARY KEY,
	list    uuid NOT NULL,
	at      timestamptz NOT NULL,
	added   int NOT NULL,                    -- changes of each kind
	removed int NOT NULL,
	count   bigint NOT NULL,
	digest  bytea NOT NULL,
	sms_count  bigint NOT NULL DEFAULT 0,
	sms_digest bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
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
-- Automatic additions, for the sliding caps. Two days are kept.
CREATE TABLE admission (
	at      timestamptz NOT NULL,
	sender  bigint NOT NULL,
	service smallint NOT NULL
);
CREATE INDEX admission_at ON admission (at);

-- Traffic towards these is never barred; travels with every feed. A carrier adds its own care and opt-out codes.
CREATE TABLE exempt (
	destination text COLLATE "C" PRIMARY KEY CHECK (destination ~ '^[0-9]{2,15}$'),
	why         text NOT NULL
);
INSERT INTO exempt VALUES ('111', 'child protection'), ('112', 'search and rescue'), ('113', 'police'), ('114', 'fire'),
	('115', 'ambulance'), ('156', 'spam and scam reports'), ('5656', 'spam and scam reports, Do Not Call registry'),
	('18001090', 'carrier care'), ('18001091', 'carrier care'), ('18008098', 'carrier care'), ('198', 'carrier care'),
	('9090', 'carrier care');

-- Kamailio htable's shape: key_name, key_type, value_type, key_value, expires (unix seconds, 0 open).
CREATE VIEW blk_htable AS
	SELECT id, key_name, 0 AS key_type, 0 AS value_type, key_value, expires FROM (
		SELECT sender * 2 + service AS id, value AS key_name,
		       action || '|' || case_id || '|' || floor(coalesce(extract(epoch FROM until), 0))::bigint AS key_value,
		       floor(coalesce(extract(epoch FROM until), 0))::bigint AS expires
		FROM entry WHERE service = 1 AND scope IN ('number', 'short') AND action = 'bar') v;
