"""What every room stands on: audit, plans, records and their locks, amounts, months, time zones, files of tables.

Owns `audit_entries`, `exports` and `export_chunks`.
Others call `amounts`, `audit`, `email_fields`, `exports`, `failed_jobs`, `field_labels`, `local_times`, `plans`,
`records`, `table_files`, `time_zones`, `timeline_words`, `utc_months` and `zone_rules`.
"""
