from __future__ import annotations

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.backends.chainer import ChainerBackend
from keyring.backends.SecretService import Keyring as SecretServiceKeyring
from twisted.trial.unittest import SynchronousTestCase

from raic.config.credentials import Secret
from raic.config.credentials.keychain import KeychainSource, select_keyring
from raic.errors import CredentialsUnusable
from tests.config.credentials import keyrings
from tests.config.credentials.wants import KEY, SECRETS, s3
from tests.services.secret_service import secret_service


class KeychainContract(SynchronousTestCase):
    """What every usable keyring does."""

    __test__ = False

    def make_keyring(self) -> KeyringBackend:
        raise NotImplementedError

    def source(self, scope: str = "v0-node") -> KeychainSource:
        return KeychainSource(scope, self.make_keyring)

    def test_it_gives_back_what_it_was_given(self) -> None:
        source = self.source()
        self.assertEqual(source.read(s3()), {})
        self.assertEqual(source.store(s3(), SECRETS), source.describe())
        self.assertEqual(source.read(s3()), SECRETS)

    def test_providers_and_nodes_have_their_own(self) -> None:
        self.source().store(s3(), SECRETS)
        self.assertEqual(self.source().read(s3("ovh")), {})
        self.assertEqual(self.source("v0-other").read(s3()), {})

    def test_it_replaces_all_of_a_providers_secrets(self) -> None:
        source = self.source()
        source.store(s3(), {**SECRETS, "session_token": Secret("temporary")})
        new = {"access_key_id": Secret("ä new one"), "secret_access_key": Secret(KEY)}
        source.store(s3(), new)
        self.assertEqual(source.read(s3()), new)

    def test_it_forgets(self) -> None:
        source = self.source()
        source.store(s3("ovh"), SECRETS)
        self.assertFalse(source.forget(s3()))
        source.store(s3(), SECRETS)
        self.assertTrue(source.forget(s3()))
        self.assertEqual(source.read(s3()), {})
        self.assertEqual(source.read(s3("ovh")), SECRETS)


class Memory(KeychainContract):
    __test__ = True

    def setUp(self) -> None:
        self.keyring = keyrings.MemoryKeyring()

    def make_keyring(self) -> KeyringBackend:
        return self.keyring


@pytest.mark.service
class SecretService(KeychainContract):
    __test__ = True

    def setUp(self) -> None:
        running = secret_service()
        self.service = running.__enter__()
        self.addCleanup(running.__exit__, None, None, None)
        inside = self.service.in_this_process()
        inside.__enter__()
        self.addCleanup(inside.__exit__, None, None, None)

    def make_keyring(self) -> KeyringBackend:
        return SecretServiceKeyring()

    def test_it_is_named(self) -> None:
        self.assertEqual(self.source().describe(), "OS keychain (Secret Service)")

    def test_the_secrets_are_in_the_service(self) -> None:
        self.source().store(s3(), SECRETS)
        expected = sorted(secret.reveal() for secret in SECRETS.values())
        self.assertEqual(self.service.secrets(), expected)


