-- Orders of the authority: the document as it came, whom it names, and what was done for each of them. docs/orders.md.
CREATE TABLE order_doc (
	document_no text COLLATE "C" PRIMARY KEY,
	issuer      text NOT NULL,
	legal_basis text NOT NULL,
	signed_at   timestamptz NOT NULL,
	received_at timestamptz NOT NULL,
	deadline    timestamptz,                 -- NULL: none was set
	until       timestamptz,                 -- NULL: open-ended
	action      text NOT NULL CHECK (action IN ('bar_out', 'bar_in', 'bar_both', 'recall')),
	sms         boolean NOT NULL,
	voice       boolean NOT NULL,
	class       smallint NOT NULL,
	list_sha256 bytea NOT NULL,
	amends      text,
	revokes     text,
	file        bytea NOT NULL,              -- as it came, sealed
	file_sha256 bytea NOT NULL,
	imported_at timestamptz NOT NULL,
	imported_by text NOT NULL,
	accepted_by text,                        -- the second person, when single items were no senders
	applied_at  timestamptz,                 -- NULL: waits for the second person
	breach      boolean NOT NULL DEFAULT false, -- applied after its deadline
	ended_at    timestamptz,
	ended_by    text,                        -- the document that amended or revoked it; 'until': its time was over
	former_gone boolean NOT NULL DEFAULT false -- what it amends or revokes was not in force here
);
CREATE INDEX order_doc_in_force ON order_doc (document_no) WHERE applied_at IS NOT NULL AND ended_at IS NULL;
CREATE TABLE order_item (
	document_no text COLLATE "C" NOT NULL REFERENCES order_doc,
	line        int NOT NULL,                -- of a CSV file; of JSON the item's place
	raw         text NOT NULL,
	fault       text,                        -- why it is no sender; NULL: it is one
	same_as     int,                         -- the line that names the same sender first
	scope       text COLLATE "C",
	value       text COLLATE "C",
	attribution text,
	carrier     text,
	by_table    boolean,
	number_class text,
	emergency   boolean NOT NULL DEFAULT false,
	PRIMARY KEY (document_no, line)
);
-- A new case's id: c- and 13 characters of base32.
CREATE FUNCTION case_id() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT 'c-' || string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + (get_byte(b, i) & 31), 1), '')
	FROM (SELECT uuid_send(gen_random_uuid()) AS b) r, unnest(ARRAY[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15]) i
$$;
-- One per sender and service. What became of it shows in wish, entry and provisioning.
CREATE TABLE order_target (
	document_no text COLLATE "C" NOT NULL REFERENCES order_doc,
	line        int NOT NULL,
	service     smallint NOT NULL,
	sender      bigint NOT NULL,
	case_id     text COLLATE "C" NOT NULL, -- '' when nothing was done
	state       text NOT NULL CHECK (state IN ('wished', 'held', 'expired', 'not_ours', 'ended')),
	proved_at   timestamptz,                 -- when everybody who acknowledges had the list with it
	ended_at    timestamptz,
	PRIMARY KEY (document_no, line, service)
);
CREATE INDEX order_target_unproved ON order_target (document_no) WHERE state = 'wished' AND proved_at IS NULL;
CREATE INDEX order_doc_until ON order_doc (until) WHERE applied_at IS NOT NULL AND ended_at IS NULL;
CREATE INDEX order_target_sender ON order_target (sender, service);
-- What the HLR and BSS were asked to do for own subscribers; their answers are in provisioning_result.
CREATE TABLE provisioning (
	request_id  text COLLATE "C" PRIMARY KEY, -- p- and 13 characters
	seq         int NOT NULL,                -- counts up per sender
	case_id     text NOT NULL,
	sender      bigint NOT NULL,
	service     smallint NOT NULL,
	action      text NOT NULL,               -- bar_out, bar_both, recall, lift
	origin      text NOT NULL,               -- order:NO, person:NAME
	asked_at    timestamptz NOT NULL,
	told        boolean NOT NULL DEFAULT false -- it is in the outbox
);
CREATE INDEX provisioning_origin ON provisioning (origin, sender, service);
-- What needs two people: the first one's word waits here for the second one's.
CREATE TABLE approval (
	what        text NOT NULL,               -- order.release NO LINE, lift SELECTION
	asked_by    text NOT NULL,
	size        bigint NOT NULL DEFAULT 1,   -- how much it was then; it may be less when the second one agrees
	asked_at    timestamptz NOT NULL,
	PRIMARY KEY (what)
);

-- What the authority is answered, per line: of both services the one that is less far. Executed means that everybody who acknowledges lists had
-- the entry and, where the HLR or BSS was asked, that it answered; it stays so when the order ends.
CREATE FUNCTION order_receipts(no text) RETURNS TABLE (line int, raw text, scope text, value text, fault text, same_as int, receipt text,
	at timestamptz, ended_at timestamptz) LANGUAGE sql STABLE AS $$
	WITH told AS MATERIALIZED (
		SELECT t.line, t.ended_at, greatest(t.proved_at, r.at) AS at, CASE
			WHEN t.state = 'held' THEN 'protected_held'
			WHEN t.state = 'not_ours' OR r.status = 'not_ours' THEN 'not_ours'
			WHEN t.state = 'expired' THEN 'executed'
			WHEN r.status = 'failed' THEN 'failed'
			WHEN t.proved_at IS NOT NULL AND (q.request_id IS NULL OR r.status = 'done') THEN 'executed'
			WHEN t.proved_at IS NOT NULL OR r.status = 'done' THEN 'partial'
			ELSE 'pending' END AS receipt
		FROM order_target t
		LEFT JOIN provisioning q ON q.origin = 'order:' || no AND q.sender = t.sender
			AND q.service = t.service AND q.action <> 'lift'
		LEFT JOIN provisioning_result r ON r.request_id = q.request_id
		WHERE t.document_no = no
	), line AS MATERIALIZED (
		SELECT t.line, min(array_position(ARRAY['failed', 'protected_held', 'pending', 'partial', 'not_ours',
			'executed'], t.receipt)) AS worst, count(DISTINCT t.receipt) AS kinds, bool_or(t.receipt = 'executed') AS some,
			max(t.at) AS at, max(t.ended_at) AS ended_at
		FROM told t GROUP BY t.line
	)
	SELECT i.line, i.raw, i.scope, i.value, i.fault, i.same_as,
	       CASE WHEN i.fault IS NOT NULL THEN 'invalid'
		    WHEN l.worst IS NULL THEN 'pending'
		    WHEN l.some AND l.kinds > 1 AND l.worst > 2 THEN 'partial'
		    ELSE (ARRAY['failed', 'protected_held', 'pending', 'partial', 'not_ours', 'executed'])[l.worst] END AS receipt,
	       l.at, l.ended_at
	FROM order_item i
	LEFT JOIN line l ON l.line = coalesce(i.same_as, i.line)
	WHERE i.document_no = no
$$;

-- The reports of lifted cases hear of it piece by piece, after the lift.
CREATE TABLE retraction (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	sender   bigint NOT NULL,
	case_id  text COLLATE "C" NOT NULL,
	after_at timestamptz NOT NULL DEFAULT '-infinity', -- the last report that was told: received_at, id_hash
	after_id bytea NOT NULL DEFAULT ''
);
