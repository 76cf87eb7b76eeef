-- 0003: limits beside that of bytes, limits that people set for themselves, and what EXPUNGE would free.

-- What the box's owner allows; null is no limit. quota, of 0001, is in bytes.
ALTER TABLE account ADD COLUMN quota_messages INTEGER;
ALTER TABLE account ADD COLUMN quota_mailboxes INTEGER;
-- What the account allows itself (IMAP SETQUOTA). The stricter of the two holds.
ALTER TABLE account ADD COLUMN own_bytes INTEGER;
ALTER TABLE account ADD COLUMN own_messages INTEGER;
ALTER TABLE account ADD COLUMN own_mailboxes INTEGER;

-- Derived: bytes of the messages flagged \Deleted.
ALTER TABLE mailbox ADD COLUMN deleted_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE mailbox SET deleted_bytes = (SELECT coalesce(sum(size), 0) FROM message INDEXED BY message_deleted
    WHERE message.mailbox = mailbox.id AND flags & 8) WHERE deleted > 0;
