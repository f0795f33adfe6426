-- What spans windows: their list, and the names seen. Rebuilt from the windows where it is missing.

CREATE TABLE meta (
	key TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Times in epoch ms of arrival; min_time and max_time in ns of spans and logs. Counts and times are final once sealed.
CREATE TABLE windows (
	name TEXT PRIMARY KEY,
	from_ms INTEGER NOT NULL,
	to_ms INTEGER NOT NULL,
	state TEXT NOT NULL,
	problem TEXT,
	spans INTEGER NOT NULL,
	logs INTEGER NOT NULL,
	metric_points INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	min_time INTEGER NOT NULL,
	max_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
	name TEXT PRIMARY KEY,
	first_seen_ms INTEGER NOT NULL,
	last_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
	service TEXT NOT NULL,
	name TEXT NOT NULL,
	kind INTEGER NOT NULL,
	last_seen_ms INTEGER NOT NULL,
	PRIMARY KEY (service, name, kind)
) STRICT, WITHOUT ROWID;
