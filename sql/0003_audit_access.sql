-- The append-only log of who did what and why, and who may ask.

CREATE TABLE audit (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at     timestamptz NOT NULL,
	actor  text NOT NULL,                    -- engine/worker-1, keeper, person:NAME, token:NAME
	what   text NOT NULL,                    -- batch, release, activate, token.create, …
	lines  text NOT NULL                     -- one change a line: "case.open c-… number/8491*****78 sms scam"
);
CREATE TABLE audit_pending (id bigint PRIMARY KEY); -- rows that wait for the keeper to chain them
CREATE TABLE audit_chain (
	seq  bigint PRIMARY KEY,                 -- gapless
	id   bigint NOT NULL UNIQUE REFERENCES audit,
	hash bytea NOT NULL                      -- SHA-256(previous hash || canonical row); audit/audit.h
);
CREATE TABLE token (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name       text NOT NULL UNIQUE,
	mac        bytea NOT NULL UNIQUE,
	role       text NOT NULL CHECK (role IN ('viewer', 'analyst', 'supervisor', 'care', 'liaison', 'auditor', 'admin', 'feed')),
	created_at timestamptz NOT NULL,
	expires_at timestamptz,
	revoked_at timestamptz,
	last_used_at timestamptz,
	loopback   boolean NOT NULL DEFAULT false -- answers only on loopback
);
