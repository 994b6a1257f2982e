-- What the abuse team searches by: a piece of a text or of a number is found by its trigrams. Where the extension pg_trgm is not installed, or may
-- not be created, the same searches walk the queue. docs/cases.md.
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
		CREATE EXTENSION IF NOT EXISTS pg_trgm;
	END IF;
EXCEPTION WHEN insufficient_privilege THEN
	RAISE WARNING 'pg_trgm may not be created by this user: searches in texts stay slow';
END $$;

-- As before, quicker, because most texts are plain, and with capitals whatever the database's locale takes for letters: without their marks they are ASCII.
CREATE OR REPLACE FUNCTION fold_plain(content bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	t text;
BEGIN
	BEGIN
		t := convert_from(content, 'UTF8');
	EXCEPTION WHEN OTHERS THEN
		t := encode(content, 'escape');
	END;
	IF octet_length(t) = length(t) THEN
		RETURN lower(t);
	END IF;
	RETURN lower(translate(regexp_replace(normalize(t, NFD), '[' || U&'\0300' || '-' || U&'\036F' || ']', '', 'g'), 'đĐ', 'dd'));
END $$;

DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
		CREATE INDEX report_text ON report USING gin (fold_plain(content) gin_trgm_ops) WITH (gin_pending_list_limit = 1024)
			WHERE case_id IS NOT NULL;
		CREATE INDEX sender_piece ON sender USING gin (value gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
	END IF;
END $$;

-- Cases with a report whose text is like the pattern; NULL when more than `most` reports are, or the pattern has too little for an index: then the
-- queue is walked in its order and soon finds enough.
CREATE FUNCTION cases_with_text(pattern text, most int) RETURNS text[] LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
	n int;
	ids text[];
BEGIN
	IF length(pattern) < 5 OR NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
		RETURN NULL;
	END IF;
	SELECT count(*), coalesce(array_agg(DISTINCT x.case_id), '{}') INTO n, ids FROM (SELECT r.case_id FROM report r
		WHERE r.case_id IS NOT NULL AND fold_plain(r.content) LIKE pattern LIMIT most + 1) x;
	RETURN CASE WHEN n <= most THEN ids END;
END $$;
-- The same of senders by a piece of their value.
CREATE FUNCTION senders_like(pattern text, most int) RETURNS bigint[] LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
	n int;
	ids bigint[];
BEGIN
	IF length(pattern) < 5 OR NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
		RETURN NULL;
	END IF;
	SELECT count(*), coalesce(array_agg(x.id), '{}') INTO n, ids FROM (SELECT s.id FROM sender s
		WHERE s.id <> 0 AND s.value LIKE pattern LIMIT most + 1) x;
	RETURN CASE WHEN n <= most THEN ids END;
END $$;

-- The queue narrowed to few, in its order.
CREATE INDEX case_state_queue ON case_file (state, due_at, id);
CREATE INDEX case_assigned ON case_file (assignee, due_at, id) WHERE assignee <> '';
CREATE INDEX case_first ON case_file USING brin (first_at);
CREATE INDEX case_sender ON case_file (sender);
DROP INDEX case_closed; -- the same, of the closed ones
