-- Every statement that the daemon and `pbxapi user` run, by name.
--
-- The relations may be views over tables of another product: results are cast to the types that
-- the code expects, parameters (never columns, which would lose their index) to the contract's
-- types, and nothing here leans on constraints, triggers or system columns.

-- name: alive
-- Whether the database answers at all.
SELECT 1;

-- name: lines_by_public_num
-- $1 public number. Rows of a line are one for each of its accounts, or one without any.
SELECT e.id::bigint, e.dialplan_id::bigint, d.name::text AS dialplan_name, e.internal_num::text,
       e.public_num::text, e.name::text, e.outroute_id::bigint, e.recording::boolean,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text
FROM pbxapi.extensions e
JOIN pbxapi.dialplans d ON d.id = e.dialplan_id
LEFT JOIN pbxapi.extension_line l ON l.extension_id = e.id
WHERE e.public_num = $1::text
ORDER BY e.id, l.id;

-- name: lines_by_internal_num
-- $1 internal number, $2 id of a dial plan or null for all of them.
SELECT e.id::bigint, e.dialplan_id::bigint, d.name::text AS dialplan_name, e.internal_num::text,
       e.public_num::text, e.name::text, e.outroute_id::bigint, e.recording::boolean,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text
FROM pbxapi.extensions e
JOIN pbxapi.dialplans d ON d.id = e.dialplan_id
LEFT JOIN pbxapi.extension_line l ON l.extension_id = e.id
WHERE e.internal_num = $1::text AND ($2::bigint IS NULL OR e.dialplan_id = $2::bigint)
ORDER BY e.id, l.id;

-- name: line_by_id
-- $1 id of the extension.
SELECT e.id::bigint, e.dialplan_id::bigint, d.name::text AS dialplan_name, e.internal_num::text,
       e.public_num::text, e.name::text, e.outroute_id::bigint, e.recording::boolean,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text
FROM pbxapi.extensions e
JOIN pbxapi.dialplans d ON d.id = e.dialplan_id
LEFT JOIN pbxapi.extension_line l ON l.extension_id = e.id
WHERE e.id = $1::bigint
ORDER BY e.id, l.id;

-- name: line_by_sip_username
-- $1 name of an account; its whole line with all accounts.
SELECT e.id::bigint, e.dialplan_id::bigint, d.name::text AS dialplan_name, e.internal_num::text,
       e.public_num::text, e.name::text, e.outroute_id::bigint, e.recording::boolean,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text
FROM pbxapi.extensions e
JOIN pbxapi.dialplans d ON d.id = e.dialplan_id
LEFT JOIN pbxapi.extension_line l ON l.extension_id = e.id
WHERE e.id IN (SELECT one.extension_id FROM pbxapi.extension_line one WHERE one.sip_username = $1::text)
ORDER BY e.id, l.id;

-- name: dialplan_by_name
-- $1 name of a dial plan.
SELECT d.id::bigint FROM pbxapi.dialplans d WHERE d.name = $1::text ORDER BY d.id;

-- name: outroute_by_name
-- $1 name of an outbound route.
SELECT r.id::bigint, r.name::text FROM pbxapi.outroute r WHERE r.name = $1::text ORDER BY r.id;

-- name: outroute_by_id
-- $1 id of an outbound route.
SELECT r.id::bigint, r.name::text FROM pbxapi.outroute r WHERE r.id = $1::bigint;

-- name: devices
-- All accounts of lines and all trunks: whose channel a name in a channel's name is.
SELECT 'extension' AS kind, l.id::bigint, l.sip_username::text AS name,
       e.internal_num::text AS number, l.technology::text
FROM pbxapi.extension_line l
JOIN pbxapi.extensions e ON e.id = l.extension_id
UNION ALL
SELECT 'trunk', s.id::bigint, s.name::text, '', s.technology::text
FROM pbxapi.sip s;

-- name: user_by_name
-- $1 name of an API user.
SELECT u.id::bigint, u.username::text, u.password_hash::text, u.permissions::text[],
       u.enabled::boolean, u.networks::text[]
FROM pbxapi.api_users u
WHERE u.username = $1::text;

-- name: users
-- All API users, without their secrets.
SELECT u.username::text, u.permissions::text[], u.enabled::boolean, u.networks::text[]
FROM pbxapi.api_users u
ORDER BY u.username;

