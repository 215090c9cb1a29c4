"""The speed of the console against stock Flask-Admin and a bare floor; see docs/decisions/0040-speed-is-a-ratio.md."""
