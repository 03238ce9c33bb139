"""The commands about single shares and leases, as a node takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raic.assembly.share_control import LONGEST_REASON, ShareKeeper
from raic.config.loading import parse_config
from raic.errors import ConfigurationError, NoSuchShare, OperationRefused
from raic.shares.keys import encode_index
from tests.shares.stores import INDEX_A, StoreTestCase

A = encode_index(INDEX_A)


class Commands(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        storage = parse_config(Path("/node"), "").storage
        keeper = ShareKeeper(self.memory, self.index, self.pins, self.clock, storage)
        self.handlers = keeper.handlers()
        self.told: list[Any] = []

    def refusal(self, kind: type[Exception], command: str, **arguments: Any) -> str:
        failure = self.failureResultOf(self.handlers[command](arguments, self.told.append), kind)
        return str(failure.value)

    def test_nothing_stored_cannot_be_verified_or_expunged(self) -> None:
        self.refusal(NoSuchShare, "shares.verify", storage_index=A)
        self.refusal(NoSuchShare, "shares.expunge", storage_index=A, reason="")

    def test_mistaken_arguments_are_told(self) -> None:
        mistakes: tuple[dict[str, Any], ...] = ({}, {"storage_index": 7}, {"storage_index": "A"})
        for arguments in mistakes:
            self.refusal(ConfigurationError, "shares.verify", **arguments)
        long = "x" * (LONGEST_REASON + 1)
        self.refusal(ConfigurationError, "shares.expunge", storage_index=A, reason=long)
        self.refusal(ConfigurationError, "leases.expire", now=1)

    def test_a_node_on_which_nothing_expires_says_so(self) -> None:
        self.assertIn("nothing expires", self.refusal(OperationRefused, "leases.expire"))

    def test_verifying_tells_how_far_it_is(self) -> None:
        self.store(b"a share")
        verifying = self.handlers["shares.verify"]({"storage_index": A}, self.told.append)
        result = self.successResultOf(verifying)
        self.assertEqual((result["objects"], result["damaged"]), (1, []))
        self.assertEqual([(one["done"], one["total"]) for one in self.told], [(1, 1)])
