"""``web.port``: whether strangers would see the status page."""

from __future__ import annotations

from functools import partial

from raic.assembly.checks.findings import Finding, error, good
from raic.assembly.checks.view import ConfiguredNode
from raic.assembly.web import find_password
from raic.config.credentials.page import WEB_NAME
from raic.config.loading import config_directory
from raic.config.webport import parse_web_port
from raic.errors import ConfigurationError

_SUBJECT = "web.port"


async def check_page(node: ConfiguredNode) -> list[Finding]:
    """Whether a page that others reach has a password: without one the node does not start."""
    port = node.config.node.web_port
    if port is None or node.identity is None:
        return []
    place = parse_web_port(port)
    if place.is_local:
        return []
    if WEB_NAME in node.config.providers:
        remedy = "rename it, for the page's password is kept as its"
        return [error(_SUBJECT, f"others reach {port}, and [provider:{WEB_NAME}] is there", remedy)]
    directory = config_directory(node.directory)
    find = partial(find_password, directory, node.identity, node.surroundings.environment)
    try:
        password = await node.surroundings.ask(find)
    except ConfigurationError as problem:
        return [_unlocked(node, place.interface, f": {'; '.join(problem.problems)}")]
    if password is None:
        return [_unlocked(node, place.interface, "")]
    return [good(_SUBJECT, f"others reach {port}; it asks for a password")]


def _unlocked(node: ConfiguredNode, interface: str, detail: str) -> Finding:
    directory = config_directory(node.directory)
    text = f"others reach {interface}, and no password is kept: the node does not start{detail}"
    remedy = (
        f"raic credentials set {WEB_NAME} --nodedir {directory}, or remove the interface from"
        " web.port: then only this machine reaches it"
    )
    return error(_SUBJECT, text, remedy)
