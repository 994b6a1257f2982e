-- Who follows the list, and how far: what consumers proved, what they were given, and where CrowdSec's clients stand.

-- Whoever follows the list is told of a new release at once, whatever wrote it; asking now and then is only the net.
CREATE FUNCTION tell_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('khien_release', '');
	RETURN NULL;
END $$;
CREATE TRIGGER list_head_told AFTER INSERT OR UPDATE ON list_head
	FOR EACH STATEMENT EXECUTE FUNCTION tell_release();

CREATE TABLE consumer (
	name       text COLLATE "C" PRIMARY KEY,
	token      text NOT NULL DEFAULT '',     -- the name of the one that spoke for it last
	-- the last acknowledgement
	service    smallint,                     -- of its part of the list; NULL: both
	list       uuid,
	release    bigint,
	count      bigint,
	digest     bytea,
	good       boolean NOT NULL DEFAULT false, -- count and digest were ours at that release
	findings   text NOT NULL DEFAULT '{}',   -- JSON: where it differs, when it does
	acked_at   timestamptz,
	-- the last one that was ours
	good_list  uuid,
	good_release bigint,
	good_at    timestamptz,
	-- what it was last given, whole
	fetched_list uuid,
	fetched_release bigint,
	fetched_at timestamptz
);
-- Since when a consumer provably held a release or a later one. A proof of the same release again adds nothing.
CREATE TABLE proof (
	consumer text COLLATE "C" NOT NULL REFERENCES consumer ON DELETE CASCADE,
	list     uuid NOT NULL,
	release  bigint NOT NULL,
	service  smallint,
	at       timestamptz NOT NULL,
	PRIMARY KEY (consumer, list, release)
);

-- Where a client of the CrowdSec interface stands: per token and address, as CrowdSec has it.
CREATE TABLE pull (
	token   text COLLATE "C" NOT NULL,
	address text COLLATE "C" NOT NULL,
	list    uuid NOT NULL,
	release bigint NOT NULL,
	agent   text NOT NULL DEFAULT '',
	at      timestamptz NOT NULL,
	PRIMARY KEY (token, address)
);
