"""A server on loopback for what is fetched."""

from download_server import server

__all__ = ["server"]
