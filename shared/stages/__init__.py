"""Stages that are the same in every image, but for two modules of the image (shared/stages/image_modules.py)."""
