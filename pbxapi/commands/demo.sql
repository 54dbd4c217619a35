-- What `pbxapi demo` knows: the lines and the trunk of the simulator's default devices.
INSERT INTO pbxapi.dialplans (id, name) VALUES (1, 'main');
INSERT INTO pbxapi.outroute (id, name) VALUES (1, 'upc');
INSERT INTO pbxapi.sip (id, name, technology) VALUES (1, 'upc', 'PJSIP');
INSERT INTO pbxapi.extensions (id, dialplan_id, internal_num, public_num, name, outroute_id)
    SELECT n - 999, 1, n::text, '22233' || n, 'Line ' || n, 1 FROM generate_series(1000, 1019) AS n;
INSERT INTO pbxapi.extension_line (id, extension_id, sip_username, technology)
    SELECT n - 999, n - 999, 'Linka_' || n, 'PJSIP' FROM generate_series(1000, 1019) AS n;
