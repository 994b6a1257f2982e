-- Of a sender with too many votes the newest of each kind take part: docs/judgement.md section 3. The order in which they are found.
CREATE INDEX vote_kind ON vote (sender, service,
	(CASE WHEN yes_at IS NOT NULL THEN 0 WHEN verified_at IS NOT NULL THEN 1 WHEN spoof_at IS NOT NULL THEN 2 ELSE 3 END),
	day DESC, reporter);
