"""Lines and bars, as SVG: attributes alone, since the page allows no styles in its text."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 120, 28
_TOP = 2.0

POINTS = 60
"""How many values a line has; of fewer the last is at its end all the same."""

_AXIS = Markup(  # noqa: S704 - numbers alone
    f'<line class="axis" x1="0" y1="{HEIGHT - 0.5}" x2="{WIDTH}" y2="{HEIGHT - 0.5}"'
    ' vector-effect="non-scaling-stroke"/>'
)


def sparkline(values: Sequence[float | None], kind: str, label: str) -> Markup:
    """A line for the last ten minutes; where a value is None it has a gap.

    :param kind: a class of the style sheet: ``latency``, ``errors``, ``flow`` or ``calls``.
    :param label: what it shows, for who does not see it.
    """
    top = max((each for each in values if each is not None), default=0.0)
    if not top:
        kind += " still"
        top = 1.0
    step = WIDTH / (POINTS - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values, max(0, POINTS - len(values))):
        if value is None:
            runs.append([])
        else:
            height = HEIGHT - 1 - (HEIGHT - 1 - _TOP) * value / top
            runs[-1].append((number * step, height))
    drawn = "".join(_run(run) for run in runs if run)
    return Markup(
        '<svg class="spark {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}{}</svg>'
    ).format(kind, WIDTH, HEIGHT, label, _AXIS, Markup(drawn))  # noqa: S704 - numbers alone


def _run(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        points = [points[0], (points[0][0] + 1.0, points[0][1])]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"{points[0][0]:.1f},{HEIGHT} {line} {points[-1][0]:.1f},{HEIGHT}"
    return (
        f'<polygon class="area" points="{area}"/>'
        f'<polyline class="line" points="{line}" vector-effect="non-scaling-stroke"/>'
    )


def bar(parts: Sequence[tuple[float, str]], label: str) -> Markup:
    """A bar of several parts.

    :param parts: what each takes of 100, and its class.
    """
    drawn, x = Markup(""), 0.0
    for width, kind in parts:
        if width > 0:
            shown = max(width, 0.8)  # however little there is, it is to be seen
            drawn += Markup('<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="8"/>').format(
                kind, min(x, 100 - shown), shown
            )
            x += width
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect class="empty" x="0" y="0" width="100" height="8"/>{}</svg>'
    ).format(escape(label), drawn)
