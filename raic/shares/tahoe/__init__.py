"""Tahoe's share files: read to move in, written to move out."""
