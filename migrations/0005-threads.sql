-- 0005: the thread of each message (RFC 8474 section 5.2).

-- A fact: decided when the message came into its account, and never changed. The body that began the thread; 0: its own.
ALTER TABLE message ADD COLUMN thread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE expunged ADD COLUMN thread INTEGER NOT NULL DEFAULT 0;

-- Derived: message-ids that were seen in an account, as a message's own or as one that it refers to, by the first eight
-- bytes of their SHA-256, and the thread in which each stands.
CREATE TABLE thread_of (
    account INTEGER NOT NULL,
    id_hash INTEGER NOT NULL,
    thread INTEGER NOT NULL,
    PRIMARY KEY (account, id_hash)
) STRICT, WITHOUT ROWID;
