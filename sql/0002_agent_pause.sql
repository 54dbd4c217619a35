-- A pause survives a restart of Asterisk and of the daemon: it is kept with the login, and ends with
-- it. A PBX that provides its own view of agent_logins adds this column to it.
ALTER TABLE pbxapi.agent_logins ADD COLUMN paused boolean NOT NULL DEFAULT false;

-- Asterisk separates the fields of a member that it keeps over a restart by semicolons
-- (app_queue.c, dump_queue_members()): such a name would come back as another one.
ALTER TABLE pbxapi.agents ADD CONSTRAINT agents_name_no_semicolon CHECK (name !~ ';') NOT VALID;
