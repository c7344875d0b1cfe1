"""What every image imports: the stage contract, the artifact store, timing. Standard library and numpy only."""
