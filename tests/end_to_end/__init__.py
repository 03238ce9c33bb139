"""Whole nodes and real Tahoe clients, as processes on loopback."""
