"""The password of the status page, kept where the secrets of providers are."""

from __future__ import annotations

from raic.backends.registry import Secret as Field
from raic.config.credentials.wanted import Wanted
from raic.config.reading import Text

WEB_NAME = "web"

WEB = Wanted(
    WEB_NAME, "status page", (Field("password", "needed where others reach it", optional=True),)
)
"""What the status page needs, where others than this machine reach it."""


def may_have_password(text: Text) -> bool:
    """Whether the page's password may be kept under this name: no provider has it."""
    return f"provider:{WEB_NAME}" not in text.sections


def has_page(text: Text) -> bool:
    """Whether there is a status page, and it may have a password."""
    port = text.entries.get(("node", "web.port"))
    return port is not None and bool(port.value) and may_have_password(text)
