"""Pages of nobody's and everybody's: the first page, the search, the audit, exports, and how the system is."""
