"""Whether the service's clock and this machine's agree."""

from __future__ import annotations

from raic.backends.certify.bench import Bench
from raic.backends.certify.outcomes import CheckFailed, Finding, Result, passed
from raic.interfaces import IServiceClock

WARNING_SECONDS = 60.0
LONGEST_SECONDS = 15 * 60.0
"""A service that checks signatures refuses those that are older, or are from the future."""

_REMEDY = "set this machine's clock: have it follow a time server, such as with chrony"


async def clock_drift(bench: Bench) -> Finding:
    """How far the service's clock is from ours."""
    time = None
    before = bench.clock.seconds()
    if IServiceClock.providedBy(bench.leaf):
        time = await IServiceClock(bench.leaf).service_time()
    if time is None:
        return Finding(Result.NOT_OFFERED, "no service tells its time here")
    # To the second, and somewhere between the question and the answer.
    drift = (before + bench.clock.seconds()) / 2 - (time + 0.5)
    figures = {"clock_drift_seconds": round(drift, 1)}
    if abs(drift) < WARNING_SECONDS:
        return passed(f"the service's and this machine's differ by {abs(drift):.0f} s", **figures)
    detail = f"this machine's is {_in_words(abs(drift))} {'ahead' if drift > 0 else 'behind'}"
    if abs(drift) > LONGEST_SECONDS:
        raise CheckFailed(detail, _REMEDY)
    return Finding(Result.WARNING, detail, _REMEDY, figures)


def _in_words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
