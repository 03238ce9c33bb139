"""Objects wherever Apache Libcloud has a storage driver."""

from raic.backends.libcloud.provider import LIBCLOUD, LibcloudProvider
from raic.backends.libcloud.settings import Abilities, LibcloudSettings

__all__ = ["LIBCLOUD", "Abilities", "LibcloudProvider", "LibcloudSettings"]
