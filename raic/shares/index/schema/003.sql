-- Expiry, what clients complain of, and what the operator took down, version 3.

CREATE TABLE expiry_runs (
    started INTEGER NOT NULL PRIMARY KEY,
    ended INTEGER,               -- NULL while it is under way, or when it was cut short
    before INTEGER NOT NULL,     -- leases that end before this second were over
    immutable INTEGER NOT NULL,
    mutable INTEGER NOT NULL,
    leases INTEGER NOT NULL,
    shares INTEGER NOT NULL,
    share_bytes INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    slot_bytes INTEGER NOT NULL,
    objects INTEGER NOT NULL     -- made garbage
);

CREATE TABLE expunged (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    storage_index BLOB NOT NULL,
    reason TEXT NOT NULL,
    shares INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    bytes INTEGER NOT NULL
);

ALTER TABLE advisories ADD COLUMN checked INTEGER;  -- NULL until the share was read
ALTER TABLE advisories ADD COLUMN verdict TEXT NOT NULL DEFAULT '';

CREATE INDEX advisories_by_share ON advisories (storage_index, kind, shnum, received);
CREATE INDEX advisories_unchecked ON advisories (id) WHERE checked IS NULL;
