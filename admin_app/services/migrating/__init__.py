"""Operating a migration: what a database has and lacks, what revisions would do here, and who is in the way.

Owns no table. Everything here reads, on a connection on which PostgreSQL refuses writes; what writes is Alembic
(`running`) and pg_dump, which writes a file (`backup`).
Others call `planning`, `verifying`, `surroundings`, `backup`, `revisions`, `running`, `way_back` and `report`, for
the commands `flask migrate`.
"""
