-- The ledger. PostgreSQL is the truth; everything here is written inside one transaction per batch, or by the one keeper.
-- Lock order, the same everywhere: part, report_key, subject (by mac), sender (by scope, value), case_file (by id).
-- No statement that decides calls now(): times are parameters.

-- ---- control: one row that says which policy and rule packs judge, and how far the engine may go ----
CREATE TABLE artifact (
	hash       bytea PRIMARY KEY,            -- SHA-256 over kind, names and contents
	kind       text NOT NULL CHECK (kind IN ('policy', 'rules')),
	version    text NOT NULL,
	files      jsonb NOT NULL,               -- {"name": "base64 content"}
	stored_at  timestamptz NOT NULL
);
CREATE TABLE control (
	one         boolean PRIMARY KEY DEFAULT true CHECK (one),
	generation  bigint NOT NULL,             -- counts activations; each batch compares it
	mode        text NOT NULL CHECK (mode IN ('shadow', 'review', 'auto')),
	kill_switch boolean NOT NULL DEFAULT false,
	policy      bytea NOT NULL REFERENCES artifact,
	rules       bytea NOT NULL REFERENCES artifact,
	activated_at timestamptz NOT NULL,
	activated_by text NOT NULL
);

-- ---- the way in: one row per partition is offset, fence and conservation ----
CREATE TABLE part (
	source      text   NOT NULL,
	topic       text   NOT NULL,
	part        int    NOT NULL,
	epoch       bigint NOT NULL DEFAULT 0,   -- of the owner; an older one is fenced off
	owner       text   NOT NULL DEFAULT '',
	next_offset bigint NOT NULL DEFAULT 0,
	records     bigint NOT NULL DEFAULT 0,
	accepted    bigint NOT NULL DEFAULT 0,
	rejected    bigint NOT NULL DEFAULT 0,
	duplicates  bigint NOT NULL DEFAULT 0,
	routed      bigint NOT NULL DEFAULT 0,
	quarantined bigint NOT NULL DEFAULT 0,
	attempts    int    NOT NULL DEFAULT 0,   -- crashes at next_offset; from 2 on records are taken one by one
	stopped     text   NOT NULL DEFAULT '',  -- why nobody may take it until a person resumes it
	PRIMARY KEY (source, topic, part)
) WITH (fillfactor = 50);
CREATE TABLE part_gap (
	source text NOT NULL, topic text NOT NULL, part int NOT NULL,
	from_offset bigint NOT NULL, to_offset bigint NOT NULL,
	noticed_at timestamptz NOT NULL, why text NOT NULL,
	PRIMARY KEY (source, topic, part, from_offset)
);
CREATE VIEW conservation AS
	SELECT source, topic, part, records, accepted, rejected, duplicates, routed, quarantined,
	       records - accepted - rejected - duplicates - routed - quarantined AS missing
	FROM part;

CREATE TABLE report_key (
	id_hash      bytea PRIMARY KEY,          -- MAC of the report id
	body_mac     bytea,                      -- MAC of the normalised fields; NULL: seen, but nothing claimed it yet
	stored_month date NOT NULL,              -- which partition of report holds it
	seq          int NOT NULL DEFAULT 1,     -- the last number given to an outcome of this report
	claimed      int NOT NULL DEFAULT 0      -- the number of the outcome that claimed it; 0: nothing did yet
) WITH (fillfactor = 90);

CREATE TABLE quarantine (
	source    text NOT NULL, topic text NOT NULL, part int NOT NULL, "offset" bigint NOT NULL,
	at        timestamptz NOT NULL,
	reason    text NOT NULL,
	detail    text NOT NULL,
	sqlstate  text NOT NULL DEFAULT '',
	size      bigint NOT NULL,               -- of the whole record
	bytes     bytea NOT NULL,                -- sealed; the first 64 KiB
	report_id text,                          -- when it was readable
	seq       int NOT NULL DEFAULT 0,        -- of the outcome sent, 0: none
	state     text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'retried', 'dropped')),
	expires_at timestamptz NOT NULL,
	PRIMARY KEY (source, topic, part, "offset")
);
CREATE INDEX quarantine_report_id ON quarantine (report_id) WHERE report_id IS NOT NULL;

-- ---- people: a reporter is a random id; only this table knows the number, under the subject's own wrapped key ----
CREATE TABLE subject (
	id          bigint PRIMARY KEY,          -- random
	mac         bytea NOT NULL UNIQUE,       -- keyed MAC of the number
	wrapped_key bytea NOT NULL,
	sealed      bytea NOT NULL,              -- the number under the subject's key
	trust       real NOT NULL DEFAULT 1,
	created_at  timestamptz NOT NULL
);