-- name: user_add
-- $1 name, $2 password hash, $3 permissions, $4 networks; no row where the name is taken.
INSERT INTO pbxapi.api_users (username, password_hash, permissions, enabled, networks)
SELECT $1::text, $2::text, $3::text[], true, $4::text[]::cidr[]
WHERE NOT EXISTS (SELECT FROM pbxapi.api_users u WHERE u.username = $1::text)
RETURNING username::text;

-- name: user_set_password
-- $1 name, $2 password hash; no row where there is no such user.
UPDATE pbxapi.api_users SET password_hash = $2::text
WHERE username = $1::text
RETURNING username::text;

-- name: user_set_rights
-- $1 name, $2 permissions, $3 networks, each null where it stays; no row where there is no such user.
UPDATE pbxapi.api_users u
SET permissions = coalesce($2::text[], u.permissions),
    networks = coalesce($3::text[]::cidr[], u.networks)
WHERE u.username = $1::text
RETURNING u.username::text, u.permissions::text[], u.enabled::boolean, u.networks::text[];

-- name: user_set_enabled
-- $1 name, $2 whether the user may use the API; no row where there is no such user.
UPDATE pbxapi.api_users SET enabled = $2::boolean
WHERE username = $1::text
RETURNING username::text;

-- name: user_remove
-- $1 name; no row where there is no such user.
DELETE FROM pbxapi.api_users
WHERE username = $1::text
RETURNING username::text;

-- name: agents
-- All agents, for the comparison with Asterisk: where each is logged in, and his queues. Rows of an
-- agent are one for each of his queues, or one without any.
SELECT a.id::bigint, a.number::text, a.name::text, a.pin_hash::text,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text,
       g.paused::boolean, e.id::bigint AS extension_id, e.internal_num::text, e.dialplan_id::bigint,
       q.id::bigint AS queue_id, q.name::text AS queue, aq.penalty::bigint
FROM pbxapi.agents a
LEFT JOIN pbxapi.agent_logins g ON g.agent_id = a.id
LEFT JOIN pbxapi.extension_line l ON l.id = g.extension_line_id
LEFT JOIN pbxapi.extensions e ON e.id = l.extension_id
LEFT JOIN pbxapi.agent_queues aq ON aq.agent_id = a.id
LEFT JOIN pbxapi.queues q ON q.id = aq.queue_id
ORDER BY a.id, q.name;

-- name: agent_by_number
-- $1 number of an agent; rows as of `agents`.
SELECT a.id::bigint, a.number::text, a.name::text, a.pin_hash::text,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text,
       g.paused::boolean, e.id::bigint AS extension_id, e.internal_num::text, e.dialplan_id::bigint,
       q.id::bigint AS queue_id, q.name::text AS queue, aq.penalty::bigint
FROM pbxapi.agents a
LEFT JOIN pbxapi.agent_logins g ON g.agent_id = a.id
LEFT JOIN pbxapi.extension_line l ON l.id = g.extension_line_id
LEFT JOIN pbxapi.extensions e ON e.id = l.extension_id
LEFT JOIN pbxapi.agent_queues aq ON aq.agent_id = a.id
LEFT JOIN pbxapi.queues q ON q.id = aq.queue_id
WHERE a.number = $1::text
ORDER BY a.id, q.name;

-- name: agents_by_id
-- $1 ids of agents; rows as of `agents`.
SELECT a.id::bigint, a.number::text, a.name::text, a.pin_hash::text,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text,
       g.paused::boolean, e.id::bigint AS extension_id, e.internal_num::text, e.dialplan_id::bigint,
       q.id::bigint AS queue_id, q.name::text AS queue, aq.penalty::bigint
FROM pbxapi.agents a
LEFT JOIN pbxapi.agent_logins g ON g.agent_id = a.id
LEFT JOIN pbxapi.extension_line l ON l.id = g.extension_line_id
LEFT JOIN pbxapi.extensions e ON e.id = l.extension_id
LEFT JOIN pbxapi.agent_queues aq ON aq.agent_id = a.id
LEFT JOIN pbxapi.queues q ON q.id = aq.queue_id
WHERE a.id = ANY ($1::bigint[])
ORDER BY a.id, q.name;

