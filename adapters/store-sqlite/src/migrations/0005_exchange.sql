-- Acts that offices entered over the exchange, by their number in the office: so that a repeated message enters nothing.
CREATE TABLE entered (
    office TEXT NOT NULL,
    reference TEXT NOT NULL,
    act INTEGER NOT NULL,
    digest BLOB NOT NULL,            -- of what the office sent
    PRIMARY KEY (office, reference)
) STRICT, WITHOUT ROWID;

-- Up to which act each subscriber was told, and which server tells it until when.
CREATE TABLE subscriber (
    client TEXT PRIMARY KEY,
    told INTEGER NOT NULL,
    holder TEXT NOT NULL,
    held_until INTEGER NOT NULL      -- microseconds since 1970-01-01 UTC
) STRICT, WITHOUT ROWID;
