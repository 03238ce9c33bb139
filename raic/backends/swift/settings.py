"""What a Swift provider is told."""

from __future__ import annotations

from attrs import frozen

from raic.backends.blockingstore import PartPlan

MAX_SEGMENTS = 1000
"""As many segments as every cluster takes in one large object, unless configured down."""

VERSIONS = {
    "v3": "3.x_password",
    "v3_application_credential": "3.x_appcred",
    "v2": "2.0_password",
    "v1": "1.0",
    "cloudfiles": "2.0_apikey",
}
"""Ways to sign in, and what libcloud calls them."""


@frozen
class SwiftSettings:
    """Where objects go, and how; sizes in bytes, times in seconds.

    :ivar auth_url: where to sign in, with or without the version's own path.
    :ivar prefix: goes before every key as it is: usually it ends in a slash.
    :ivar auth_version: one of :data:`VERSIONS`.
    :ivar project: what Keystone's version 2 calls the tenant.
    :ivar interface: which of the catalogue's addresses to use: ``public`` or ``internal``.
    :ivar storage_url: the account's address; None for what signing in says.
    :ivar ca_bundle: a file of certificates to trust; None for the usual ones.
    :ivar part_size: of the segments of a large object, and the largest object sent as a whole.
    :ivar parts_in_flight: of one upload.
    :ivar threads: how many requests may be under way at once.
    """

    container: str
    auth_url: str
    prefix: str = ""
    auth_version: str = "v3"
    region: str | None = None
    project: str | None = None
    project_domain_id: str = "default"
    user_domain: str = "Default"
    interface: str = "public"
    storage_url: str | None = None
    ca_bundle: str | None = None
    part_size: int = 8 * 1024 * 1024
    parts_in_flight: int = 3
    threads: int = 16
    connect_timeout: float = 5.0
    read_timeout: float = 20.0

    def __attrs_post_init__(self) -> None:
        if self.auth_version not in VERSIONS:
            raise ValueError("auth_version: write one of: " + ", ".join(VERSIONS))
        if self.auth_version == "v3" and not self.project:
            raise ValueError("project: v3 needs the name of the project")
        if self.auth_version == "cloudfiles" and not self.region:
            raise ValueError("region: write one of: " + ", ".join(_RACKSPACE_REGIONS))

    @property
    def plan(self) -> PartPlan:
        """How large objects are cut."""
        return PartPlan(self.part_size, self.parts_in_flight, MAX_SEGMENTS)


_RACKSPACE_REGIONS = ("DFW", "HKG", "IAD", "LON", "ORD", "SYD")
