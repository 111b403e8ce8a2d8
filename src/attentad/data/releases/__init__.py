"""What papers released, as our files."""
