-- Of a report's duplicates only the newest answer is kept, and how many there were; every number was given only once all the same.
ALTER TABLE outcome ADD COLUMN times int NOT NULL DEFAULT 1;
UPDATE outcome o SET times = d.n, reason = 'duplicate' FROM (SELECT id_hash, max(seq) AS seq, count(*) AS n FROM outcome
	WHERE status = 'duplicate' GROUP BY id_hash) d WHERE o.id_hash = d.id_hash AND o.seq = d.seq;
DELETE FROM outcome o USING outcome n WHERE o.status = 'duplicate' AND n.status = 'duplicate' AND n.id_hash = o.id_hash AND n.seq > o.seq;
CREATE UNIQUE INDEX outcome_duplicate ON outcome (id_hash) WHERE status = 'duplicate';
