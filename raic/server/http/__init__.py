"""The HTTP dialect of the storage protocol ("Great Black Swamp")."""

from raic.server.http.connections import Limits
from raic.server.http.site import StorageSite, make_site

__all__ = ["Limits", "StorageSite", "make_site"]
