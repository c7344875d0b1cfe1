"""Colours on a terminal, legible on a light and on a dark one."""

WARNING = "bold yellow"
PROBLEM = "bold red"
STYLES = {"ok": "green", "unsupported": "yellow", "skipped": "yellow", "failed": PROBLEM}
