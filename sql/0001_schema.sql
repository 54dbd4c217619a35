-- The relations that the daemon reads and writes. A PBX that keeps the same facts in tables of its
-- own provides views of these names instead and does not run this file.
--
-- The checks keep data from becoming syntax where it ends up: in a dial string, in a header of the
-- manager interface, in a file name. The daemon checks again at run time, since a view has none.

CREATE TABLE pbxapi.dialplans (
    id   bigserial PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[[:cntrl:]]')
);

-- Outbound routes; route <id> is the dialplan context dial_out_<id>.
CREATE TABLE pbxapi.outroute (
    id   bigserial PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[[:cntrl:]]')
);

-- Lines. An extension of Asterisk has at most 79 characters (AST_MAX_EXTENSION).
CREATE TABLE pbxapi.extensions (
    id           bigserial PRIMARY KEY,
    dialplan_id  bigint NOT NULL REFERENCES pbxapi.dialplans,
    internal_num text NOT NULL CHECK (length(internal_num) < 80 AND internal_num ~ '^[0-9*#+]+$'),
    public_num   text UNIQUE CHECK (length(public_num) < 80 AND public_num ~ '^[0-9*#+]+$'),
    name         text NOT NULL DEFAULT '' CHECK (length(name) <= 255 AND name !~ '[[:cntrl:]]'),
    outroute_id  bigint REFERENCES pbxapi.outroute,
    recording    boolean NOT NULL DEFAULT false,
    UNIQUE (dialplan_id, internal_num)
);
CREATE INDEX extensions_internal_num ON pbxapi.extensions (internal_num);

-- The SIP accounts of the lines.
CREATE TABLE pbxapi.extension_line (
    id           bigserial PRIMARY KEY,
    extension_id bigint NOT NULL REFERENCES pbxapi.extensions ON DELETE CASCADE,
    sip_username text NOT NULL UNIQUE
        CHECK (length(sip_username) < 80 AND sip_username ~ '^[A-Za-z0-9_.+-]+$'),
    technology   text NOT NULL CHECK (technology IN ('SIP', 'PJSIP'))
);
CREATE INDEX extension_line_extension_id ON pbxapi.extension_line (extension_id);

-- The trunks.
CREATE TABLE pbxapi.sip (
    id         bigserial PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (length(name) < 80 AND name ~ '^[A-Za-z0-9_.+-]+$'),
    technology text NOT NULL CHECK (technology IN ('SIP', 'PJSIP'))
);

CREATE TABLE pbxapi.queues (
    id   bigserial PRIMARY KEY,
    name text NOT NULL UNIQUE
        CHECK (length(name) BETWEEN 1 AND 79 AND name !~ '[[:cntrl:],|&/@()\[\]]')
);

-- Agents of the call centre; name is their member name in the queues.
CREATE TABLE pbxapi.agents (
    id        bigserial PRIMARY KEY,
    number    text NOT NULL UNIQUE CHECK (length(number) < 80 AND number ~ '^[0-9]+$'),
    name      text NOT NULL UNIQUE
        CHECK (length(name) BETWEEN 1 AND 79 AND name !~ '[[:cntrl:],|&/@()\[\]]'),
    full_name text NOT NULL DEFAULT ''
        CHECK (length(full_name) <= 255 AND full_name !~ '[[:cntrl:]]'),
    pin_hash  text NOT NULL
);

-- Which agent serves which queues, logged in or not.
CREATE TABLE pbxapi.agent_queues (
    agent_id bigint NOT NULL REFERENCES pbxapi.agents ON DELETE CASCADE,
    queue_id bigint NOT NULL REFERENCES pbxapi.queues ON DELETE CASCADE,
    penalty  integer NOT NULL DEFAULT 0 CHECK (penalty >= 0),
    PRIMARY KEY (agent_id, queue_id)
);
CREATE INDEX agent_queues_queue_id ON pbxapi.agent_queues (queue_id);

