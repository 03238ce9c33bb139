"""A provider in a cloud: its secrets are found, it is started, and then asked."""

from __future__ import annotations

import re

from raic.assembly.checks.claims import check_owner
from raic.assembly.checks.credentials import check_secrets_found, find_secrets
from raic.assembly.checks.deadline import TookTooLong, within
from raic.assembly.checks.findings import Finding, error, good
from raic.assembly.checks.opened import OpenCheck, OpenProvider
from raic.assembly.checks.service import check_clock, check_space, check_uploads
from raic.assembly.checks.view import ProviderView
from raic.assembly.members import make_leaf
from raic.config.loading import CONFIG_NAME, config_directory
from raic.config.model import CloudSettings
from raic.errors import AccessDenied, ConfigurationError, ProviderError

STOP_SECONDS = 2.0
"""How long a provider may take to stop: a call that hangs is then left behind."""

OPEN_CHECKS: tuple[tuple[str, OpenCheck], ...] = (
    ("clock", check_clock),
    ("uploads", check_uploads),
    ("space", check_space),
    ("prefix", check_owner),
)
"""What a started provider is asked, each with the subject under which a failure is shown."""

_RIGHTS = (
    ("list", re.compile(r"List|GET /?[^/ ]*$")),
    ("write", re.compile(r"Put|PUT ")),
    ("read", re.compile(r"Get|Head|GET |HEAD ")),
    ("delete", re.compile(r"Delete|DELETE |POST ")),
)
"""In the order in which a start needs them, and what the requests for each are called."""


async def check_cloud(view: ProviderView, cloud: CloudSettings) -> list[Finding]:
    """Everything about one provider."""
    try:
        answer = await find_secrets(view, cloud.wanted)
    except TookTooLong as late:
        text = f"the sources of credentials: {late}"
        remedy = f"raic credentials list --nodedir {view.node.directory}"
        return [error("credentials", text, remedy)]
    findings = check_secrets_found(view, answer)
    if answer.missing:
        return findings
    secrets, node = answer.reveal(), view.node
    reactor = view.surroundings.reactor
    try:
        leaf = make_leaf(cloud, view.identity, lambda: secrets, reactor)
    except ConfigurationError as problem:
        remedy = f"correct {config_directory(node.directory) / CONFIG_NAME}"
        return findings + [error("settings", each, remedy) for each in problem.problems]
    try:
        return findings + await _check_leaf(OpenProvider(view, cloud, leaf))
    finally:
        await within(leaf.stop(), reactor, STOP_SECONDS).addErrback(lambda _: None)


async def _check_leaf(provider: OpenProvider) -> list[Finding]:
    place = provider.view.settings.describe(provider.view.identity.server_id)
    try:
        await provider.wait(provider.leaf.start())
    except ProviderError as problem:
        return _refused(problem, place)
    except TookTooLong as late:
        return [_late("reach", f"{place}: {late}")]
    allowed = good("rights", "list, write, read and delete are allowed")
    findings = [good("reach", place), allowed]
    for subject, check in OPEN_CHECKS:
        try:
            findings += await check(provider)
        except ProviderError as problem:
            findings.append(error(subject, problem.detail, problem.remedy))
        except TookTooLong as late:
            findings.append(_late(subject, str(late)))
    return findings


def _late(subject: str, text: str) -> Finding:
    remedy = "check the network, proxies and firewalls, and the provider's own status page"
    return error(subject, text, remedy)


def _refused(problem: ProviderError, place: str) -> list[Finding]:
    """What a failed start says: each leaf lists, writes, reads back and deletes, in this order."""
    detail, remedy = problem.detail, problem.remedy
    if not isinstance(problem, AccessDenied):
        return [error("reach", f"{place}: {detail}", remedy)]
    reached = good("reach", place)
    if "clock" in remedy:
        return [reached, error("clock", f"the service refuses this machine's: {detail}", remedy)]
    if "credentials set" in remedy:
        return [reached, error("sign-in", f"the service refuses the credentials: {detail}", remedy)]
    request = detail.partition(":")[0]
    for number, (right, called) in enumerate(_RIGHTS):
        if called.match(request):
            before = [name for name, _ in _RIGHTS[:number]]
            after = [name for name, _ in _RIGHTS[number + 1 :]]
            text = f"{right} is refused"
            text += f", {' and '.join(before)} allowed" if before else ""
            text += f", {' and '.join(after)} not tried" if after else ""
            return [reached, error("rights", f"{text}: {detail}", remedy)]
    return [reached, error("rights", detail, remedy)]
