-- 0004: what FETCH PREVIEW tells of a body (RFC 8970). Derived. NULL in rows made before: told from the body when asked.
ALTER TABLE summary ADD COLUMN preview TEXT;
