-- Portraits and signature images; acts name them.
CREATE TABLE image (
    id BYTEA PRIMARY KEY,            -- SHA-256 of the bytes
    bytes BYTEA NOT NULL             -- a JPEG file
);

-- The picture that was released to whoever asked.
ALTER TABLE look_up ADD COLUMN released BYTEA;
