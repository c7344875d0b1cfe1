"""The driver: plans an experiment, starts the images that make its artifacts, and compares what they measured."""

__version__ = "0.2.0"  # pyproject.toml reads it
