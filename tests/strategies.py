"""The domain's vocabulary for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

_COMPONENT = st.text("abz09-_.", min_size=1, max_size=6).filter(lambda s: s not in (".", ".."))


def components() -> st.SearchStrategy[str]:
    """One component of a key."""
    return _COMPONENT


def keys() -> st.SearchStrategy[str]:
    """Keys of objects, chosen so that they often have a prefix in common."""
    return st.lists(_COMPONENT, min_size=1, max_size=5).map("/".join)


def long_keys() -> st.SearchStrategy[str]:
    """Keys with components that are too long for a file name."""
    long = st.builds(
        lambda text, times: (text * 512)[:times],
        _COMPONENT,
        st.sampled_from([199, 200, 201, 202, 300, 399, 400, 401, 402]),
    )
    return st.lists(st.one_of(_COMPONENT, long), min_size=1, max_size=4).map(
        lambda parts: "/".join(parts)[:512].rstrip("/.") or "x"
    )


def storage_indexes() -> st.SearchStrategy[bytes]:
    """Storage indexes."""
    return st.binary(min_size=16, max_size=16)


def contents(max_size: int = 300) -> st.SearchStrategy[bytes]:
    """The bytes of objects and shares."""
    return st.binary(max_size=max_size)


def sizes(block: int, blocks: int = 3) -> st.SearchStrategy[int]:
    """Sizes around the multiples of a block size, where the mistakes are."""
    near = st.builds(
        lambda count, off: max(0, count * block + off),
        st.integers(0, blocks),
        st.integers(-2, 2),
    )
    return st.one_of(near, st.integers(0, blocks * block))
