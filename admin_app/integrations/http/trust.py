"""Whose certificates are believed: one TLS context for all connections to providers.

Reading the authorities costs some 30 ms and a megabyte each time, so it is done once in a process. A context may be
shared between threads and connections as long as nobody changes it.
"""

import os
import ssl
from functools import cache

import httpx


def context() -> ssl.SSLContext:
    """The authorities that httpx believes: certifi's, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` name now.

    Not to be changed by who gets it.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()
