from __future__ import annotations

import sys
from pathlib import Path

from raic import __version__

sys.path.insert(0, str(Path(__file__).parent / "extension"))

project = "RAIC"
author = "The RAIC developers"
copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinxcontrib.zopeext.autointerface",
    "raic_reference",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"RAIC {version}"
templates_path: list[str] = []
html_extra_path = ["packaging"]

man_pages = [("manual", "raic", "a Tahoe-LAFS storage node whose shares live anywhere", author, 1)]
man_show_urls = True

# Signatures show types as the source has them; the interfaces' own docstrings say the rest.
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

# The build needs no network: names from other projects are not looked up there.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}
nitpick_ignore_regex = [
    ("py:.*", r"(twisted|zope|collections|typing|attrs|foolscap)\..*"),
    ("py:.*", r"(Deferred|Callable|Collection|Iterable|Mapping|Sequence|T|P|IConsumer)(\[.*)?"),
]
