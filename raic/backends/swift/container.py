"""A container's own requests: listing, deleting, asking for its size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from json import loads
from typing import Any
from urllib.parse import quote, unquote

from raic.backends.network import Refused
from raic.backends.swift.account import Account
from raic.errors import ProviderTimedOut

DELETED_AT_ONCE = 1000
_JSON = {"Accept": "application/json"}


class Container:
    """Names are whole: with the prefix of all names.

    :param page: how many lines of a listing are asked for at once.
    """

    def __init__(self, account: Account, name: str, page: int) -> None:
        self.name = name
        self._account = account
        self._page = page
        self._bulk = True

    def path(self, name: str) -> str:
        """Where an object is, below the account."""
        return f"/{quote(self.name, safe='')}/{quote(name)}"

    def exists(self) -> bool:
        """Whether the container does."""
        return self.head() is not None

    def head(self) -> Mapping[str, str] | None:
        """What the service says of the container; None if it does not exist."""
        answer = self._account.ask("HEAD", f"/{quote(self.name, safe='')}", (200, 204, 404))
        answer.close()
        return None if answer.status_code == 404 else answer.headers

    def page(
        self,
        prefix: str,
        marker: str,
        end_marker: str = "",
        delimiter: str = "",
        limit: int | None = None,
    ) -> Any:
        """Lines of a listing, in order, after a marker; none only at its end.

        :return: dictionaries; of what is rolled up by the delimiter they have only ``subdir``.
        :raises Refused: 404 if the container does not exist.
        """
        wanted = {
            "format": "json",
            "limit": str(limit or self._page),
            "prefix": prefix,
            "marker": marker,
            "end_marker": end_marker,
            "delimiter": delimiter,
        }
        path = f"/{quote(self.name, safe='')}"
        params = {key: value for key, value in wanted.items() if value}
        answer = self._account.ask("GET", path, (200, 204), params=params, headers=_JSON)
        text = answer.content
        return loads(text) if text.strip() else []

    def names(self, prefix: str) -> Iterator[str]:
        """All names that begin so."""
        marker = ""
        while page := self.page(prefix, marker):
            for line in page:
                yield line["name"]
            marker = page[-1]["name"]

    def delete(self, names: Sequence[str]) -> set[str]:
        """Delete objects, not the segments that they may refer to.

        :return: those that could not be deleted.
        :raises Refused: nothing is known of any.
        """
        failed: set[str] = set()
        for at in range(0, len(names), DELETED_AT_ONCE):
            batch = names[at : at + DELETED_AT_ONCE]
            answer = self._delete_batch(batch) if self._bulk and len(batch) > 1 else None
            failed |= self._delete_each(batch) if answer is None else answer
        return failed

    def delete_large(self, name: str) -> None:
        """Delete an object and the segments that it refers to, if there are such.

        :raises Refused: not all of it could be deleted.
        """
        path = self.path(name)
        whole = {"multipart-manifest": "delete"}
        answer = self._account.ask(
            "DELETE", path, (200, 204, 400, 404), params=whole, headers=_JSON
        )
        report = _report(answer.content)
        if answer.status_code == 400 or _is_no_manifest(report):
            self._account.ask("DELETE", path, (204, 404)).close()
        elif report.get("Errors"):
            raise Refused(f"DELETE {path}", _status(report, 500), str(report["Errors"]))

    def _delete_batch(self, names: Sequence[str]) -> set[str] | None:
        """:return: what could not be deleted; None where there is no such request."""
        report = self._bulk_report(names)
        if _status(report, 200) == 401:
            # The token was good enough for the batch, but no longer for what is in it.
            self._account.sign_in_anew()
            report = self._bulk_report(names)
        if "Number Deleted" not in report:
            self._bulk = False
            return None
        errors = report.get("Errors", [])
        if errors and len(errors) == len(names):
            raise Refused("POST bulk-delete", _status(report, 500), str(errors[0]))
        skip = len(f"/{self.name}/")
        return {unquote(name)[skip:] for name, status in errors if not status.startswith("404")}

    def _bulk_report(self, names: Sequence[str]) -> dict[str, Any]:
        lines = "\n".join(self.path(name) for name in names).encode("ascii")
        headers = {"Content-Type": "text/plain", **_JSON}
        statuses = (200, 202, 204, 400, 404, 405, 501)
        answer = self._account.ask(
            "POST", "", statuses, params={"bulk-delete": ""}, headers=headers, data=lines
        )
        return _report(answer.content) if answer.status_code == 200 else {}

    def _delete_each(self, names: Collection[str]) -> set[str]:
        failed: set[str] = set()
        failure: Exception | None = None
        for name in names:
            try:
                self._account.ask("DELETE", self.path(name), (204, 404)).close()
            except (Refused, ProviderTimedOut) as error:
                failed.add(name)
                failure = error
        if failure is not None and len(failed) == len(names):
            raise failure
        return failed


def _report(body: bytes) -> dict[str, Any]:
    """What a request says that deletes several objects."""
    try:
        found = loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _status(report: dict[str, Any], default: int) -> int:
    text = str(report.get("Response Status", ""))[:3]
    return int(text) if text.isdigit() else default


def _is_no_manifest(report: dict[str, Any]) -> bool:
    return any("Not an SLO" in str(error[1]) for error in report.get("Errors", ()))
