"""Objects in OpenStack Swift, in Rackspace Cloud Files, or in what speaks their protocol."""

from raic.backends.swift.provider import SwiftProvider
from raic.backends.swift.settings import SwiftSettings
from raic.backends.swift.types import CLOUDFILES, SWIFT

__all__ = ["CLOUDFILES", "SWIFT", "SwiftProvider", "SwiftSettings"]
