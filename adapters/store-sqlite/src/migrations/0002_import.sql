-- Rows of earlier registers that people were taken over from, so that a second import enters nobody twice.
CREATE TABLE taken_over (
    number INTEGER PRIMARY KEY,      -- the 14 digits
    digest INTEGER NOT NULL          -- of the row's values
);