-- name: agents_at_line
-- $1 id of an extension: ids of the agents who are logged in there, from whichever account.
SELECT g.agent_id::bigint
FROM pbxapi.agent_logins g
JOIN pbxapi.extension_line l ON l.id = g.extension_line_id
WHERE l.extension_id = $1::bigint
ORDER BY g.agent_id;

-- name: agent_log_in
-- $1 id of an agent, $2 id of an account, $3 whether he pauses, $4 ids of those who have to leave
-- that line: all of it or nothing.
WITH gone AS (
    DELETE FROM pbxapi.agent_logins g WHERE g.agent_id = ANY ($4::bigint[])
), moved AS (
    UPDATE pbxapi.agent_logins
    SET extension_line_id = $2::bigint, paused = $3::boolean, logged_in_at = now()
    WHERE agent_id = $1::bigint
    RETURNING agent_id
)
INSERT INTO pbxapi.agent_logins (agent_id, extension_line_id, paused, logged_in_at)
SELECT $1::bigint, $2::bigint, $3::boolean, now()
WHERE NOT EXISTS (SELECT FROM moved);

-- name: agent_log_out
-- $1 id of an agent.
DELETE FROM pbxapi.agent_logins WHERE agent_id = $1::bigint;

-- name: agent_set_paused
-- $1 id of an agent, $2 whether he pauses; nothing where he is not logged in.
UPDATE pbxapi.agent_logins SET paused = $2::boolean WHERE agent_id = $1::bigint;

-- name: queue_by_name
-- $1 name of a queue, in letters of either case, as Asterisk finds its queues.
SELECT q.id::bigint, q.name::text FROM pbxapi.queues q
WHERE lower(q.name) = lower($1::text)
ORDER BY q.name <> $1::text, q.id;

-- name: agent_assign
-- $1 id of an agent, $2 id of a queue, $3 penalty.
WITH changed AS (
    UPDATE pbxapi.agent_queues SET penalty = $3::bigint
    WHERE agent_id = $1::bigint AND queue_id = $2::bigint
    RETURNING agent_id
)
INSERT INTO pbxapi.agent_queues (agent_id, queue_id, penalty)
SELECT $1::bigint, $2::bigint, $3::bigint
WHERE NOT EXISTS (SELECT FROM changed);

-- name: agent_unassign
-- $1 id of an agent, $2 id of a queue.
DELETE FROM pbxapi.agent_queues WHERE agent_id = $1::bigint AND queue_id = $2::bigint;

-- name: agent_set_pin
-- $1 number of an agent, $2 hash of his PIN; no row where there is no such agent.
UPDATE pbxapi.agents SET pin_hash = $2::text
WHERE number = $1::text
RETURNING number::text;

-- name: agent_by_name
-- $1 name of an agent; rows as of `agents`.
SELECT a.id::bigint, a.number::text, a.name::text, a.pin_hash::text,
       l.id::bigint AS account_id, l.sip_username::text, l.technology::text,
       g.paused::boolean, e.id::bigint AS extension_id, e.internal_num::text, e.dialplan_id::bigint,
       q.id::bigint AS queue_id, q.name::text AS queue, aq.penalty::bigint
FROM pbxapi.agents a
LEFT JOIN pbxapi.agent_logins g ON g.agent_id = a.id
LEFT JOIN pbxapi.extension_line l ON l.id = g.extension_line_id
LEFT JOIN pbxapi.extensions e ON e.id = l.extension_id
LEFT JOIN pbxapi.agent_queues aq ON aq.agent_id = a.id
LEFT JOIN pbxapi.queues q ON q.id = aq.queue_id
WHERE a.name = $1::text
ORDER BY a.id, q.name;

-- name: cdr_recording
-- $1 id of a call record.
SELECT c.id::bigint, c.recordingfile::text, c.uniqueid::text, c.linkedid::text
FROM pbxapi.cdr c
WHERE c.id = $1::bigint;

-- name: record_move_begin
-- $1 id of a call record, $2 its recording, $3 where to, $4 bytes, $5 when written, $6 name of the
-- part; no row where the record has another recording by now, or a move of these files has begun.
INSERT INTO pbxapi.record_moves (cdr_id, source_path, target_path, size, mtime_ns, part)
SELECT $1::bigint, $2::text, $3::text, $4::bigint, $5::bigint, $6::text
WHERE EXISTS (SELECT FROM pbxapi.cdr c WHERE c.id = $1::bigint AND c.recordingfile = $2::text)
  AND NOT EXISTS (
      SELECT FROM pbxapi.record_moves m
      WHERE m.source_path IN ($2::text, $3::text) OR m.target_path IN ($2::text, $3::text)
  )
