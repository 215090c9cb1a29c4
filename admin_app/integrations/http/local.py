"""Servers on this machine, as in the demo, are reached directly: a proxy of the environment could not."""

import ipaddress
from urllib.parse import urlsplit


def serves(url: str) -> bool:
    """Whether this machine itself serves the address."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
