-- How much space everything takes, version 4.

-- How many bytes each provider that has a part of an object stores of it, tags included.  It is
-- remembered, for an array may cut later objects otherwise.
ALTER TABLE shares ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE slots ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;     -- chunks included
ALTER TABLE slots ADD COLUMN share_bytes INTEGER NOT NULL DEFAULT 0;  -- zeros stored nowhere excluded
ALTER TABLE garbage ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE garbage ADD COLUMN number INTEGER;  -- of a fragment; NULL for an object
ALTER TABLE repairs ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repairs ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

UPDATE shares SET stored = stored_bytes(header_length + length);
UPDATE slots SET
    stored = all_stored_bytes(object_lengths(size, manifest)),
    share_bytes = manifest_bytes(manifest);
UPDATE garbage SET stored = key_bytes(key), number = key_number(key);
UPDATE repairs SET stored = key_bytes(fragment), number = key_number(fragment);

ALTER TABLE totals ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN slot_share_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN garbage_bytes INTEGER NOT NULL DEFAULT 0;  -- of objects
UPDATE totals SET
    stored = (SELECT coalesce(sum(stored), 0) FROM shares)
        + (SELECT coalesce(sum(stored), 0) FROM slots),
    slot_share_bytes = (SELECT coalesce(sum(share_bytes), 0) FROM slots),
    garbage_bytes = (SELECT coalesce(sum(stored), 0) FROM garbage WHERE number IS NULL);

CREATE TABLE fragment_totals (
    number INTEGER NOT NULL PRIMARY KEY,
    missing_bytes INTEGER NOT NULL,  -- of repairs
    garbage_bytes INTEGER NOT NULL
);

INSERT INTO fragment_totals
    SELECT number, sum(missing), sum(discarded) FROM (
        SELECT number, stored AS missing, 0 AS discarded FROM repairs
        UNION ALL SELECT number, 0, stored FROM garbage WHERE number IS NOT NULL)
    GROUP BY number;

-- What is stored under a storage index counts for the day on which its last lease ends.
CREATE TABLE leased_days (
    day INTEGER NOT NULL PRIMARY KEY,
    stored INTEGER NOT NULL
);

INSERT INTO leased_days
    SELECT day, sum(stored) FROM (
        SELECT storage_index, max(expires) / 86400 AS day FROM leases GROUP BY storage_index)
    JOIN (
        SELECT storage_index, stored FROM shares
        UNION ALL SELECT storage_index, stored FROM slots) USING (storage_index)
    GROUP BY day;

DROP TRIGGER share_added;
DROP TRIGGER share_removed;
DROP TRIGGER slot_added;
DROP TRIGGER slot_resized;
DROP TRIGGER slot_removed;
DROP TRIGGER lease_added;
DROP TRIGGER lease_removed;
DROP TRIGGER garbage_added;
DROP TRIGGER garbage_removed;
DROP TRIGGER repair_added;
DROP TRIGGER repair_removed;

CREATE TRIGGER share_added AFTER INSERT ON shares BEGIN
    UPDATE totals SET
        shares = shares + 1, share_bytes = share_bytes + NEW.length, stored = stored + NEW.stored;
    UPDATE leased_days SET stored = stored + NEW.stored WHERE day = (
        SELECT max(expires) / 86400 FROM leases WHERE storage_index = NEW.storage_index);
END;
CREATE TRIGGER share_removed AFTER DELETE ON shares BEGIN
    UPDATE totals SET
        shares = shares - 1, share_bytes = share_bytes - OLD.length, stored = stored - OLD.stored;
    UPDATE leased_days SET stored = stored - OLD.stored WHERE day = (
        SELECT max(expires) / 86400 FROM leases WHERE storage_index = OLD.storage_index);
END;

CREATE TRIGGER slot_added AFTER INSERT ON slots BEGIN
    UPDATE totals SET
        slots = slots + 1, slot_bytes = slot_bytes + NEW.size + NEW.chunk_bytes,
        stored = stored + NEW.stored, slot_share_bytes = slot_share_bytes + NEW.share_bytes;
    UPDATE leased_days SET stored = stored + NEW.stored WHERE day = (
        SELECT max(expires) / 86400 FROM leases WHERE storage_index = NEW.storage_index);
END;
CREATE TRIGGER slot_resized AFTER UPDATE ON slots
    WHEN OLD.stored <> NEW.stored OR OLD.share_bytes <> NEW.share_bytes
        OR OLD.size + OLD.chunk_bytes <> NEW.size + NEW.chunk_bytes BEGIN
    UPDATE totals SET
        slot_bytes = slot_bytes + NEW.size + NEW.chunk_bytes - OLD.size - OLD.chunk_bytes,
        stored = stored + NEW.stored - OLD.stored,
        slot_share_bytes = slot_share_bytes + NEW.share_bytes - OLD.share_bytes;
    UPDATE leased_days SET stored = stored + NEW.stored - OLD.stored WHERE day = (
        SELECT max(expires) / 86400 FROM leases WHERE storage_index = NEW.storage_index);
