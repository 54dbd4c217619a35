-- Group roles and their rights, applied at the end of every `init` and `upgrade`, so that a role
-- that could not be made the first time gets its rights the next time.
--
-- pbxapi_daemon      what the daemon needs. Adding users and changing the schema is its owner's.
-- pbxapi_cdr_writer  what Asterisk's cdr_pgsql needs.
--
-- A missing right to create roles or to grant is told as a notice and is no failure: with one role
-- that owns everything the daemon works all the same.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['pbxapi_daemon', 'pbxapi_cdr_writer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role % is missing and % may not create it: as a superuser run "CREATE ROLE % NOLOGIN", then "pbxapi db upgrade" again',
                        role_name, current_user, role_name;
                WHEN duplicate_object OR unique_violation THEN
                    NULL;  -- made at the same moment for another database of this server
            END;
        END IF;
    END LOOP;
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pbxapi_daemon') THEN
        GRANT USAGE ON SCHEMA pbxapi TO pbxapi_daemon;
        GRANT SELECT ON pbxapi.dialplans, pbxapi.outroute, pbxapi.extensions,
            pbxapi.extension_line, pbxapi.sip, pbxapi.queues, pbxapi.agents, pbxapi.agent_queues,
            pbxapi.agent_logins, pbxapi.api_users, pbxapi.cdr, pbxapi.record_moves,
            pbxapi.schema_migrations TO pbxapi_daemon;
        GRANT INSERT, UPDATE, DELETE ON pbxapi.agent_queues, pbxapi.agent_logins,
            pbxapi.record_moves TO pbxapi_daemon;
        GRANT USAGE ON SEQUENCE pbxapi.record_moves_id_seq TO pbxapi_daemon;
        GRANT UPDATE (recordingfile) ON pbxapi.cdr TO pbxapi_daemon;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pbxapi_cdr_writer') THEN
        GRANT USAGE ON SCHEMA pbxapi TO pbxapi_cdr_writer;
        GRANT INSERT ON pbxapi.cdr TO pbxapi_cdr_writer;
        GRANT USAGE ON SEQUENCE pbxapi.cdr_id_seq TO pbxapi_cdr_writer;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the rights of pbxapi_daemon and pbxapi_cdr_writer are not granted: % (run "pbxapi db upgrade" as the owner of the schema)',
            SQLERRM;
END
$$;
