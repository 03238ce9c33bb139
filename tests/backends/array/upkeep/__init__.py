"""Tests of the upkeep of arrays."""
