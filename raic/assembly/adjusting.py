"""What of a configuration a running node can take up, and how."""

from __future__ import annotations

from attrs import frozen

from raic.assembly.members import MemberStack
from raic.assembly.stack import ProviderStack
from raic.backends.array.members import Member
from raic.backends.filesystem import FilesystemProvider
from raic.backends.layers.readcache import CacheSettings, ReadCacheLayer
from raic.backends.layers.stack import Layers, LayerSettings
from raic.config.changes import Scope
from raic.config.model import ArraySettings, Config, ProviderSettings
from raic.config.reading import Text

_CACHE_KEYS = frozenset({"cache_size", "read_ahead"})
_NO_CACHE = CacheSettings(capacity=0, read_ahead=0)

_PROVIDER = "provider:"
_ARRAY = "array:"
_SERVER = "server:"


@frozen
class RunningStack:
    """The providers of a running node, those too that its array was given meanwhile."""

    stack: ProviderStack

    def adjust(self, config: Config) -> None:
        """Take up limits, caches, quotas and prices."""
        self.stack.book.adjust(config)
        for name, made in self._made().items():
            settings = config.providers.get(name)
            if settings is not None:
                _adjust_member(made, settings, config.storage.reserved_space)
        array = self.stack.array
        if array is not None and isinstance(config.backend, ArraySettings):
            _adjust_cache(array.cache, config.backend.cache)
            for name, member in array.joined.items():
                _adjust_price(member, config.providers.get(name))

    def scope(self, config: Config) -> Scope:
        """Which changes this node can take up."""
        own = _SERVER + config.node_directory.name
        several = _is_several(config.text)

        def uses(section: str) -> bool:
            kind, _, name = section.partition(":")
            if kind == "provider":
                return name in self._made()
            if kind == "array":
                return self.stack.array is not None and name == config.backend.name
            return True

        def heeds(section: str) -> bool:
            if not several:
                return True
            if section.startswith(_SERVER):
                return section == own
            return uses(section)

        return Scope(uses, heeds, self._takes)

    def _takes(self, section: str, key: str) -> bool:
        if section.startswith(_ARRAY):
            array = self.stack.array
            return key not in _CACHE_KEYS or (array is not None and array.cache is not None)
        made = self._made().get(section.removeprefix(_PROVIDER))
        if made is None or not section.startswith(_PROVIDER):
            return True
        if key == "quota":
            return made.quota is not None
        # A member of an array has no cache of its own, so that a change of it changes nothing.
        single = self.stack.array is None
        return not (single and key in _CACHE_KEYS and made.layers.cache is None)

    def _made(self) -> dict[str, MemberStack]:
        if self.stack.array is not None:
            return self.stack.array.stacks
        return {each.settings.name: each for each in self.stack.members}


def _is_several(text: Text) -> bool:
    return any(section.startswith(_SERVER) for section in text.sections)


def _adjust_member(made: MemberStack, settings: ProviderSettings, reserved_space: int) -> None:
    made.settings = settings
    if isinstance(made.leaf, FilesystemProvider):
        made.leaf.reserve(reserved_space)
    if made.quota is not None:
        made.quota.adjust(settings.quota)
    if settings.cloud is not None:
        _adjust_layers(made.layers, settings.cloud.layers)


def _adjust_layers(layers: Layers, settings: LayerSettings) -> None:
    _adjust_cache(layers.cache, settings.cache)
    if layers.rate is not None and settings.rates is not None:
        layers.rate.adjust(settings.rates)
    if layers.concurrency is not None and settings.connections is not None:
        layers.concurrency.adjust(settings.connections)
    if layers.retry is not None and settings.retry is not None:
        layers.retry.adjust(settings.retry)
    if layers.timeout is not None and settings.timeouts is not None:
        layers.timeout.adjust(settings.timeouts)


def _adjust_cache(cache: ReadCacheLayer | None, settings: CacheSettings | None) -> None:
    if cache is not None:
        cache.adjust(settings or _NO_CACHE)


def _adjust_price(member: Member, settings: ProviderSettings | None) -> None:
    if settings is not None:
        member.price = settings.prices.download
