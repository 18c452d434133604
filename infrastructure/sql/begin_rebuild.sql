-- Take note of a rebuild that begins; whatever an earlier one may still do is refused from here on.
INSERT INTO keyledger.rebuilds (name, token, version) VALUES (%(name)s, %(token)s, %(version)s)
ON CONFLICT (name) DO UPDATE SET
    token = excluded.token, version = excluded.version, position = 0, state = NULL, failed_position = NULL,
    failure = NULL, started_at = clock_timestamp(), switched_at = NULL
