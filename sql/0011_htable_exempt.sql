-- Destinations that are never barred, in the shape of Kamailio's htable, beside blk_htable.
CREATE VIEW blk_exempt_htable AS
	SELECT row_number() OVER (ORDER BY destination)::int AS id, destination AS key_name, 0 AS key_type, 0 AS value_type,
	       why AS key_value, 0 AS expires
	FROM exempt;
