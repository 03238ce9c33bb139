"""What the loss of a provider, or of all that have something in common, does to an array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import frozen

PROVIDER = "provider"
"""What :class:`Loss` calls a single provider."""


@frozen
class Home:
    """Where one fragment of every object is.

    :ivar labels: what the provider has in common with others.
    """

    provider: str
    labels: Mapping[str, str]


@frozen
class Loss:
    """What goes, and what that means.

    :ivar label: ``provider``, or the label of a domain.
    :ivar name: of the provider or the domain.
    :ivar fragments: how many of each object's fragments go.
    """

    label: str
    name: str
    fragments: int
    needed: int
    happy: int
    total: int

    @property
    def left(self) -> int:
        """How many fragments are left of what was whole."""
        return self.total - self.fragments

    @property
    def reads_go_on(self) -> bool:
        """Whether what was whole can be read."""
        return self.left >= self.needed

    @property
    def writes_go_on(self) -> bool:
        """Whether what is left is enough for a write."""
        return self.left >= self.happy

    @property
    def keeps_newest(self) -> bool:
        """Whether what was only just acknowledged can be read, whoever has it."""
        return self.happy - min(self.fragments, self.happy) >= self.needed

    @property
    def more(self) -> int:
        """How many more fragments may be lost, of what was whole."""
        return max(0, self.left - self.needed)


def crowded(homes: Sequence[Home], needed: int) -> list[Loss]:
    """The domains that hold more fragments of each object than may be lost."""
    spare = max(1, len(homes) - needed)
    domains = Counter(domain for home in homes for domain in home.labels.items())
    return [
        Loss(label, name, held, needed, needed, len(homes))
        for (label, name), held in domains.items()
        if held > spare
    ]


def losses(homes: Sequence[Home], needed: int, happy: int) -> list[Loss]:
    """What the loss of each single provider would do, and then of each domain of several."""
    counts = Counter((PROVIDER, home.provider) for home in homes)
    domains = Counter(domain for home in homes for domain in home.labels.items())
    for label, name in sorted(domains):
        if len({home.provider for home in homes if home.labels.get(label) == name}) > 1:
            counts[label, name] = domains[label, name]
    return [
        Loss(label, name, fragments, needed, happy, len(homes))
        for (label, name), fragments in counts.items()
    ]
