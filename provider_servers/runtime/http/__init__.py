"""HTTP of vendors and backends: sessions, forms, and streams that are read as they arrive."""