END;
CREATE TRIGGER slot_removed AFTER DELETE ON slots BEGIN
    UPDATE totals SET
        slots = slots - 1, slot_bytes = slot_bytes - OLD.size - OLD.chunk_bytes,
        stored = stored - OLD.stored, slot_share_bytes = slot_share_bytes - OLD.share_bytes;
    UPDATE leased_days SET stored = stored - OLD.stored WHERE day = (
        SELECT max(expires) / 86400 FROM leases WHERE storage_index = OLD.storage_index);
END;

-- A lease that comes, goes or is renewed may change which day is the last.
CREATE TRIGGER lease_added AFTER INSERT ON leases BEGIN
    UPDATE totals SET leases = leases + 1;
    UPDATE leased_days
        SET stored = stored
            - (SELECT coalesce(sum(stored), 0) FROM shares WHERE storage_index = NEW.storage_index)
            - coalesce((SELECT stored FROM slots WHERE storage_index = NEW.storage_index), 0)
        WHERE day = (
            SELECT max(expires) / 86400 FROM leases
            WHERE storage_index = NEW.storage_index AND renew_digest <> NEW.renew_digest);
    INSERT INTO leased_days
        SELECT max(expires) / 86400,
            (SELECT coalesce(sum(stored), 0) FROM shares WHERE storage_index = NEW.storage_index)
            + coalesce((SELECT stored FROM slots WHERE storage_index = NEW.storage_index), 0)
        FROM leases WHERE storage_index = NEW.storage_index
        ON CONFLICT DO UPDATE SET stored = stored + excluded.stored;
END;
CREATE TRIGGER lease_renewed AFTER UPDATE OF expires ON leases
    WHEN OLD.expires / 86400 <> NEW.expires / 86400 BEGIN
    UPDATE leased_days
        SET stored = stored
            - (SELECT coalesce(sum(stored), 0) FROM shares WHERE storage_index = NEW.storage_index)
            - coalesce((SELECT stored FROM slots WHERE storage_index = NEW.storage_index), 0)
        WHERE day = max(OLD.expires, coalesce((
            SELECT max(expires) FROM leases
            WHERE storage_index = NEW.storage_index AND renew_digest <> NEW.renew_digest),
            OLD.expires)) / 86400;
    INSERT INTO leased_days
        SELECT max(expires) / 86400,
            (SELECT coalesce(sum(stored), 0) FROM shares WHERE storage_index = NEW.storage_index)
            + coalesce((SELECT stored FROM slots WHERE storage_index = NEW.storage_index), 0)
        FROM leases WHERE storage_index = NEW.storage_index
        ON CONFLICT DO UPDATE SET stored = stored + excluded.stored;
END;
CREATE TRIGGER lease_removed AFTER DELETE ON leases BEGIN
    UPDATE totals SET leases = leases - 1;
END;
CREATE TRIGGER lease_of_stored_removed AFTER DELETE ON leases
    WHEN EXISTS (SELECT 1 FROM shares WHERE storage_index = OLD.storage_index)
        OR EXISTS (SELECT 1 FROM slots WHERE storage_index = OLD.storage_index) BEGIN
    UPDATE leased_days
        SET stored = stored
            - (SELECT coalesce(sum(stored), 0) FROM shares WHERE storage_index = OLD.storage_index)
            - coalesce((SELECT stored FROM slots WHERE storage_index = OLD.storage_index), 0)
        WHERE day = max(OLD.expires, coalesce((
            SELECT max(expires) FROM leases WHERE storage_index = OLD.storage_index),
            OLD.expires)) / 86400;
    INSERT INTO leased_days
        SELECT max(expires) / 86400,
            (SELECT coalesce(sum(stored), 0) FROM shares WHERE storage_index = OLD.storage_index)
            + coalesce((SELECT stored FROM slots WHERE storage_index = OLD.storage_index), 0)
        FROM leases WHERE storage_index = OLD.storage_index GROUP BY storage_index
        ON CONFLICT DO UPDATE SET stored = stored + excluded.stored;
END;

CREATE TRIGGER garbage_added AFTER INSERT ON garbage BEGIN
    UPDATE totals SET
        garbage = garbage + 1,
        garbage_bytes = garbage_bytes + iif(NEW.number IS NULL, NEW.stored, 0);
    INSERT INTO fragment_totals SELECT NEW.number, 0, NEW.stored WHERE NEW.number IS NOT NULL
        ON CONFLICT DO UPDATE SET garbage_bytes = garbage_bytes + excluded.garbage_bytes;
END;
CREATE TRIGGER garbage_removed AFTER DELETE ON garbage BEGIN
    UPDATE totals SET
        garbage = garbage - 1,
        garbage_bytes = garbage_bytes - iif(OLD.number IS NULL, OLD.stored, 0);
    UPDATE fragment_totals SET garbage_bytes = garbage_bytes - OLD.stored
        WHERE number = OLD.number;
END;

CREATE TRIGGER repair_added AFTER INSERT ON repairs BEGIN
    UPDATE totals SET repairs = repairs + 1;
    INSERT INTO fragment_totals VALUES (NEW.number, NEW.stored, 0)
        ON CONFLICT DO UPDATE SET missing_bytes = missing_bytes + excluded.missing_bytes;
END;
CREATE TRIGGER repair_removed AFTER DELETE ON repairs BEGIN
    UPDATE totals SET repairs = repairs - 1;
    UPDATE fragment_totals SET missing_bytes = missing_bytes - OLD.stored
        WHERE number = OLD.number;
END;
