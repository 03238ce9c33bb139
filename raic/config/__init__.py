"""The node directory: its configuration, its identity, its lock."""
