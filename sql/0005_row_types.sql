-- Rows that the workers send as one parameter. Types of their own: a column more in a table must not change what a running engine sends, and
-- a new form of a row gets a new name.
CREATE TYPE claim_row AS (id_hash bytea, body_mac bytea, seq int, claimed int);
CREATE TYPE subject_row AS (id bigint, mac bytea, wrapped_key bytea, sealed bytea);
CREATE TYPE vote_row AS (sender bigint, service smallint, day date, reporter bigint, weight real, scam boolean, text_score real,
	claim_score real, first_at bigint, last_at bigint, verified_at bigint, scam_at bigint, yes_at bigint, spoof_at bigint);
CREATE TYPE standing_row AS (sender bigint, service smallint, score real, as_of timestamptz, terms text, votes int);
