-- Acts: the only source of everything else in this database. Rows are never changed and never deleted.
CREATE TABLE act (
    id INTEGER PRIMARY KEY,          -- the order in which acts were entered, without gaps
    entered_at INTEGER NOT NULL,     -- microseconds since 1970-01-01 UTC
    entry TEXT NOT NULL              -- what was entered, as JSON
) STRICT;

-- Whom an act is about. The numbers that were ever issued are those that are here.
CREATE TABLE act_person (
    number INTEGER NOT NULL,         -- the 14 digits
    act INTEGER NOT NULL,
    PRIMARY KEY (number, act)
) STRICT, WITHOUT ROWID;

-- The search by name; computed from the acts. A word is the skeleton of a family or given name.
CREATE TABLE word (
    id INTEGER PRIMARY KEY,
    bones TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE gram (
    gram TEXT NOT NULL,              -- three letters of a word
    word INTEGER NOT NULL,
    PRIMARY KEY (gram, word)
) STRICT, WITHOUT ROWID;

CREATE TABLE bearer (
    family INTEGER NOT NULL,
    given INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (family, given, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX bearer_by_given ON bearer (given, family);
CREATE INDEX bearer_by_number ON bearer (number);

-- Who looked at whose record. Rows are never changed.
CREATE TABLE look_up (
    id INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    client TEXT NOT NULL,
    user TEXT NOT NULL,
    purpose TEXT NOT NULL,
    service TEXT NOT NULL,
    query_id TEXT NOT NULL
) STRICT;
CREATE INDEX look_up_by_number ON look_up (number, id);

-- Word to those who used a number that was given up.
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    act INTEGER NOT NULL,
    given_up INTEGER NOT NULL,
    kept INTEGER NOT NULL
) STRICT;
CREATE INDEX notice_by_client ON notice (client, id);
