-- Names are compared in memory; no pieces of them are kept.
DROP TABLE gram;
-- With the number, so that whoever bears a given name is found without looking at the table.
DROP INDEX bearer_by_given;
CREATE INDEX bearer_by_given ON bearer (given, family, number);
