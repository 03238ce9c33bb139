"""Measurements, and small runs of each that show that they work."""
