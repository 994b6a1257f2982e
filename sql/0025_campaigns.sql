-- What reports' texts have in common. Workers leave what they read from the texts in `gleaned`, one row for many, and touch nothing else of this; one
-- process at a time folds it into campaigns and evidence and puts senders whose judgement hangs on it into `rejudge`.
-- Lock order: campaign tables are written by that process alone, by people's decisions under the same advisory lock, and before any sender is locked.
CREATE TYPE gleaned_text AS (key bigint, fingerprint bigint, sketch bytea, bands bytea, sender bigint, service smallint, reporter bigint,
	verified boolean, at bigint);
CREATE TYPE gleaned_evidence AS (kind smallint, key bytea, shown text, flags int, sender bigint, service smallint, reporter bigint, at bigint,
	id_hash bytea);
CREATE TABLE gleaned (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	texts    gleaned_text[] NOT NULL,
	evidence gleaned_evidence[] NOT NULL
);

-- ---- campaigns: docs/judgement.md section 8 ----
CREATE TABLE campaign (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name      bigint NOT NULL,               -- its smallest fingerprint
	texts     int NOT NULL DEFAULT 0,
	reports   bigint NOT NULL DEFAULT 0,
	reporters int NOT NULL DEFAULT 0,        -- verified; counted up to a bound
	senders   int NOT NULL DEFAULT 0,
	level     smallint NOT NULL DEFAULT 0,   -- 0..4, of the score's term
	oversized boolean NOT NULL DEFAULT false,
	first_at  bigint, last_at bigint         -- microseconds, as in vote
);
CREATE INDEX campaign_newest ON campaign (last_at DESC, id DESC);
CREATE INDEX campaign_oversized ON campaign (id) WHERE oversized;
CREATE TABLE campaign_text (
	key         bigint PRIMARY KEY,          -- of the sketch: texts with the same features are one
	fingerprint bigint NOT NULL,
	sketch      bytea NOT NULL,              -- its values, big-endian
	bands       bytea NOT NULL,
	campaign    bigint,                      -- NULL: not linked yet
	reports     bigint NOT NULL,
	first_at    bigint NOT NULL, last_at bigint NOT NULL,
	upheld_at   timestamptz,                 -- people have said that it belongs to a campaign of spam or scam
	dismissed_at timestamptz,
	decided_by  text NOT NULL DEFAULT ''
) WITH (fillfactor = 80);
CREATE INDEX campaign_text_campaign ON campaign_text (campaign);
CREATE INDEX campaign_text_fingerprint ON campaign_text (fingerprint);
CREATE TABLE campaign_band (band bigint NOT NULL, text bigint NOT NULL, PRIMARY KEY (band, text));
CREATE TABLE campaign_say (
	text     bigint NOT NULL,
	sender   bigint NOT NULL,
	service  smallint NOT NULL,
	reporter bigint NOT NULL,
	verified boolean NOT NULL,
	reports  bigint NOT NULL,
	first_at bigint NOT NULL, last_at bigint NOT NULL,
	PRIMARY KEY (text, sender, service, reporter)
) WITH (fillfactor = 80);
CREATE INDEX campaign_say_sender ON campaign_say (sender, service, text);
CREATE FUNCTION campaign_bands(bands bytea) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT ('x' || encode(substr(bands, 8 * i + 1, 8), 'hex'))::bit(64)::bigint FROM generate_series(0, length(bands) / 8 - 1) i
$$;
-- Numbers without a sign, as 16 hexadecimal digits.
CREATE FUNCTION campaign_name(name bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(to_hex(name), 16, '0') $$;

-- ---- evidence: what texts name, and since when ----
CREATE TABLE evidence (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind      smallint NOT NULL,             -- 0 domain, 1 url, 2 phone, 3 account, 4 handle
	key       bytea NOT NULL,                -- what it is; of the last three kinds its MAC
	shown     text NOT NULL,                 -- of the last three kinds masked
	flags     int NOT NULL,
	reports   bigint NOT NULL,
	reporters int NOT NULL DEFAULT 0,        -- distinct; counted up to a bound
	senders   int NOT NULL DEFAULT 0,
	first_at  bigint NOT NULL, last_at bigint NOT NULL,
	UNIQUE (kind, key)
) WITH (fillfactor = 80);
CREATE TABLE evidence_seen (
	evidence bigint NOT NULL,
	sender   bigint NOT NULL,
	service  smallint NOT NULL,
	reporter bigint NOT NULL,
	reports  bigint NOT NULL,
	first_at bigint NOT NULL, last_at bigint NOT NULL,
	PRIMARY KEY (evidence, sender, service, reporter)
) WITH (fillfactor = 80);
CREATE INDEX evidence_seen_sender ON evidence_seen (sender, evidence);
CREATE TABLE evidence_report (id_hash bytea NOT NULL, evidence bigint NOT NULL, PRIMARY KEY (id_hash, evidence));

-- ---- what is known of a sender beside its votes ----
CREATE TABLE signal (
	sender   bigint NOT NULL,
	service  smallint NOT NULL,
	campaign smallint NOT NULL,              -- the largest level of its texts' campaigns
	behaviour real NOT NULL,                 -- 0..1
	poll     real NOT NULL,                  -- -1..1
	campaign_at bigint, behaviour_at bigint, poll_at bigint, -- from when on each is a leg; microseconds
	PRIMARY KEY (sender, service)
) WITH (fillfactor = 80);
CREATE TABLE rejudge (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sender bigint NOT NULL, service smallint NOT NULL);
