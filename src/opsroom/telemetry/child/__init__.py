"""The telemetry process: holds the ClickHouse engine (chDB) and its folder, with bounded memory, asked over a Unix socket."""
