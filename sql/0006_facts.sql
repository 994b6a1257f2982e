-- What comes on topics beside the reports. A row's place in Kafka says which of several records is the last.

-- contacts/1: the carrier's own record of the contact that a report is about. It may be here before its report.
CREATE TABLE contact_fact (
	id_hash    bytea PRIMARY KEY,            -- MAC of the report id, as in report_key
	matched    smallint NOT NULL,
	origin     smallint NOT NULL,
	duration_s int,
	source     text NOT NULL, part int NOT NULL, "offset" bigint NOT NULL,
	noted_at   timestamptz NOT NULL,
	extra      text NOT NULL                 -- JSON: message_id, service, unknown fields; or ''
) WITH (fillfactor = 90);

-- activity/1: what a sender did in a span of time. A span that is told again takes the place of what was told before.
CREATE TABLE activity (
	scope      text NOT NULL,
	value      text COLLATE "C" NOT NULL,
	from_at    timestamptz NOT NULL,
	to_at      timestamptz NOT NULL,
	sms_out bigint NOT NULL, calls_out bigint NOT NULL, sms_in bigint NOT NULL, calls_in bigint NOT NULL,
	new_contacts bigint NOT NULL, short_calls bigint NOT NULL, short_gaps bigint NOT NULL, distinct_peers bigint NOT NULL,
	source     text NOT NULL, part int NOT NULL, "offset" bigint NOT NULL,
	PRIMARY KEY (scope, value, from_at, to_at)
);
-- The same per sender and calendar day in Vietnam, a span counted for the day it begins on. Peers are at least those of the busiest span.
CREATE VIEW activity_day AS
	SELECT scope, value, (from_at AT TIME ZONE INTERVAL '7 hours')::date AS day, count(*) AS spans,
	       sum(sms_out) AS sms_out, sum(calls_out) AS calls_out, sum(sms_in) AS sms_in, sum(calls_in) AS calls_in,
	       sum(new_contacts) AS new_contacts, sum(short_calls) AS short_calls, sum(short_gaps) AS short_gaps,
	       max(distinct_peers) AS distinct_peers
	FROM activity GROUP BY scope, value, day;

-- Answers of recipients. A poll that nobody asked has no answers: they are quarantined.
CREATE TABLE poll (
	poll_id   text COLLATE "C" PRIMARY KEY,
	sender    bigint NOT NULL,
	service   smallint NOT NULL,
	sample    int NOT NULL,
	asked_at  timestamptz NOT NULL
);
CREATE TABLE poll_answer (
	poll_id   text COLLATE "C" PRIMARY KEY,  -- the last record by offset: its counts are of the whole poll
	scope     text NOT NULL,
	value     text COLLATE "C" NOT NULL,
	yes bigint NOT NULL, no bigint NOT NULL, silent bigint NOT NULL,
	source    text NOT NULL, part int NOT NULL, "offset" bigint NOT NULL,
	noted_at  timestamptz NOT NULL
);

-- What became of a request to the HLR or BSS, and of a notice.
CREATE TABLE provisioning_result (
	request_id text COLLATE "C" PRIMARY KEY,
	status     text NOT NULL CHECK (status IN ('done', 'failed', 'not_ours')),
	at         timestamptz NOT NULL,
	source     text NOT NULL, part int NOT NULL, "offset" bigint NOT NULL,
	noted_at   timestamptz NOT NULL
);
CREATE TABLE notice_result (LIKE provisioning_result INCLUDING INDEXES,
	CHECK (status IN ('delivered', 'undelivered')));

-- Numbers that changed hands or carriers: every event is kept.
CREATE TABLE subscription (
	number   text COLLATE "C" NOT NULL,      -- E.164 digits
	at       timestamptz NOT NULL,
	event    text NOT NULL CHECK (event IN ('reassigned', 'ported_in', 'ported_out', 'terminated')),
	carrier  text NOT NULL,
	source   text NOT NULL, part int NOT NULL, "offset" bigint NOT NULL,
	noted_at timestamptz NOT NULL,
	PRIMARY KEY (number, at, event)
);