class Unusable(SynchronousTestCase):
    def source(self, backend: KeyringBackend, seconds: float = 20.0) -> KeychainSource:
        return KeychainSource("v0-node", lambda: backend, seconds)

    def refused(self, backend: KeyringBackend, seconds: float = 20.0) -> str:
        """What is said when secrets are to be kept; none of them may be in it."""
        source = self.source(backend, seconds)
        error = self.assertRaises(CredentialsUnusable, source.store, s3(), SECRETS)
        text = f"{error} / {error.remedy}"
        for secret in SECRETS.values():
            self.assertNotIn(secret.reveal(), text)
        self.assertIn("--store file", text)
        return text

    def test_one_that_keeps_nothing_is_refused(self) -> None:
        self.assertIn("keyring.backends.null.Keyring keeps nothing", self.refused(null.Keyring()))
        self.assertIn("keeps nothing", self.refused(ChainerBackend()))
        self.assertIn("keeps nothing", self.source(null.Keyring()).describe())
        self.assertRaises(CredentialsUnusable, self.source(null.Keyring()).read, s3())

    def test_one_that_forgets_at_once_is_found_out(self) -> None:
        self.assertIn("does not give it back", self.refused(keyrings.ForgetfulKeyring()))

    def test_one_without_encryption_is_refused(self) -> None:
        backend = keyrings.PlaintextKeyring()
        self.assertIn("that anyone can read", self.refused(backend))
        self.assertEqual(backend.passwords, {})
        self.assertRaises(CredentialsUnusable, self.source(backend).read, s3())
        self.assertRaises(CredentialsUnusable, self.source(backend).forget, s3())

    def test_one_that_asks_at_each_start_is_refused(self) -> None:
        asking = type("CryptFileKeyring", (keyrings.MemoryKeyring,), {})
        asking.__module__ = "keyrings.cryptfile.cryptfile"
        self.assertIn("asks for a passphrase", self.refused(asking()))

    def test_none_at_all_has_no_secrets_and_takes_none(self) -> None:
        source = self.source(fail.Keyring())
        self.assertEqual(source.read(s3()), {})
        self.assertFalse(source.forget(s3()))
        self.assertIn("no keychain can be reached", source.describe())
        self.assertIn("no keychain can be reached", self.refused(fail.Keyring()))
        self.assertFalse(self.source(null.Keyring()).forget(s3()))

    def test_one_that_cannot_be_loaded_is_told(self) -> None:
        def select() -> KeyringBackend:
            raise ModuleNotFoundError("No module named 'mykeyring'")

        error = self.assertRaises(CredentialsUnusable, KeychainSource("x", select).read, s3())
        self.assertIn("cannot be found: No module named", str(error))
        self.assertIn("PYTHON_KEYRING_BACKEND", error.remedy)

    def test_one_that_vanishes_is_told(self) -> None:
        def select() -> KeyringBackend:
            raise keyring.errors.NoKeyringError("gone")

        source = KeychainSource("x", select)
        error = self.assertRaises(CredentialsUnusable, source.store, s3(), SECRETS)
        self.assertIn("no keychain can be reached", str(error))

    def test_a_locked_one_is_told(self) -> None:
        self.assertIn("is locked", self.refused(keyrings.LockedKeyring()))
        error = self.assertRaises(
            CredentialsUnusable, self.source(keyrings.LockedKeyring()).read, s3()
        )
        self.assertIn("unlock it", error.remedy)

    def test_one_that_does_not_open_is_told(self) -> None:
        source = self.source(keyrings.UnopenedKeyring())
        error = self.assertRaises(CredentialsUnusable, source.read, s3())
        self.assertIn("prompt dismissed", str(error))

    def test_what_a_failing_one_says_is_not_repeated(self) -> None:
        self.assertIn("cannot be written to: OSError", self.refused(keyrings.TalkativeKeyring()))

    def test_one_that_waits_for_somebody_is_not_waited_for(self) -> None:
        backend = keyrings.HangingKeyring()
        self.addCleanup(backend.typed.set)
        source = self.source(backend, seconds=0.05)
        error = self.assertRaises(CredentialsUnusable, source.read, s3())
        self.assertIn("did not answer within 0.05 s", str(error))

    def test_one_that_does_not_delete_is_found_out(self) -> None:
        source = self.source(keyrings.StickyKeyring())
        source.store(s3(), SECRETS)
        error = self.assertRaises(CredentialsUnusable, source.forget, s3())
        self.assertIn("does not delete aws.access_key_id", str(error))


class Selection(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(keyring.set_keyring, keyring.get_keyring())

    def test_it_is_the_one_that_keyring_selects(self) -> None:
        chosen = keyrings.MemoryKeyring()
        keyring.set_keyring(chosen)
        self.assertIs(select_keyring(), chosen)

    def test_of_a_chain_it_is_the_first(self) -> None:
        first, second = keyrings.MemoryKeyring(), null.Keyring()
        self.patch(ChainerBackend, "backends", [first, second])
        keyring.set_keyring(ChainerBackend())
        self.assertIs(select_keyring(), first)

    def test_an_empty_chain_is_not_followed(self) -> None:
        self.patch(ChainerBackend, "backends", [])
        keyring.set_keyring(ChainerBackend())
        self.assertIsInstance(select_keyring(), ChainerBackend)

    def test_a_keyring_without_a_name_of_ours_is_named_by_its_class(self) -> None:
        keyring.set_keyring(keyrings.MemoryKeyring())
        described = KeychainSource("x").describe()
        self.assertIn("tests.config.credentials.keyrings.MemoryKeyring", described)