-- At which account an agent is logged in.
CREATE TABLE pbxapi.agent_logins (
    agent_id          bigint PRIMARY KEY REFERENCES pbxapi.agents ON DELETE CASCADE,
    extension_line_id bigint NOT NULL REFERENCES pbxapi.extension_line ON DELETE CASCADE,
    logged_in_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agent_logins_extension_line_id ON pbxapi.agent_logins (extension_line_id);

-- Who may use the API. No networks: from anywhere.
CREATE TABLE pbxapi.api_users (
    id            bigserial PRIMARY KEY,
    username      text NOT NULL UNIQUE
        CHECK (length(username) BETWEEN 1 AND 255 AND username !~ '[[:cntrl:]]'),
    password_hash text NOT NULL CHECK (password_hash ~ '^\$argon2id\$'),
    permissions   text[] NOT NULL DEFAULT '{}' CHECK (permissions <@ ARRAY[
        'originate', 'hangup', 'listcalls', 'sipstatus', 'spying', 'callcenter', 'moverecord',
        'dtmf', 'metrics']),
    enabled       boolean NOT NULL DEFAULT true,
    networks      cidr[] NOT NULL DEFAULT '{}'
);

-- Call detail records, written by Asterisk's cdr_pgsql. It fills each column that is named like a
-- CDR variable, reads their types once at load, and drops a record whose INSERT fails: so there is
-- no limit of length and no constraint here. Its times are local and without a zone.
CREATE TABLE pbxapi.cdr (
    id            bigserial PRIMARY KEY,
    start         timestamp,
    answer        timestamp,
    "end"         timestamp,
    clid          text,
    src           text,
    dst           text,
    dcontext      text,
    channel       text,
    dstchannel    text,
    lastapp       text,
    lastdata      text,
    duration      integer,
    billsec       integer,
    disposition   text,
    amaflags      integer,
    accountcode   text,
    uniqueid      text,
    linkedid      text,
    userfield     text,
    sequence      bigint,
    peeraccount   text,
    customcdr1    text,
    customcdr2    text,
    customcdr3    text,
    customcdr4    text,
    recordingfile text,
    -- Never filled in a row that is there: see cdr_join_parts().
    customcdr1_2 text,
    customcdr1_3 text,
    customcdr1_4 text,
    customcdr1_5 text,
    customcdr2_2 text,
    customcdr2_3 text,
    customcdr2_4 text,
    customcdr2_5 text,
    customcdr3_2 text,
    customcdr3_3 text,
    customcdr3_4 text,
    customcdr3_5 text,
    customcdr4_2 text,
    customcdr4_3 text,
    customcdr4_4 text,
    customcdr4_5 text
);

-- cdr_pgsql writes 256 bytes of a value and drops the rest (cdr_pgsql.c, pgsql_log()). A custom
-- field that is longer comes in parts, which become one value as the row is written: 255
-- characters of four bytes each are five parts.
CREATE FUNCTION pbxapi.cdr_join_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.customcdr1 := NEW.customcdr1
        || concat(NEW.customcdr1_2, NEW.customcdr1_3, NEW.customcdr1_4, NEW.customcdr1_5);
    NEW.customcdr2 := NEW.customcdr2
        || concat(NEW.customcdr2_2, NEW.customcdr2_3, NEW.customcdr2_4, NEW.customcdr2_5);
    NEW.customcdr3 := NEW.customcdr3
        || concat(NEW.customcdr3_2, NEW.customcdr3_3, NEW.customcdr3_4, NEW.customcdr3_5);
    NEW.customcdr4 := NEW.customcdr4
        || concat(NEW.customcdr4_2, NEW.customcdr4_3, NEW.customcdr4_4, NEW.customcdr4_5);
    NEW.customcdr1_2 := NULL;
    NEW.customcdr1_3 := NULL;
    NEW.customcdr1_4 := NULL;
    NEW.customcdr1_5 := NULL;
    NEW.customcdr2_2 := NULL;
    NEW.customcdr2_3 := NULL;
    NEW.customcdr2_4 := NULL;
    NEW.customcdr2_5 := NULL;
    NEW.customcdr3_2 := NULL;
    NEW.customcdr3_3 := NULL;
    NEW.customcdr3_4 := NULL;
    NEW.customcdr3_5 := NULL;
    NEW.customcdr4_2 := NULL;
    NEW.customcdr4_3 := NULL;
    NEW.customcdr4_4 := NULL;
    NEW.customcdr4_5 := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER cdr_join_parts BEFORE INSERT ON pbxapi.cdr
    FOR EACH ROW EXECUTE FUNCTION pbxapi.cdr_join_parts();

CREATE INDEX cdr_start ON pbxapi.cdr (start);
-- Hash indexes: a btree refuses values beyond 2.7 kB, and with them the record.
CREATE INDEX cdr_uniqueid ON pbxapi.cdr USING hash (uniqueid);
CREATE INDEX cdr_linkedid ON pbxapi.cdr USING hash (linkedid);
CREATE INDEX cdr_recordingfile ON pbxapi.cdr USING hash (recordingfile)
    WHERE recordingfile <> '';

-- The journal of moverecord: one row for each move that has begun and is not yet done with.
CREATE TABLE pbxapi.record_moves (
    id          bigserial PRIMARY KEY,
    cdr_id      bigint NOT NULL,
    source_path text NOT NULL,
    target_path text NOT NULL,
    state       text NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'copied', 'recorded')),
    started_at  timestamptz NOT NULL DEFAULT now()
);
