"""``python -m raic`` is the ``raic`` command."""

from raic.cli import main

main(prog_name="raic")
