-- What moverecord needs to finish or to undo a move that a crash has interrupted: what the recording
-- looked like, the name of its copy until that is whole, and the checksum of the copy.
ALTER TABLE pbxapi.record_moves
    ADD COLUMN size     bigint NOT NULL DEFAULT 0,
    ADD COLUMN mtime_ns bigint NOT NULL DEFAULT 0,
    ADD COLUMN part     text NOT NULL DEFAULT '',
    ADD COLUMN checksum text NOT NULL DEFAULT '';

-- One move at a time from a file and to a file. Digests: a btree refuses values beyond 2.7 kB.
CREATE UNIQUE INDEX record_moves_source_path ON pbxapi.record_moves (md5(source_path));
CREATE UNIQUE INDEX record_moves_target_path ON pbxapi.record_moves (md5(target_path));
