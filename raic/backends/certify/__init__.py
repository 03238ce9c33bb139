"""Proves on a live service what a node relies on, see ``docs/providers/certify.rst``."""

from raic.backends.certify.bench import Options
from raic.backends.certify.certifier import CHECKS, Certifier
from raic.backends.certify.outcomes import Certification, Result, Row
from raic.backends.certify.sandbox import FOLDER

__all__ = ["CHECKS", "FOLDER", "Certification", "Certifier", "Options", "Result", "Row"]
