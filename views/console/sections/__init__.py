"""The console's plain sections, one module each: a list and a page per record, read only."""
