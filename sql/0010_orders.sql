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
	ended_by    text                         -- the document that amended or revoked it
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
	FROM (SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) AS b) r,
		unnest(ARRAY[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15]) i
$$;
-- One per sender and service. What became of it shows in wish, entry and provisioning.
CREATE TABLE order_target (
	document_no text COLLATE "C" NOT NULL REFERENCES order_doc,
	line        int NOT NULL,
	service     smallint NOT NULL,
	sender      bigint NOT NULL,
	case_id     text COLLATE "C" NOT NULL, -- '' when nothing was done
	state       text NOT NULL CHECK (state IN ('wished', 'held', 'expired', 'not_ours', 'ended')),
	released_by text,                        -- of a held one: the two who let it through
	PRIMARY KEY (document_no, line, service)
);
CREATE INDEX order_target_sender ON order_target (sender, service);
-- What the HLR and BSS were asked to do for own subscribers; their answers are in provisioning_result.
CREATE TABLE provisioning (
	request_id  text COLLATE "C" PRIMARY KEY,
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
	what        text NOT NULL,               -- order.release NO LINE, lift SET
	asked_by    text NOT NULL,
	asked_at    timestamptz NOT NULL,
	PRIMARY KEY (what)
);

-- What the authority is answered, per line: of both services the one that is less far. An entry is executed when a consumer has proved that it
-- holds the list with it; of an own subscriber's outgoing traffic also the HLR or BSS must have answered.
CREATE VIEW order_receipt AS
	WITH target AS (
		SELECT t.document_no, t.line, t.service, t.state, e.release, h.list,
		       (SELECT min(p.at) FROM proof p WHERE p.list = h.list AND p.release >= e.release
			AND (p.service IS NULL OR p.service = t.service)) AS listed_at,
		       q.request_id, r.status, r.at AS answered_at
		FROM order_target t
		JOIN sender s ON s.id = t.sender
		CROSS JOIN list_head h
		LEFT JOIN entry e ON e.scope = s.scope AND e.value = s.value AND e.service = t.service
			AND e.action = 'bar'
		LEFT JOIN provisioning q ON q.origin = 'order:' || t.document_no AND q.sender = t.sender
			AND q.service = t.service AND q.action <> 'lift'
		LEFT JOIN provisioning_result r ON r.request_id = q.request_id
	), told AS (
		SELECT *, CASE
			WHEN state = 'held' THEN 'protected_held'
			WHEN state = 'not_ours' OR status = 'not_ours' THEN 'not_ours'
			WHEN state IN ('expired', 'ended') THEN 'executed'
			WHEN status = 'failed' THEN 'failed'
			WHEN listed_at IS NOT NULL AND (request_id IS NULL OR status = 'done') THEN 'executed'
			WHEN listed_at IS NOT NULL OR status = 'done' THEN 'partial'
			ELSE 'pending' END AS receipt
		FROM target
	), line AS (
		SELECT document_no, line, min(array_position(ARRAY['failed', 'protected_held', 'pending', 'partial', 'not_ours',
			'executed'], receipt)) AS worst, count(DISTINCT receipt) AS kinds, bool_or(receipt = 'executed') AS some,
			max(greatest(listed_at, answered_at)) AS at
		FROM told GROUP BY document_no, line
	)
	SELECT i.document_no, i.line, i.raw, i.scope, i.value, i.fault, i.same_as,
	       CASE WHEN i.fault IS NOT NULL THEN 'invalid'
		    WHEN l.worst IS NULL THEN 'pending'
		    WHEN l.some AND l.kinds > 1 AND l.worst > 2 THEN 'partial'
		    ELSE (ARRAY['failed', 'protected_held', 'pending', 'partial', 'not_ours', 'executed'])[l.worst] END AS receipt,
	       l.at
	FROM order_item i
	LEFT JOIN line l ON l.document_no = i.document_no AND l.line = coalesce(i.same_as, i.line);
