-- The name of a consumer belongs to the token that used it first: consumer.token, '' when it was set free. `named` tells those who gave
-- a name, or acknowledged, from tokens that only fetched: nobody waits for proof from the latter.
ALTER TABLE consumer ADD COLUMN named boolean NOT NULL DEFAULT true;
UPDATE consumer SET named = acked_at IS NOT NULL OR name <> token;
CREATE INDEX consumer_token ON consumer (token);
