-- People who log in to the console, their sessions, and how often a log-in failed. A session's token is kept as its MAC, as other tokens are.
CREATE TABLE person (
	name        text COLLATE "C" PRIMARY KEY,
	role        text NOT NULL CHECK (role IN ('viewer', 'analyst', 'supervisor', 'care', 'liaison', 'auditor', 'admin')),
	password    text NOT NULL,               -- Argon2id, as libsodium writes it
	totp        bytea,                       -- the secret, sealed; NULL: none is asked for
	totp_step   bigint NOT NULL DEFAULT 0,   -- of the last code that was used
	created_at  timestamptz NOT NULL,
	disabled_at timestamptz,
	last_login_at timestamptz
);
CREATE TABLE session (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	mac         bytea NOT NULL UNIQUE,
	person      text COLLATE "C" NOT NULL REFERENCES person,
	created_at  timestamptz NOT NULL,
	last_used_at timestamptz NOT NULL,
	idle        interval NOT NULL,           -- it ends when it was not used for so long
	expires_at  timestamptz NOT NULL,        -- and at the latest then
	ended_at    timestamptz
);
CREATE INDEX session_person ON session (person) WHERE ended_at IS NULL;
CREATE TABLE login_failure (
	at          timestamptz NOT NULL,
	name        text COLLATE "C" NOT NULL,
	address     text NOT NULL
);
CREATE INDEX login_failure_name ON login_failure (name, at);
CREATE INDEX login_failure_address ON login_failure (address, at);
-- Whoever may ask: tokens of machines and sessions of people, which have negative ids here. last_used_at is written once a minute.
CREATE VIEW asker AS
	SELECT id, mac, name, role, loopback, expires_at, last_used_at, false AS person FROM token WHERE revoked_at IS NULL
	UNION ALL
	SELECT -s.id, s.mac, p.name, p.role, false, least(s.expires_at, s.last_used_at + s.idle + interval '1 minute'), s.last_used_at, true
	FROM session s JOIN person p ON p.name = s.person WHERE s.ended_at IS NULL AND p.disabled_at IS NULL;
