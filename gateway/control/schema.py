"""What is in control's database, version by version. A version that was released is never changed.

In tables WITHOUT ROWID the key's columns come first, in its order: SQLite 3.40's quick_check takes others for damaged.
"""

from __future__ import annotations

MIGRATIONS = (
    """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,
    provider TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0, request BLOB NOT NULL, fingerprint BLOB NOT NULL,
    job BLOB NOT NULL, checkpoint BLOB NOT NULL DEFAULT x'', stage INTEGER NOT NULL DEFAULT 0,
    oldest INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE INDEX jobs_by_provider ON jobs (provider, number);
CREATE INDEX jobs_by_end ON jobs (ended);
CREATE TABLE labels (
    key TEXT NOT NULL, value TEXT NOT NULL, number INTEGER NOT NULL REFERENCES jobs, PRIMARY KEY (key, value, number)
) WITHOUT ROWID;
CREATE INDEX labels_by_job ON labels (number);
CREATE TABLE events (
    number INTEGER NOT NULL REFERENCES jobs, sequence INTEGER NOT NULL, event BLOB NOT NULL,
    PRIMARY KEY (number, sequence)
) WITHOUT ROWID;
CREATE TABLE webhooks (
    number INTEGER PRIMARY KEY REFERENCES jobs, url TEXT NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL
);
CREATE TABLE usage (
    id TEXT PRIMARY KEY, request_id TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    time INTEGER NOT NULL, unit TEXT NOT NULL, input_units REAL NOT NULL, output_units REAL NOT NULL,
    cost REAL, currency TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX usage_by_time ON usage (time);
CREATE INDEX usage_by_request ON usage (request_id);
CREATE TABLE reservations (
    request_id TEXT PRIMARY KEY, provider TEXT NOT NULL, cost REAL NOT NULL, currency TEXT NOT NULL,
    made INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE spent (
    day TEXT NOT NULL, provider TEXT NOT NULL, currency TEXT NOT NULL, cost REAL NOT NULL,
    PRIMARY KEY (day, provider, currency)
) WITHOUT ROWID;
CREATE TRIGGER usage_is_spent AFTER INSERT ON usage WHEN new.cost IS NOT NULL BEGIN
    INSERT INTO spent VALUES (
        strftime('%Y-%m-%d', new.time / 1000, 'unixepoch'), new.provider, new.currency, new.cost
    ) ON CONFLICT DO UPDATE SET cost = cost + excluded.cost;
    UPDATE reservations SET cost = max(0, cost - new.cost)
        WHERE request_id = new.request_id AND currency = new.currency;
END
""",
)