-- ---- whom reports are about ----
CREATE TABLE sender (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	scope       text NOT NULL CHECK (scope IN ('number', 'short', 'name', 'none')),
	value       text COLLATE "C" NOT NULL,
	attribution text NOT NULL,
	carrier     text NOT NULL DEFAULT '',
	by_table    boolean NOT NULL DEFAULT false,
	class       text NOT NULL DEFAULT '',    -- of the number plan: mobile, fixed, …
	created_at  timestamptz NOT NULL,
	UNIQUE (scope, value)
) WITH (fillfactor = 80);
-- Reports without a usable sender (withheld, old number) hang on this one.
INSERT INTO sender (id, scope, value, attribution, created_at) OVERRIDING SYSTEM VALUE
	VALUES (0, 'none', '', 'unattributed', 'epoch');

-- One vote per sender, service, reporter and day: docs/judgement.md section 3. Read back for every batch that touches the sender,
-- so its times are microseconds since 1970 as the program has them; vote_seen shows them as times.
CREATE TABLE vote (
	sender      bigint   NOT NULL,
	service     smallint NOT NULL,           -- 0 sms, 1 voice
	day         date     NOT NULL,
	reporter    bigint   NOT NULL,
	weight      real     NOT NULL,
	scam        boolean  NOT NULL,
	text_score  real     NOT NULL,
	claim_score real     NOT NULL,
	first_at    bigint,
	last_at     bigint,
	verified_at bigint,
	scam_at     bigint,
	yes_at      bigint,
	spoof_at    bigint
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX vote_key ON vote (sender, service, day DESC, reporter); -- the order in which the newest are chosen
CREATE VIEW vote_seen AS
	SELECT sender, service, day, reporter, weight, scam, text_score, claim_score,
	       to_timestamp(first_at / 1e6) AS first_at, to_timestamp(last_at / 1e6) AS last_at,
	       to_timestamp(verified_at / 1e6) AS verified_at, to_timestamp(scam_at / 1e6) AS scam_at,
	       to_timestamp(yes_at / 1e6) AS yes_at, to_timestamp(spoof_at / 1e6) AS spoof_at
	FROM vote;

-- What is known of a sender and service, computed from its votes.
CREATE TABLE standing (
	sender    bigint   NOT NULL,
	service   smallint NOT NULL,
	score     real     NOT NULL,
	as_of     timestamptz,
	terms     text     NOT NULL,             -- JSON: [{"name":"REPORTERS","weight":1.234}, …]
	votes     int      NOT NULL,             -- of weight > 0
	floor     timestamptz,                   -- earlier votes no longer count for automatic actions
	rules     text     NOT NULL,             -- versions that judged last
	policy    text     NOT NULL,
	PRIMARY KEY (sender, service)
) WITH (fillfactor = 70);

CREATE INDEX standing_floor ON standing (sender, service) WHERE floor IS NOT NULL; -- few: nearly every look ends here

-- ---- reports, by month of storing ----
CREATE TABLE report (
	stored_month date NOT NULL,
	id_hash     bytea NOT NULL,
	report_id   text NOT NULL,
	disposition smallint NOT NULL,           -- 0 accepted, 1 rejected, 3 routed
	reason      text NOT NULL,
	topic_part  int NOT NULL,
	"offset"    bigint NOT NULL,
	channel     smallint NOT NULL,
	kind        smallint NOT NULL,
	service     smallint NOT NULL,
	class       smallint NOT NULL,           -- 0 nuisance, 1 scam
	received_at timestamptz NOT NULL,
	occurred_at timestamptz,
	stored_at   timestamptz NOT NULL,
	reporter    bigint NOT NULL,             -- subject.id
	verified    boolean NOT NULL,
	sender      bigint NOT NULL,             -- sender.id; 0: none
	sender_raw  text NOT NULL,
	hint        text NOT NULL DEFAULT '',    -- an old number's today form
	case_id     text,
	weight      real NOT NULL,
	merged      boolean NOT NULL,            -- the vote of its day was there already
	matched     smallint NOT NULL,
	origin      smallint NOT NULL,
	duration_s  int,
	label       smallint NOT NULL,           -- 0 none, 1 ham, 2 spam, 3 scam
	text_score  real NOT NULL,
	terms       text NOT NULL,               -- JSON, as in standing
	fingerprint bigint NOT NULL,
	rules       text NOT NULL,               -- pack version of the verdict
	category    text NOT NULL,
	content     bytea NOT NULL,
	extra       text NOT NULL                -- JSON: unknown fields, evidence, message_id, serving_carrier; or ''
) PARTITION BY RANGE (stored_month);
CREATE INDEX report_id_hash ON report (id_hash);
CREATE INDEX report_sender ON report (sender, received_at);

-- Makes the monthly partitions from the month of `at` for `months` months; repeatable. What a month's reports left in report_other,
-- because nobody made its partition in time, moves into it.
CREATE FUNCTION report_partitions(at date, months int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	m date := date_trunc('month', at)::date;
	next date;
	name text;
	made int := 0;
BEGIN
	FOR i IN 1..months LOOP
		next := (m + interval '1 month')::date;
		name := 'report_' || to_char(m, 'YYYYMM');
		IF to_regclass(name) IS NULL THEN
			PERFORM pg_advisory_xact_lock(461263627631); -- two at once: the second one finds it made
		END IF;
		IF to_regclass(name) IS NULL THEN
			EXECUTE format('CREATE TABLE %I (LIKE report INCLUDING ALL)', name);
			EXECUTE format('WITH moved AS (DELETE FROM report_other WHERE stored_month >= %L AND stored_month < %L '
				       'RETURNING *) INSERT INTO %I SELECT * FROM moved', m, next, name);
			EXECUTE format('ALTER TABLE report ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, m, next);
			made := made + 1;
		END IF;
		m := next;
	END LOOP;
	RETURN made;
END $$;
CREATE TABLE report_other PARTITION OF report DEFAULT; -- a net; watched by a metric, normally empty

-- Outcomes after the first; the first one of a report is its row in report or quarantine.
CREATE TABLE outcome (
	id_hash bytea NOT NULL,
	seq     int NOT NULL,
	status  text NOT NULL,
	at      timestamptz NOT NULL,
	reason  text NOT NULL,
	PRIMARY KEY (id_hash, seq)
);

-- ---- cases and what was decided ----
CREATE TABLE case_file (
	id        text COLLATE "C" PRIMARY KEY,  -- c- and 13 characters of base32
	sender    bigint NOT NULL,
	service   smallint NOT NULL,
	class     smallint NOT NULL,
	state     text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'verifying', 'held', 'enforced', 'appealed', 'closed')),
	outcome   text CHECK (outcome IN ('upheld', 'lifted', 'no_action', 'merged', 'referred', 'expired')),
	rung      smallint NOT NULL DEFAULT 0,   -- the peak
	peak_at   timestamptz,
	reports   bigint NOT NULL DEFAULT 0,
	first_at  timestamptz NOT NULL,          -- first received_at
	due_at    timestamptz NOT NULL,          -- the clock
	opened_at timestamptz NOT NULL,
	closed_at timestamptz,
	version   int NOT NULL DEFAULT 1
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX case_open ON case_file (sender, service, class) WHERE state <> 'closed';
CREATE INDEX case_closed ON case_file (sender) WHERE state = 'closed';
CREATE INDEX case_due ON case_file (due_at) WHERE state IN ('open', 'verifying', 'held');

-- One row per episode of the ladder, and per decision of a person or order.
CREATE TABLE action (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	case_id    text NOT NULL,
	sender     bigint NOT NULL,
	service    smallint NOT NULL,
	class      smallint NOT NULL,
	origin     text NOT NULL,                -- 'auto', 'person:NAME', 'order:NO'
	rung       smallint NOT NULL,
	action     text NOT NULL,                -- bar_in, bar_out, person, …
	decided_at timestamptz NOT NULL,
	until      timestamptz,
	state      text NOT NULL,                -- shadow, expired, held, wanted, admitted, ended, superseded, lifted
	reason     text NOT NULL DEFAULT '',
	basis      text NOT NULL,
	reporters  int NOT NULL DEFAULT 0,
	matched    int NOT NULL DEFAULT 0,
	score      real NOT NULL DEFAULT 0,
	terms      text NOT NULL DEFAULT '[]',
	rules      text NOT NULL DEFAULT '',
	policy     text NOT NULL DEFAULT '',
	recorded_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX action_episode ON action (sender, service, class, decided_at) WHERE origin = 'auto' AND state <> 'superseded';
CREATE INDEX action_case ON action (case_id);
CREATE INDEX action_sender ON action (sender, decided_at);

-- ---- messages out: one row holds many, the relay deletes what Kafka has acknowledged ----
CREATE TABLE outbox (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	topic    text NOT NULL,
	messages int NOT NULL,
	body     text NOT NULL                   -- per message: key TAB one line of JSON LF
);
