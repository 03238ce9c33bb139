-- The index, version 1; specified in docs/specifications/index.rst.
-- Times are seconds since the Unix epoch; a storage_index is its 16 bytes.

CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    counter INTEGER NOT NULL,    -- no version has had a higher one yet
    clean INTEGER NOT NULL       -- 1 when the last process closed the index
);

CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    shares INTEGER NOT NULL DEFAULT 0,
    share_bytes INTEGER NOT NULL DEFAULT 0,
    slots INTEGER NOT NULL DEFAULT 0,
    slot_bytes INTEGER NOT NULL DEFAULT 0,
    leases INTEGER NOT NULL DEFAULT 0,
    garbage INTEGER NOT NULL DEFAULT 0,
    intents INTEGER NOT NULL DEFAULT 0,
    repairs INTEGER NOT NULL DEFAULT 0,
    advisories INTEGER NOT NULL DEFAULT 0
);

INSERT INTO totals (id) VALUES (1);

CREATE TABLE shares (
    storage_index BLOB NOT NULL,
    shnum INTEGER NOT NULL,
    name TEXT NOT NULL,          -- the object's key after "shares/<2 characters>/<storage index>/"
    header_length INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (storage_index, shnum)
) WITHOUT ROWID;

CREATE TABLE slots (
    storage_index BLOB NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    name TEXT NOT NULL,          -- the version object's key after "slots/<2>/<storage index>/"
    header_length INTEGER NOT NULL,
    size INTEGER NOT NULL,       -- of the version object
    chunk_count INTEGER NOT NULL,
    chunk_bytes INTEGER NOT NULL,
    manifest BLOB NOT NULL,      -- CBOR: [[number, length, offset or chunks, head], ...]
    enabler_digest BLOB NOT NULL,
    enabler_sealed BLOB NOT NULL,
    enabler_nodeid BLOB NOT NULL
);

CREATE TABLE leases (
    storage_index BLOB NOT NULL,
    renew_digest BLOB NOT NULL,
    cancel_digest BLOB NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (storage_index, renew_digest)
) WITHOUT ROWID;

CREATE INDEX leases_by_expiry ON leases (expires);

CREATE TABLE intents (
    key TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE garbage (
    key TEXT NOT NULL PRIMARY KEY,
    not_before INTEGER NOT NULL,
    passes INTEGER NOT NULL,
    storage_index BLOB,          -- NULL when the key does not tell
    tombstone INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX garbage_by_time ON garbage (not_before);
CREATE INDEX garbage_before_tombstones ON garbage (storage_index) WHERE tombstone = 0;

CREATE TABLE repairs (
    fragment TEXT NOT NULL PRIMARY KEY,
    object TEXT NOT NULL         -- the key of the object that it is a fragment of
) WITHOUT ROWID;

CREATE TABLE set_aside (       -- storage indexes whose unknown objects must stay
    storage_index BLOB NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE advisories (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    storage_index BLOB NOT NULL,
    shnum INTEGER NOT NULL,
    reason TEXT NOT NULL,
    received INTEGER NOT NULL
);

CREATE TRIGGER share_added AFTER INSERT ON shares BEGIN
    UPDATE totals SET shares = shares + 1, share_bytes = share_bytes + NEW.length;
END;
CREATE TRIGGER share_removed AFTER DELETE ON shares BEGIN
    UPDATE totals SET shares = shares - 1, share_bytes = share_bytes - OLD.length;
END;

CREATE TRIGGER slot_added AFTER INSERT ON slots BEGIN
    UPDATE totals SET slots = slots + 1, slot_bytes = slot_bytes + NEW.size + NEW.chunk_bytes;
END;
CREATE TRIGGER slot_resized AFTER UPDATE ON slots
    WHEN OLD.size + OLD.chunk_bytes <> NEW.size + NEW.chunk_bytes BEGIN
    UPDATE totals SET
        slot_bytes = slot_bytes + NEW.size + NEW.chunk_bytes - OLD.size - OLD.chunk_bytes;
END;
CREATE TRIGGER slot_removed AFTER DELETE ON slots BEGIN
    UPDATE totals SET slots = slots - 1, slot_bytes = slot_bytes - OLD.size - OLD.chunk_bytes;
END;

CREATE TRIGGER lease_added AFTER INSERT ON leases BEGIN
    UPDATE totals SET leases = leases + 1;
END;
CREATE TRIGGER lease_removed AFTER DELETE ON leases BEGIN
    UPDATE totals SET leases = leases - 1;
END;

CREATE TRIGGER garbage_added AFTER INSERT ON garbage BEGIN
    UPDATE totals SET garbage = garbage + 1;
END;
CREATE TRIGGER garbage_removed AFTER DELETE ON garbage BEGIN
    UPDATE totals SET garbage = garbage - 1;
END;

CREATE TRIGGER intent_added AFTER INSERT ON intents BEGIN
    UPDATE totals SET intents = intents + 1;
END;
CREATE TRIGGER intent_removed AFTER DELETE ON intents BEGIN
    UPDATE totals SET intents = intents - 1;
END;

CREATE TRIGGER repair_added AFTER INSERT ON repairs BEGIN
    UPDATE totals SET repairs = repairs + 1;
END;
CREATE TRIGGER repair_removed AFTER DELETE ON repairs BEGIN
    UPDATE totals SET repairs = repairs - 1;
END;

CREATE TRIGGER advisory_added AFTER INSERT ON advisories BEGIN
    UPDATE totals SET advisories = advisories + 1;
END;
CREATE TRIGGER advisory_removed AFTER DELETE ON advisories BEGIN
    UPDATE totals SET advisories = advisories - 1;
END;
