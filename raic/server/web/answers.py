"""What is answered, whatever was asked."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
EVENTS = "text/event-stream"

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer says."""


@frozen
class Answer:
    """A whole answer."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Refused(Exception):
    """Why something is not answered.

    :ivar text: for whoever asked; nothing of what they sent is in it.
    """

    status: int
    text: str
    headers: Mapping[str, str] = field(factory=dict)

    def answer(self) -> Answer:
        """It as an answer."""
        return Answer(f"{self.text}\n".encode(), TEXT, self.status, self.headers)
