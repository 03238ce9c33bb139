-- What an array remembers of its fragments, version 2.

-- Version 1 kept each repair's object; the fragment's key tells it.  No node of version 1 had an
-- array, so what does not look like a fragment's key is none.
CREATE TABLE repairs_2 (
    fragment TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL         -- empty when it was not durable as its object was committed
) WITHOUT ROWID;

INSERT INTO repairs_2 SELECT fragment, '' FROM repairs WHERE fragment LIKE '%--%';
DROP TABLE repairs;
ALTER TABLE repairs_2 RENAME TO repairs;

CREATE TABLE attempts (
    object TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempt TEXT NOT NULL,       -- the one that counts; none is here of which the first counts
    PRIMARY KEY (object, number)
) WITHOUT ROWID;

CREATE TABLE placements (
    number INTEGER NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    former TEXT                  -- from where its fragments are being moved; NULL as a rule
) WITHOUT ROWID;

CREATE TABLE notes (
    name TEXT NOT NULL PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
);

-- When all fragments of an object were last found to be right.  A column takes a few bytes for
-- each object, a table of keys would take a hundred; chunks have no rows, so theirs is a table.
ALTER TABLE shares ADD COLUMN verified INTEGER;
ALTER TABLE slots ADD COLUMN verified INTEGER;

CREATE TABLE verified_chunks (
    key TEXT NOT NULL PRIMARY KEY,
    verified INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE verified_days (   -- how many objects were last verified on each day
    day INTEGER NOT NULL PRIMARY KEY,
    objects INTEGER NOT NULL
);

CREATE INDEX slots_with_chunks ON slots (storage_index) WHERE chunk_count > 0;

ALTER TABLE totals ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN chunks INTEGER NOT NULL DEFAULT 0;
UPDATE totals SET
    repairs = (SELECT count(*) FROM repairs),
    chunks = (SELECT coalesce(sum(chunk_count), 0) FROM slots);

CREATE TRIGGER repair_added AFTER INSERT ON repairs BEGIN
    UPDATE totals SET repairs = repairs + 1;
END;
CREATE TRIGGER repair_removed AFTER DELETE ON repairs BEGIN
    UPDATE totals SET repairs = repairs - 1;
END;

CREATE TRIGGER attempt_added AFTER INSERT ON attempts BEGIN
    UPDATE totals SET attempts = attempts + 1;
END;
CREATE TRIGGER attempt_removed AFTER DELETE ON attempts BEGIN
    UPDATE totals SET attempts = attempts - 1;
END;

CREATE TRIGGER chunks_added AFTER INSERT ON slots WHEN NEW.chunk_count > 0 BEGIN
    UPDATE totals SET chunks = chunks + NEW.chunk_count;
END;
CREATE TRIGGER chunks_changed AFTER UPDATE ON slots WHEN OLD.chunk_count <> NEW.chunk_count BEGIN
    UPDATE totals SET chunks = chunks + NEW.chunk_count - OLD.chunk_count;
END;
CREATE TRIGGER chunks_removed AFTER DELETE ON slots WHEN OLD.chunk_count > 0 BEGIN
    UPDATE totals SET chunks = chunks - OLD.chunk_count;
END;

CREATE TRIGGER share_verified AFTER UPDATE OF verified ON shares
    WHEN OLD.verified IS NOT NEW.verified BEGIN
    UPDATE verified_days SET objects = objects - 1 WHERE day = OLD.verified / 86400;
    INSERT INTO verified_days SELECT NEW.verified / 86400, 1 WHERE NEW.verified IS NOT NULL
        ON CONFLICT DO UPDATE SET objects = objects + 1;
END;
CREATE TRIGGER verified_share_removed AFTER DELETE ON shares WHEN OLD.verified IS NOT NULL BEGIN
    UPDATE verified_days SET objects = objects - 1 WHERE day = OLD.verified / 86400;
END;

CREATE TRIGGER slot_verified AFTER UPDATE OF verified ON slots
    WHEN OLD.verified IS NOT NEW.verified BEGIN
    UPDATE verified_days SET objects = objects - 1 WHERE day = OLD.verified / 86400;
    INSERT INTO verified_days SELECT NEW.verified / 86400, 1 WHERE NEW.verified IS NOT NULL
        ON CONFLICT DO UPDATE SET objects = objects + 1;
END;
CREATE TRIGGER verified_slot_removed AFTER DELETE ON slots WHEN OLD.verified IS NOT NULL BEGIN
    UPDATE verified_days SET objects = objects - 1 WHERE day = OLD.verified / 86400;
END;

CREATE TRIGGER chunk_verified AFTER INSERT ON verified_chunks BEGIN
    INSERT INTO verified_days SELECT NEW.verified / 86400, 1 WHERE TRUE
        ON CONFLICT DO UPDATE SET objects = objects + 1;
END;
CREATE TRIGGER chunk_verified_again AFTER UPDATE ON verified_chunks BEGIN
    UPDATE verified_days SET objects = objects - 1 WHERE day = OLD.verified / 86400;
    INSERT INTO verified_days SELECT NEW.verified / 86400, 1 WHERE TRUE
        ON CONFLICT DO UPDATE SET objects = objects + 1;
END;
CREATE TRIGGER verified_chunk_removed AFTER DELETE ON verified_chunks BEGIN
    UPDATE verified_days SET objects = objects - 1 WHERE day = OLD.verified / 86400;
END;
