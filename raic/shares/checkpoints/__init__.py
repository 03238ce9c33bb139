"""Copies of the index in the provider, specified in ``docs/specifications/checkpoints.rst``."""

from raic.shares.checkpoints.checkpointer import Checkpointer, CheckpointSettings
from raic.shares.checkpoints.fetching import fetch_checkpoint, list_checkpoints

__all__ = ["CheckpointSettings", "Checkpointer", "fetch_checkpoint", "list_checkpoints"]
