"""The keys of ``[node]``."""

from __future__ import annotations

from raic.config import parsers
from raic.config.key import Key, ours, refused
from raic.config.model import LOG_FORMATS
from raic.config.webport import host_names, web_port

_NO_FRONTEND = "a storage node has no web-API; remove the key"

NODE = (
    Key("node", "nickname", "The name that clients show.", default="raic"),
    Key(
        "node",
        "tub.port",
        "Where the node listens, in both dialects: Twisted server endpoint descriptions,"
        " separated by commas.",
        parsers.ports,
        "tcp:3457:interface=127.0.0.1",
    ),
    Key(
        "node",
        "tub.location",
        "Where clients connect to: hints such as tcp:storage.example.net:3457, separated by"
        " commas.  Required when tub.port is set.",
        parsers.location,
        "tcp:127.0.0.1:3457",
    ),
    Key(
        "node",
        "web.port",
        "Where the operator's status page is: a port, or tcp:PORT:interface=ADDRESS.  Empty: none.",
        parsers.optional(web_port),
        "",
    ),
    ours(
        "node",
        "web.hosts",
        host_names,
        "",
        "Names by which browsers may ask for the status page, besides localhost and addresses.",
    ),
    Key(
        "node",
        "timeout.keepalive",
        "Foolscap: after how many seconds of silence a peer is asked for a sign of life.",
        parsers.optional(parsers.whole),
        "",
    ),
    Key(
        "node",
        "timeout.disconnect",
        "Foolscap: after how many seconds of silence a connection is dropped; empty for never.",
        parsers.optional(parsers.whole),
        "",
    ),
    Key(
        "node",
        "reveal-IP-address",
        "false refuses a configuration that would reveal the node's IP address.",
        parsers.boolean,
        "true",
    ),
    *refused(
        "node",
        "the node logs to standard error only; let the service manager collect it",
        "log_gatherer.furl",
    ),
    *refused("node", "nothing is spooled to disk; remove the key", "tempdir"),
    *refused("node", _NO_FRONTEND, "web.static"),
    ours(
        "node",
        "log_level",
        parsers.one_of("debug", "info", "warn", "error"),
        "info",
        "The least level that is logged: debug, info, warn or error.",
        live=True,
    ),
    ours(
        "node",
        "log_format",
        parsers.one_of(*LOG_FORMATS),
        "plain",
        "How each event is logged: plain, as lines for people, or json, as one object on one line.",
    ),
    ours(
        "node",
        "stop_seconds",
        parsers.seconds,
        "60",
        "How many seconds uploads under way may take to end when the node is stopped.",
    ),
)
