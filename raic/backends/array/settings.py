"""How an array behaves: all that has a default."""

from __future__ import annotations

from attrs import field, frozen

from raic.backends.array.health import Patience


@frozen
class ArraySettings:
    """Times are in seconds, sizes in bytes.

    :ivar lane_buffer: what an upload keeps at most for a member that is behind the others, beyond
        what one ``write`` of the caller brings.
    :ivar straggler_seconds: for how long a member may hold up an upload while ``happy`` others
        could go on, and for how long the last members are waited for when ``happy`` have finished.
    :ivar least_grace: for how long they are waited for at least.
    :ivar write_seconds: what all of ``put_object``, or of ``finish``, may take.
    :ivar settle_seconds: after an object was acknowledged its caller has committed it, or never
        will, when so much time has passed.
    :ivar request_seconds: a request that was given up has no effect any more after so long.
    :ivar backlog: when so many bytes of acknowledged objects are still on their way to a member,
        what is written meanwhile passes it by.
    :ivar start_grace: for how long at least the members that have not started are waited for when
        enough have; writes miss none that only takes a moment longer than the others.
    :ivar first_retry: the pause before a member that did not start is started again; each further
        one is twice as long.
    :ivar last_retry: and never longer than this.
    :ivar patience: how long a member is waited for before another one is asked as well.
    :ivar read_seconds: after so long a read is given up, and a stream that brings nothing though
        its consumer is ready.
    :ivar probe_seconds: after so long a request is given up by which is found out whether a member
        is well again.
    :ivar stall_seconds: for so long a stream waits at least for one member that the others wait
        for, before another one is asked to go on in its place.
    :ivar stream_buffer: what a stream keeps at most, for each fragment that it needs, of what it
        has read ahead of its consumer; 3 MiB at least.
    """

    lane_buffer: int = 3 * 1024 * 1024
    straggler_seconds: float = 5.0
    least_grace: float = 0.020
    write_seconds: float = 40.0
    settle_seconds: float = 60.0
    request_seconds: float = 300.0
    backlog: int = 32 * 1024 * 1024
    start_grace: float = 1.0
    first_retry: float = 1.0
    last_retry: float = 60.0
    patience: Patience = field(factory=Patience)
    read_seconds: float = 40.0
    probe_seconds: float = 15.0
    stall_seconds: float = 0.25
    stream_buffer: int = 5 * 1024 * 1024
