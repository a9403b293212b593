-- Portraits and signature images; acts name them.
CREATE TABLE image (
    id BLOB PRIMARY KEY,             -- SHA-256 of the bytes
    bytes BLOB NOT NULL              -- a JPEG file
) STRICT, WITHOUT ROWID;

-- The picture that was released to whoever asked.
ALTER TABLE look_up ADD COLUMN released BLOB;
