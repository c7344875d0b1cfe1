"""Colours of statuses on a terminal."""

STYLES = {"ok": "green", "unsupported": "yellow", "skipped": "yellow", "failed": "bold red"}
