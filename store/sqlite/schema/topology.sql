-- What the topology stage made of the groups so far. See docs/formats/topology.md.

-- At most one row: where the stage stands. version changes whenever an answer made of this file may change.
CREATE TABLE progress (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	version INTEGER NOT NULL,
	flushed_ms INTEGER NOT NULL,
	cursor_window TEXT,
	cursor_commit INTEGER,
	state BLOB NOT NULL
) STRICT;

-- dims: canonical JSON of what tells the series apart.
CREATE TABLE series (
	id INTEGER PRIMARY KEY,
	dims TEXT NOT NULL
) STRICT;

-- Deltas of one bucket are added up. level: 0 as flushed, 1 to 8 joined by sixteens, 9 the whole of a bucket that is past.
CREATE TABLE rollups (
	resolution INTEGER NOT NULL,
	bucket_ms INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	level INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (resolution, bucket_ms, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX rollups_loose ON rollups (resolution, bucket_ms, level) WHERE level < 9;

-- Ten minutes, all past, as one sum; removed as soon as something is added to one of them.
CREATE TABLE stretches (
	start_ms INTEGER PRIMARY KEY,
	data BLOB NOT NULL
) STRICT;

CREATE TABLE exemplars (
	hour_ms INTEGER NOT NULL,
	series INTEGER NOT NULL,
	time_ms INTEGER NOT NULL,
	trace_id TEXT NOT NULL,
	duration_ns INTEGER NOT NULL,
	is_error INTEGER NOT NULL,
	PRIMARY KEY (hour_ms, series, time_ms, trace_id)
) STRICT, WITHOUT ROWID;

-- Endpoints are JSON arrays: kind, cluster, namespace, service, workload.
CREATE TABLE certificates (
	principal TEXT NOT NULL,
	not_after_ms INTEGER NOT NULL,
	source TEXT NOT NULL,
	target TEXT NOT NULL,
	side TEXT NOT NULL,
	issuer TEXT NOT NULL,
	first_seen_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL,
	PRIMARY KEY (principal, not_after_ms, source, target, side)
) STRICT;

CREATE TABLE addresses (
	address TEXT PRIMARY KEY,
	endpoint TEXT NOT NULL,
	seen_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE counters (
	key TEXT PRIMARY KEY,
	value BLOB NOT NULL,
	seen_ms INTEGER NOT NULL
) STRICT;
