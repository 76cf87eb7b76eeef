-- 0001: accounts, mailboxes, messages.
--
-- Times are microseconds since 1970. Ids, uids, UIDVALIDITY and modseq come from counters in this file, never from a
-- clock. Facts come first and are never rewritten to suit a program; what is derived stands at the end of its row or
-- of this file and can be made again from the facts by `pillarbox rebuild`.

-- Facts ---------------------------------------------------------------------------------------------------------------

-- The next value of each counter: 'thing' (accounts, mailboxes, credentials), 'body', 'validity'.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE certificate (
    name TEXT PRIMARY KEY,
    chain_pem TEXT NOT NULL,
    key_pem TEXT NOT NULL,
    made INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Domains whose mail is ours, in lower case.
CREATE TABLE domain (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    -- The login name, which is the main address, in lower case.
    name TEXT NOT NULL UNIQUE,
    quota INTEGER,
    made INTEGER NOT NULL
) STRICT;

-- Which account an address reaches; local is '*' for the catch-all of a domain. Both in lower case.
CREATE TABLE address (
    domain TEXT NOT NULL,
    local TEXT NOT NULL,
    account INTEGER NOT NULL,
    PRIMARY KEY (domain, local)
) STRICT, WITHOUT ROWID;

-- Passwords: 'main', and any number of app passwords by name.
CREATE TABLE credential (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- 0 all, 1 read only, 2 send only.
    scope INTEGER NOT NULL,
    hash TEXT NOT NULL,
    made INTEGER NOT NULL,
    last_used INTEGER,
    last_from TEXT,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    -- The modseq of the latest change.
    modseq INTEGER NOT NULL,
    -- The record of expunged uids is whole for changes after this modseq.
    complete_from INTEGER NOT NULL,
    special INTEGER,
    no_select INTEGER NOT NULL,
    -- Derived counters, in the row that every delivery writes anyway.
    messages INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE subscription (
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

-- Interned sets of keywords: names in order, separated by spaces. A set never changes its meaning. 0 is the empty set.
CREATE TABLE keyword_set (
    id INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE
) STRICT;

-- Every keyword ever used in a mailbox, with the spelling that came first there.
CREATE TABLE mailbox_keyword (
    mailbox INTEGER NOT NULL,
    folded TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (mailbox, folded)
) STRICT, WITHOUT ROWID;

-- A message's bytes, stored once however many mailboxes show it. While it is being uploaded, size grows and staged
-- holds the time of the last slice.
CREATE TABLE body (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    sha256 BLOB,
    staged INTEGER,
    -- Derived: rows of message and expunged that show it.
    refs INTEGER NOT NULL
) STRICT;
-- Bodies that nobody shows: uploads, and what the sweep takes.
CREATE INDEX body_loose ON body (id) WHERE refs = 0;

-- id is body * 65536 + number of the slice. Every slice but the last is 256 KiB long before compression (zstd).
CREATE TABLE slice (
    id INTEGER PRIMARY KEY,
    length INTEGER NOT NULL,
    compressed INTEGER NOT NULL,
    stored BLOB NOT NULL
) STRICT;

-- flags: 2 answered, 4 flagged, 8 deleted, 16 draft. Seen (1) is not here: it is per account, in its own table.
CREATE TABLE message (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    body INTEGER NOT NULL,
    size INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    keywords INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    received INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_modseq ON message (mailbox, modseq);
CREATE INDEX message_deleted ON message (mailbox, uid) WHERE flags & 8;

-- A row means that this account has said something about \Seen; without one the message is unseen.
CREATE TABLE seen (
    mailbox INTEGER NOT NULL,
    account INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, account, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_modseq ON seen (mailbox, account, modseq);

-- What was expunged: readable for a while (body is not null), then a tombstone for QRESYNC. flags may hold 1 (seen by
-- the owner). at is the time of expunging, or -1 where nothing is to be kept.
CREATE TABLE expunged (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    body INTEGER,
    size INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    keywords INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    received INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX expunged_modseq ON expunged (mailbox, modseq);
CREATE INDEX expunged_kept ON expunged (mailbox, uid) WHERE body IS NOT NULL;
CREATE INDEX expunged_due ON expunged (at) WHERE body IS NOT NULL;
CREATE INDEX expunged_bare ON expunged (at) WHERE body IS NULL;

-- Derived -------------------------------------------------------------------------------------------------------------

-- How many messages an account has seen in a mailbox.
CREATE TABLE seen_count (
    mailbox INTEGER NOT NULL,
    account INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (mailbox, account)
) STRICT, WITHOUT ROWID;

-- What FETCH, SORT and THREAD tell without parsing MIME: ENVELOPE and BODYSTRUCTURE in wire form, the map of parts,
-- and the sort fields of RFC 5256 and RFC 5957.
CREATE TABLE summary (
    body INTEGER PRIMARY KEY,
    envelope BLOB NOT NULL,
    structure BLOB NOT NULL,
    parts BLOB NOT NULL,
    sent INTEGER,
    subject TEXT NOT NULL,
    sort_from TEXT NOT NULL,
    sort_to TEXT NOT NULL,
    sort_cc TEXT NOT NULL,
    display_from TEXT NOT NULL,
    display_to TEXT NOT NULL,
    message_id TEXT NOT NULL,
    thread_refs TEXT NOT NULL
) STRICT;

INSERT INTO counter (name, next) VALUES ('thing', 1), ('body', 1), ('validity', 1);
