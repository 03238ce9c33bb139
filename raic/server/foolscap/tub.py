"""The node's end of all its Foolscap connections."""

from __future__ import annotations

from functools import partial

from foolscap.api import Tub

from raic.server.foolscap.connection import BoundedBroker, ConnectionLimits


def make_tub(
    pem: bytes,
    limits: ConnectionLimits,
    *,
    keepalive: int | None = None,
    disconnect: int | None = None,
) -> Tub:
    """A Tub that neither reveals tracebacks nor follows strangers' introductions.

    It is a Twisted service; it connects and is connected to while it runs.

    :param pem: the node's certificate and private key.
    :param keepalive: seconds of silence after which the peer is asked whether it is still there;
        None for Foolscap's four minutes.
    :param disconnect: seconds of silence after which a connection is given up; None for never.
    """
    tub = Tub(certData=pem)
    tub.setOption("accept-gifts", False)
    tub.setOption("expose-remote-exception-types", False)
    if keepalive is not None:
        tub.setOption("keepaliveTimeout", keepalive)
    if disconnect is not None:
        tub.setOption("disconnectTimeout", disconnect)
    tub.unsafeTracebacks = False
    tub.brokerClass = partial(  # type: ignore[assignment]  # only ever called
        BoundedBroker, limits
    )
    return tub
