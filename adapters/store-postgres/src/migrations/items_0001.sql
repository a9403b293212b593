-- Items and events of one service; PREFIX and COMMITTING are that service's. What an item means, the domain knows.

CREATE TABLE PREFIX_item (
    kind    SMALLINT NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    owner   TEXT COLLATE "C",
    other   TEXT COLLATE "C",
    -- Microseconds since 1970; null: never.
    expires BIGINT,
    body    TEXT NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE INDEX PREFIX_item_of_owner ON PREFIX_item (kind, owner, key) WHERE owner IS NOT NULL;
CREATE INDEX PREFIX_item_of_other ON PREFIX_item (kind, other, key) WHERE other IS NOT NULL;
CREATE INDEX PREFIX_item_expires ON PREFIX_item (expires) WHERE expires IS NOT NULL;

CREATE TABLE PREFIX_event (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    account TEXT COLLATE "C",
    actor   TEXT COLLATE "C",
    body    TEXT NOT NULL
);

CREATE INDEX PREFIX_event_of_account ON PREFIX_event (account, id) WHERE account IS NOT NULL;
CREATE INDEX PREFIX_event_of_actor ON PREFIX_event (actor, id) WHERE actor IS NOT NULL;
CREATE INDEX PREFIX_event_at ON PREFIX_event (at);

-- Makes changes so, all or none, in one round trip. Items come in one order, so that no two wait for each other.
-- `contents`: 0 it stays, 1 it is put, 2 it is gone. SQLSTATE TD001: an item is not as it was read.
CREATE FUNCTION PREFIX_commit(
    kinds SMALLINT[], keys TEXT[], expected BIGINT[], contents SMALLINT[],
    owners TEXT[], others TEXT[], expiries BIGINT[], bodies TEXT[],
    ats BIGINT[], accounts TEXT[], actors TEXT[], events TEXT[]
) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever reads events in order takes it alone for a moment, so that none is under way.
    PERFORM pg_advisory_xact_lock_shared(COMMITTING);
    FOR i IN 1 .. cardinality(kinds) LOOP
        IF contents[i] = 1 AND expected[i] IS NULL THEN
            INSERT INTO PREFIX_item (kind, key, version, owner, other, expires, body)
            VALUES (kinds[i], keys[i], 1, owners[i], others[i], expiries[i], bodies[i])
            ON CONFLICT DO NOTHING;
        ELSIF contents[i] = 1 THEN
            UPDATE PREFIX_item
            SET version = version + 1, owner = owners[i], other = others[i], expires = expiries[i], body = bodies[i]
            WHERE kind = kinds[i] AND key = keys[i] AND version = expected[i];
        ELSIF contents[i] = 2 THEN
            DELETE FROM PREFIX_item WHERE kind = kinds[i] AND key = keys[i] AND version = expected[i];
        ELSE
            PERFORM 1 FROM PREFIX_item WHERE kind = kinds[i] AND key = keys[i] AND version = expected[i] FOR SHARE;
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'an item is not as it was read' USING ERRCODE = 'TD001';
        END IF;
    END LOOP;
    INSERT INTO PREFIX_event (at, account, actor, body)
    SELECT at, account, actor, body FROM unnest(ats, accounts, actors, events) AS e (at, account, actor, body);
END
$$;
