"""Addresses of servers as messages and results may show them."""

from __future__ import annotations

from urllib.parse import urlsplit


def without_userinfo(url: str) -> str:
    """`url` without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
