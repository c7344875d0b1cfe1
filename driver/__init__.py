"""The driver: plans an experiment, starts the images that make its artifacts, and compares what they measured."""
