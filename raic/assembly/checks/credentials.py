"""Where a provider's secrets would come from."""

from __future__ import annotations

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.assembly.checks.view import ProviderView
from raic.config.credentials import Answer, Wanted, find_credentials, standard_sources
from raic.config.credentials.wanted import variable_name

KEYCHAIN_SECONDS = 10.0


async def find_secrets(view: ProviderView, wanted: Wanted) -> Answer:
    """What all sources together have, in the order in which the node asks them.

    Nobody is asked to type anything.  Fails with ``TookTooLong``.
    """
    surroundings = view.surroundings
    sources = standard_sources(
        view.node.directory,
        view.identity.server_id,
        surroundings.environment,
        keychain_seconds=min(KEYCHAIN_SECONDS, surroundings.seconds),
    )
    return await surroundings.ask(lambda: find_credentials(wanted, sources.ordered))


def check_secrets_found(view: ProviderView, answer: Answer) -> list[Finding]:
    """Whether everything needed was found, where, and what stood in the way."""
    subject, wanted = "credentials", answer.wanted
    if wanted.ambient:
        return [good(subject, "ambient: the cloud's own library looks for them")]
    if not wanted.fields:
        return [good(subject, "none are needed")]
    found = [f"{name} in {each.source}" for name, each in answer.found.items()]
    findings = [warning(subject, each.problem, each.remedy) for each in answer.troubles]
    if answer.missing:
        findings.append(_missing(view, answer))
    else:
        findings.append(good(subject, ", ".join(found) or "none were set, and none are needed"))
    return findings


def _missing(view: ProviderView, answer: Answer) -> Finding:
    name = answer.wanted.provider
    variables = ", ".join(variable_name(name, each) for each in answer.missing)
    return error(
        "credentials",
        f"no {', '.join(answer.missing)} found",
        f"raic credentials set {name} --nodedir {view.node.directory}   (or set {variables};"
        " if the node gets them from systemd or its own environment, run this check there)",
    )
