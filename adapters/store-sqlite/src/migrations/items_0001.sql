-- Items and events of one service. What an item means, the domain knows.

CREATE TABLE item (
    kind    INTEGER NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,
    owner   TEXT,
    other   TEXT,
    -- Microseconds since 1970; null: never.
    expires INTEGER,
    body    TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

CREATE INDEX item_of_owner ON item (kind, owner, key) WHERE owner IS NOT NULL;
CREATE INDEX item_of_other ON item (kind, other, key) WHERE other IS NOT NULL;
CREATE INDEX item_expires ON item (expires) WHERE expires IS NOT NULL;

CREATE TABLE event (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    account TEXT,
    actor   TEXT,
    body    TEXT NOT NULL
);

CREATE INDEX event_of_account ON event (account, id) WHERE account IS NOT NULL;
CREATE INDEX event_of_actor ON event (actor, id) WHERE actor IS NOT NULL;
CREATE INDEX event_at ON event (at);
