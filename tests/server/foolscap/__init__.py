"""The Foolscap dialect."""
