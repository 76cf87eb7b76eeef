-- 0002: the full-text index (src/store/fulltext). All of it is derived.

-- The words of a body: rowid is the body's id. Nothing but the inverted lists is stored.
CREATE VIRTUAL TABLE body_words USING fts5 (
    words,
    content = '',
    contentless_delete = 1,
    detail = none,
    tokenize = 'ascii'
);
-- Merging is done a few pages at a time, by a change of its own, and never on the way of another.
INSERT INTO body_words (body_words, rank) VALUES ('automerge', 0), ('crisismerge', 1999);

-- One row: how far the index has come.
CREATE TABLE index_state (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    -- 0 off, 1 on, 2 being emptied.
    mode INTEGER NOT NULL,
    -- Counts beginnings: what was gathered for an earlier one is dropped.
    epoch INTEGER NOT NULL,
    -- Every finished body up to this one is a row of body_words or of index_pending.
    up_to INTEGER NOT NULL,
    -- Rows in all, and those added since all was last merged into one piece.
    rows INTEGER NOT NULL,
    fresh INTEGER NOT NULL,
    -- 1 if the last change left pieces over that may be merged.
    unmerged INTEGER NOT NULL
) STRICT;
INSERT INTO index_state (id, mode, epoch, up_to, rows, fresh, unmerged) VALUES (0, 1, 1, 0, 0, 0, 0);

-- Bodies up to index_state.up_to that have no row: uploads that were finished late (skipped is 0), and those that are
-- read by every search because their words cannot be had or are too many (skipped is 1).
CREATE TABLE index_pending (
    body INTEGER PRIMARY KEY,
    skipped INTEGER NOT NULL
) STRICT;
