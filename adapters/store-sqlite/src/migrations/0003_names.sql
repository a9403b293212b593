-- Names are compared in memory; no pieces of them are kept.
DROP TABLE gram;
