"""Code that every image imports: the stage contract, artifacts, samples, timing. Standard library and numpy only."""
