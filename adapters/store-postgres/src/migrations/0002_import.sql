-- Rows of earlier registers that people were taken over from, so that a second import enters nobody twice.
CREATE TABLE taken_over (
    number BIGINT PRIMARY KEY,      -- the 14 digits
    digest BIGINT NOT NULL          -- of the row's values
);