ON CONFLICT DO NOTHING
RETURNING id::bigint;

-- name: record_move_copied
-- $1 id of the move, $2 checksum of the copy.
UPDATE pbxapi.record_moves SET state = 'copied', checksum = $2::text
WHERE id = $1::bigint
RETURNING id::bigint;

-- name: record_move_recorded
-- $1 id of the move, $2 the old path, $3 the new one; a row for each call record that had the old.
WITH noted AS (
    UPDATE pbxapi.record_moves SET state = 'recorded' WHERE id = $1::bigint RETURNING id
)
UPDATE pbxapi.cdr SET recordingfile = $3::text
WHERE recordingfile = $2::text AND recordingfile <> ''
RETURNING id::bigint;

-- name: record_move_forget
-- $1 id of the move.
DELETE FROM pbxapi.record_moves WHERE id = $1::bigint RETURNING id::bigint;

-- name: record_moves
-- $1 paths, or null: moves of any of these files, or all.
SELECT m.id::bigint, m.cdr_id::bigint, m.source_path::text, m.target_path::text, m.state::text,
       m.size::bigint, m.mtime_ns::bigint, m.part::text, m.checksum::text
FROM pbxapi.record_moves m
WHERE $1::text[] IS NULL OR m.source_path = ANY ($1::text[]) OR m.target_path = ANY ($1::text[])
ORDER BY m.id;

-- name: rights
-- What the role of this session may of what the daemon does; null where there is no such relation.
SELECT w.relation::text AS name, w.right::text,
       CASE WHEN to_regclass(w.relation) IS NULL THEN NULL
            WHEN w.field IS NULL THEN has_table_privilege(to_regclass(w.relation), w.right)
            ELSE has_column_privilege(to_regclass(w.relation), w.field, w.right)
       END AS has
FROM (
    VALUES ('pbxapi.dialplans', 'SELECT', NULL), ('pbxapi.outroute', 'SELECT', NULL),
           ('pbxapi.extensions', 'SELECT', NULL), ('pbxapi.extension_line', 'SELECT', NULL),
           ('pbxapi.sip', 'SELECT', NULL), ('pbxapi.queues', 'SELECT', NULL),
           ('pbxapi.agents', 'SELECT', NULL), ('pbxapi.api_users', 'SELECT', NULL),
           ('pbxapi.cdr', 'SELECT', NULL), ('pbxapi.cdr', 'UPDATE', 'recordingfile'),
           ('pbxapi.agent_queues', 'SELECT', NULL), ('pbxapi.agent_queues', 'INSERT', NULL),
           ('pbxapi.agent_queues', 'UPDATE', NULL), ('pbxapi.agent_queues', 'DELETE', NULL),
           ('pbxapi.agent_logins', 'SELECT', NULL), ('pbxapi.agent_logins', 'INSERT', NULL),
           ('pbxapi.agent_logins', 'UPDATE', NULL), ('pbxapi.agent_logins', 'DELETE', NULL),
           ('pbxapi.record_moves', 'SELECT', NULL), ('pbxapi.record_moves', 'INSERT', NULL),
           ('pbxapi.record_moves', 'UPDATE', NULL), ('pbxapi.record_moves', 'DELETE', NULL)
) AS w (relation, "right", field);

-- name: names
-- What the directory has that Asterisk has to know too, and who may use the API.
SELECT 'dialplan' AS kind, d.id::text, d.name::text, '' AS technology FROM pbxapi.dialplans d
UNION ALL SELECT 'outroute', r.id::text, r.name::text, '' FROM pbxapi.outroute r
UNION ALL SELECT 'line', e.id::text, e.internal_num::text, '' FROM pbxapi.extensions e
UNION ALL SELECT 'account', l.id::text, l.sip_username::text, l.technology::text
          FROM pbxapi.extension_line l
UNION ALL SELECT 'trunk', s.id::text, s.name::text, s.technology::text FROM pbxapi.sip s
UNION ALL SELECT 'queue', q.id::text, q.name::text, '' FROM pbxapi.queues q
UNION ALL SELECT 'user', u.id::text, u.username::text, '' FROM pbxapi.api_users u WHERE u.enabled;
