"""What a provider on one of libcloud's drivers is told, and what its driver can do."""

from __future__ import annotations

from attrs import frozen
from libcloud.storage.base import StorageDriver
from libcloud.storage.drivers.azure_blobs import (
    AZURE_UPLOAD_CHUNK_SIZE,
    AzureBlobsStorageDriver,
)

from raic.backends.blockingstore import PartPlan

LOCAL = "local"


@frozen
class LibcloudSettings:
    """Where objects go, and how; sizes in bytes, times in seconds.

    :ivar driver: libcloud's name of it, as in ``azure_blobs``.
    :ivar prefix: goes before every key as it is: usually it ends in a slash.
    :ivar path: with the driver ``local``: the folder that holds the container.
    :ivar host: None for the driver's own.
    :ivar ca_bundle: a file of certificates to trust; None for the usual ones.
    :ivar part_size: of the parts of a large object, and the largest object kept as one.
    :ivar parts_in_flight: of one upload.
    :ivar threads: how many requests may be under way at once.
    """

    driver: str
    container: str
    prefix: str = ""
    path: str | None = None
    host: str | None = None
    port: int | None = None
    secure: bool = True
    region: str | None = None
    project: str | None = None
    ca_bundle: str | None = None
    part_size: int = 8 * 1024 * 1024
    parts_in_flight: int = 3
    threads: int = 8
    connect_timeout: float = 5.0
    read_timeout: float = 20.0

    def __attrs_post_init__(self) -> None:
        if (self.path is None) == (self.driver == LOCAL):
            raise ValueError("path: goes with driver = local, and only with it")

    @property
    def plan(self) -> PartPlan:
        """How large objects are cut."""
        return PartPlan(self.part_size, self.parts_in_flight)

    @property
    def workers(self) -> int:
        """How many threads there are: what one of them writes to a local file others would see."""
        return 1 if self.driver == LOCAL else self.threads


@frozen
class Abilities:
    """What a driver can do by itself; the rest is emulated.

    :ivar ranges: whether it reads a part of an object without the rest.
    :ivar whole: up to how many bytes it could store in one request, and would take two.
    """

    driver: str
    ranges: bool
    whole: int = 0

    @classmethod
    def of(cls, name: str, driver: type) -> Abilities:
        """Those of a driver."""
        found = getattr(driver, "download_object_range_as_stream", None)
        ranges = found is not StorageDriver.download_object_range_as_stream
        whole = AZURE_UPLOAD_CHUNK_SIZE if issubclass(driver, AzureBlobsStorageDriver) else 0
        return cls(name, ranges, whole)
