-- One window of arrival time: everything that was committed in it, self-contained. See docs/formats/window.md.

CREATE TABLE meta (
	key TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Group commits in order; the fingerprints of their batches, 16 bytes each. topology_metrics: NULL once the topology stage has the
-- group on disk; until then the group's blocks are merged with no others.
CREATE TABLE commits (
	id INTEGER PRIMARY KEY,
	arrived_ms INTEGER NOT NULL,
	fingerprints BLOB NOT NULL,
	topology_metrics BLOB
) STRICT;

-- signal: 0 traces, 1 logs. final: 1 when the block is merged no further and its traces are in the trace index.
-- Times and durations in ns. services: JSON array of strings, sorted. commit_id: the newest group that has records in the block.
CREATE TABLE blocks (
	id INTEGER PRIMARY KEY,
	signal INTEGER NOT NULL,
	final INTEGER NOT NULL,
	record_count INTEGER NOT NULL,
	trace_count INTEGER NOT NULL,
	min_time INTEGER NOT NULL,
	max_time INTEGER NOT NULL,
	min_duration INTEGER NOT NULL,
	max_duration INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	services TEXT NOT NULL,
	commit_id INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX blocks_unmerged ON blocks (signal) WHERE final = 0;

-- id = block * 16 + part (store/block/format.ts); part 15 holds all parts of a small block in one row.
CREATE TABLE parts (
	id INTEGER PRIMARY KEY,
	data BLOB NOT NULL
) STRICT;

-- What does not fit the row of a part: id = part's id * 65536 + number, from 1 (part-table.ts).
CREATE TABLE slices (
	id INTEGER PRIMARY KEY,
	data BLOB NOT NULL
) STRICT;

-- Trace index: sorted runs of (trace hash, block) over the final blocks of a signal, merged in tiers of eight.
CREATE TABLE trace_runs (
	id INTEGER PRIMARY KEY,
	signal INTEGER NOT NULL,
	tier INTEGER NOT NULL,
	entries INTEGER NOT NULL
) STRICT;

CREATE TABLE trace_pages (
	id INTEGER PRIMARY KEY,
	run INTEGER NOT NULL,
	first_hash INTEGER NOT NULL,
	data BLOB NOT NULL
) STRICT;

-- A tree of its own: in one with the pages, a node would hold four of them.
CREATE UNIQUE INDEX trace_pages_first_hash ON trace_pages (run, first_hash);

-- identity: SHA-256 over what makes a series one. JSON texts are canonical.
CREATE TABLE metric_series (
	id INTEGER PRIMARY KEY,
	identity BLOB NOT NULL UNIQUE,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	unit TEXT NOT NULL,
	type INTEGER NOT NULL,
	temporality INTEGER NOT NULL,
	monotonic INTEGER NOT NULL,
	service TEXT NOT NULL,
	attributes TEXT NOT NULL,
	resource TEXT NOT NULL,
	scope TEXT NOT NULL
) STRICT;

CREATE INDEX metric_series_name ON metric_series (name);

-- ordinal tells apart points of one series and time. Exactly one of int_value, double_value, raw is set; raw is the OTLP data point.
CREATE TABLE metric_points (
	series INTEGER NOT NULL,
	time_ns INTEGER NOT NULL,
	ordinal INTEGER NOT NULL,
	start_time_ns INTEGER NOT NULL,
	int_value INTEGER,
	double_value REAL,
	raw BLOB,
	flags INTEGER NOT NULL,
	PRIMARY KEY (series, time_ns, ordinal)
) STRICT, WITHOUT ROWID;
