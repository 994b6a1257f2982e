-- The token model judges beside the rule packs: stored by hash like them, active when the control row names it. NULL: none.
ALTER TABLE artifact DROP CONSTRAINT artifact_kind_check;
ALTER TABLE artifact ADD CHECK (kind IN ('policy', 'rules', 'model'));
ALTER TABLE control ADD COLUMN model bytea REFERENCES artifact;
