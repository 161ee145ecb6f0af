-- The journal of one run. `file` and the program know it by this number ("gngo").
PRAGMA application_id = 1735288687;

-- One row. `format` and `program` keep their names for ever: an older gonogo says by them why it cannot read a newer journal.
CREATE TABLE run (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    format  INTEGER NOT NULL,
    program TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    -- Raised by every writer that takes the run up; an append of an older one is refused.
    epoch   INTEGER NOT NULL,
    -- The end of the chain, written in the transaction of every append.
    entries INTEGER NOT NULL,
    head    BLOB    NOT NULL CHECK (length(head) = 32),
    -- JSON for lists of runs; the entries are the truth.
    summary TEXT
) STRICT;

-- hash = SHA-256('gonogo entry v1' || hash of the entry before (32 zero bytes for the first) || json)
CREATE TABLE entry (
    seq  INTEGER PRIMARY KEY CHECK (seq > 0),
    json TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- For people with an sqlite3 prompt.
CREATE VIEW log AS
SELECT seq,
       json ->> '$.at.wall'    AS wall,
       json ->> '$.at.ms'      AS ms,
       json ->> '$.event.kind' AS kind,
       json -> '$.event'       AS event
  FROM entry;
