"""What a started cloud is asked: its time, its room, and the leavings of uploads."""

from __future__ import annotations

from secrets import token_hex

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.assembly.checks.opened import OpenProvider
from raic.assembly.checks.space import check_quota, judged
from raic.backends.blockingstore import UNLIMITED
from raic.errors import AccessDenied
from raic.interfaces import IInterruptedUploads, IServiceClock
from raic.sizes import in_words

DRIFT_WARNING = 60.0
DRIFT_ERROR = 15 * 60.0
"""Beyond this, Amazon and others refuse every request."""

_SET_CLOCK = "set this machine's clock, and keep it right: timedatectl set-ntp true"


async def check_clock(provider: OpenProvider) -> list[Finding]:
    """How far this machine's clock is from the service's."""
    subject, clock = "clock", provider.view.surroundings.reactor
    if not IServiceClock.providedBy(provider.leaf):
        return []
    begun = clock.seconds()
    theirs = await provider.wait(IServiceClock(provider.leaf).service_time())
    if theirs is None:
        return [good(subject, "the service does not tell its time")]
    # A Date is a whole second, cut off; it was made about half-way.
    drift = (begun + clock.seconds()) / 2 - (theirs + 0.5)
    text = f"this machine is {abs(drift):.0f} s {'ahead of' if drift > 0 else 'behind'} the service"
    if abs(drift) > DRIFT_ERROR:
        return [error(subject, text, _SET_CLOCK)]
    if abs(drift) > DRIFT_WARNING:
        return [warning(subject, f"{text}; from 15 minutes on it refuses requests", _SET_CLOCK)]
    return [good(subject, text)]


async def check_uploads(provider: OpenProvider) -> list[Finding]:
    """Whether the leavings of interrupted uploads can be looked for.

    This is done where nobody uploads, so that a running node's uploads are left alone.
    """
    subject, nowhere = "uploads", f"probe/{token_hex(16)}/"
    if not IInterruptedUploads.providedBy(provider.leaf):
        return []
    leaf = IInterruptedUploads(provider.leaf)
    try:
        await provider.wait(leaf.clear_interrupted_uploads(nowhere))
    except AccessDenied as problem:
        text = f"parts of interrupted ones cannot be found, and cost money: {problem.detail}"
        remedy = f"allow listing and aborting of uploads in parts: {problem.remedy}"
        return [warning(subject, text, remedy)]
    return [good(subject, "parts of interrupted ones can be found")]


async def check_space(provider: OpenProvider) -> list[Finding]:
    """What the quota leaves, and what the service does."""
    quota = provider.view.settings.quota
    findings = check_quota(provider.view)
    space = await provider.wait(provider.leaf.get_space())
    if space.available < (UNLIMITED if quota is None else quota):
        used = "" if space.used is None else f", {in_words(space.used)} used"
        findings.append(
            judged(f"the service has room for {in_words(space.available)}{used}", space.available)
        )
    return findings or [good("space", "no quota, and no limit of the service is known")]
