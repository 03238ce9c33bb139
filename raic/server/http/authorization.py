"""The swissnum and the secrets that requests carry in their headers."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from hmac import compare_digest

RENEW = b"lease-renew-secret"
CANCEL = b"lease-cancel-secret"
UPLOAD = b"upload-secret"
WRITE_ENABLER = b"write-enabler"

SECRET_BYTES = 32
MAX_UPLOAD_SECRET_BYTES = 1024

Secrets = Mapping[bytes, bytes]


class Swissnum:
    """Recognises the ``Authorization`` header of who knows the swissnum.

    :param swissnum: as it stands in the NURL.
    """

    def __init__(self, swissnum: bytes) -> None:
        self._credentials = b64encode(swissnum)

    def is_in(self, headers: Sequence[bytes] | None) -> bool:
        """Whether these are the right values of ``Authorization``: exactly one, of the scheme
        ``Tahoe-LAFS``, compared in time that does not depend on where it is wrong.
        """
        if headers is None or len(headers) != 1:
            return False
        scheme, _, credentials = headers[0].partition(b" ")
        right = compare_digest(credentials.strip(b" "), self._credentials)
        return right and scheme.lower() == b"tahoe-lafs"


class BadSecrets(Exception):
    """The secrets are not those that the request must carry; the text may be shown."""


def parse_secrets(headers: Sequence[bytes] | None, required: frozenset[bytes]) -> Secrets:
    """The secrets in these values of ``X-Tahoe-Authorization``, by kind.

    :raises BadSecrets: they are not exactly the required ones, each once, in strict base64 and
        of the right length.
    """
    secrets: dict[bytes, bytes] = {}
    for header in headers or ():
        kind, _, text = header.partition(b" ")
        if kind not in required or kind in secrets:
            raise BadSecrets("a secret is given twice, or is not one that this request takes")
        secrets[kind] = _secret(kind, text.strip(b" "))
    if len(secrets) != len(required):
        raise BadSecrets("a secret is missing from X-Tahoe-Authorization")
    return secrets


def _secret(kind: bytes, text: bytes) -> bytes:
    try:
        secret = b64decode(text, validate=True)
    except Base64Error:
        raise BadSecrets("a secret is not base64") from None
    if kind == UPLOAD:
        if not 1 <= len(secret) <= MAX_UPLOAD_SECRET_BYTES:
            raise BadSecrets(f"an upload secret has 1 to {MAX_UPLOAD_SECRET_BYTES} bytes")
    elif len(secret) != SECRET_BYTES:
        raise BadSecrets(f"lease secrets and write enablers have {SECRET_BYTES} bytes")
    return secret
