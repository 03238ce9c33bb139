"""``raic completion``, and what shells are told of this machine's nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from raic.cli.place import DEFAULT_DIRECTORY
from raic.config.loading import CONFIG_NAME, config_directory
from raic.config.reading import read_text

SHELLS = ("bash", "zsh", "fish")

_VARIABLE = "_RAIC_COMPLETE"
_PROVIDER = "provider:"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete raic's commands, options and names.

    For bash, add to ~/.bashrc: eval "$(raic completion bash)"; zsh: the same in ~/.zshrc; fish:
    raic completion fish > ~/.config/fish/completions/raic.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(context.find_root().command, {}, "raic", _VARIABLE)
    # Its own source() would ask the shell for its version, which need not be installed here.
    click.echo(complete.source_template % complete.source_vars())


def provider_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The providers in the ``raic.cfg`` that a command line is about, as far as that is known yet.

    Never raises: a shell asks.
    """
    try:
        text = (_directory(context.params) / CONFIG_NAME).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    sections = [name for name in read_text(text).sections if name.startswith(_PROVIDER)]
    names = (section.removeprefix(_PROVIDER) for section in sections)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _directory(given: dict[str, Any]) -> Path:
    return config_directory(Path(given.get("nodedir") or DEFAULT_DIRECTORY).absolute())
