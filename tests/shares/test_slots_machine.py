"""Runs the state machine of slots."""

from __future__ import annotations

from os import environ

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.shares.slot_machine import SlotMachine


class Machine(SynchronousTestCase):
    def test_a_slot_survives_failures_and_restarts(self) -> None:
        run_state_machine_as_test(
            SlotMachine,
            settings=settings(
                max_examples=int(environ.get("RAIC_MODEL_EXAMPLES", "12")),
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
