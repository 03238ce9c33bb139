"""RAIC: a Tahoe-LAFS storage server whose shares live wherever its operator has storage."""

__version__ = "0.1.0"
