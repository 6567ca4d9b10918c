"""Servers that hang their clients, and healthy ones. `server.py` starts any of them from a command line."""

from .dns import DnsServer, Zone
from .listener import Listener
from .tcp import FullBacklog

__all__ = ["DnsServer", "FullBacklog", "Listener", "Zone"]
