from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.backends.array.fake_maintenance import FakeMaintenance
from tests.contracts.maintenance import MaintenanceSuite


class Fake(MaintenanceSuite, SynchronousTestCase):
    members = ("aws", "ovh", "b2")
    spare = "hz"

    def setUp(self) -> None:
        self.maintenance = self.fake = FakeMaintenance()

    def finish(self) -> None:
        self.fake.finish()
