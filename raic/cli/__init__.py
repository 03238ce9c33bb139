"""The ``raic`` command."""

from __future__ import annotations

import click

from raic import __version__
from raic.assembly import prove_access
from raic.cli.adopt import adopt
from raic.cli.advisories import advisories
from raic.cli.array import array
from raic.cli.check import check
from raic.cli.completion import completion
from raic.cli.copy import copy
from raic.cli.create_node import create_node
from raic.cli.credentials import make_credentials_group
from raic.cli.doctor import doctor
from raic.cli.drill import drill
from raic.cli.export import export
from raic.cli.failing import RaicGroup
from raic.cli.identity import identity
from raic.cli.leases import leases
from raic.cli.plan import plan
from raic.cli.providers import providers
from raic.cli.reload import reload
from raic.cli.restore import restore
from raic.cli.run import run
from raic.cli.selftest import selftest
from raic.cli.shares import shares
from raic.cli.space import space
from raic.cli.status import status


@click.group(cls=RaicGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="raic")
def main() -> None:
    """A Tahoe-LAFS storage node whose shares live wherever you have storage."""


main.add_command(adopt)
main.add_command(advisories)
main.add_command(array)
main.add_command(check)
main.add_command(copy)
main.add_command(completion)
main.add_command(create_node)
main.add_command(make_credentials_group(prove_access))
main.add_command(identity)
main.add_command(leases)
main.add_command(plan)
main.add_command(doctor)
main.add_command(drill)
main.add_command(export)
main.add_command(providers)
main.add_command(reload)
main.add_command(restore)
main.add_command(run)
main.add_command(selftest)
main.add_command(shares)
main.add_command(status)
main.add_command(space)
