-- Acts: the only source of everything else in this database. Rows are never changed and never deleted.
CREATE TABLE act (
    id BIGINT PRIMARY KEY,           -- the order in which acts were entered, without gaps
    entered_at BIGINT NOT NULL,      -- microseconds since 1970-01-01 UTC
    entry TEXT NOT NULL              -- what was entered, as JSON
);

-- Whom an act is about. The numbers that were ever issued are those that are here.
CREATE TABLE act_person (
    number BIGINT NOT NULL,          -- the 14 digits
    act BIGINT NOT NULL,
    PRIMARY KEY (number, act)
);

-- The search by name; computed from the acts. A word is the skeleton of a family or given name.
CREATE TABLE word (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bones TEXT NOT NULL UNIQUE
);

CREATE TABLE gram (
    gram TEXT NOT NULL,              -- three letters of a word
    word BIGINT NOT NULL,
    PRIMARY KEY (gram, word)
);

CREATE TABLE bearer (
    family BIGINT NOT NULL,
    given BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (family, given, number)
);
CREATE INDEX bearer_by_given ON bearer (given, family);
CREATE INDEX bearer_by_number ON bearer (number);

-- Who looked at whose record. Rows are never changed.
CREATE TABLE look_up (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    client TEXT NOT NULL,
    officer TEXT NOT NULL,
    purpose TEXT NOT NULL,
    service TEXT NOT NULL,
    query_id TEXT NOT NULL
);
CREATE INDEX look_up_by_number ON look_up (number, id);

-- Word to those who used a number that was given up.
CREATE TABLE notice (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client TEXT NOT NULL,
    act BIGINT NOT NULL,
    given_up BIGINT NOT NULL,
    kept BIGINT NOT NULL
);
CREATE INDEX notice_by_client ON notice (client, id);
