"""What needs a person's attention: counted for the first page, put into words, and put right.

Owns no table.
Others call `worklists`, `mail_states`, `call_settling` and `unanswered`.
"""
