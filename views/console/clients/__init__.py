"""The page of a client, by its panels, and what is done on it."""
