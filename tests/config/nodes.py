"""Node directories for tests, without making a new RSA key for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from raic.config.creating import NewNode, create_node_directory
from raic.config.files import write_new_file
from raic.config.identity import Identity, load_identity
from raic.config.loading import load_config
from raic.config.model import Config

NOW = 1_700_000_000


@cache
def _files(number: int) -> Mapping[str, bytes]:
    with TemporaryDirectory() as folder:
        node = Path(folder) / str(number)
        create_node_directory(node, NewNode(), NOW)
        return {
            str(path.relative_to(node)): path.read_bytes()
            for path in node.rglob("*")
            if path.is_file()
        }


def node_directory(path: Path, number: int = 0) -> tuple[Config, Identity]:
    """A node directory at ``path``: the same for the same number, in one test run."""
    (path / "private").mkdir(parents=True, mode=0o700)
    for name, data in _files(number).items():
        write_new_file(path / name, data)
    return load_config(path), load_identity(path / "private")
