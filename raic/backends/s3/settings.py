"""What an S3 provider is told."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from raic.backends.blockingstore import PartPlan

DEFAULT_REGION = "us-east-1"

MIN_PART_SIZE = 5 * 1024 * 1024
"""S3 refuses to complete an upload with smaller parts, the last one excepted."""


@frozen
class S3Credentials:
    """Who we are.

    :ivar session_token: of temporary credentials; None for permanent ones.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@frozen
class S3Settings:
    """Where objects go, and how; sizes in bytes, times in seconds.

    :ivar prefix: goes before every key as it is: usually it ends in a slash.
    :ivar region: None for what the environment says, else us-east-1.
    :ivar endpoint_url: None for Amazon's own.
    :ivar addressing_style: ``auto``, ``path`` or ``virtual``.
    :ivar storage_class: as in ``STANDARD_IA``; None for the container's default.
    :ivar server_side_encryption: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``; None for the
        container's default.
    :ivar ca_bundle: a file of certificates to trust; None for the usual ones.
    :ivar conditional: whether to create objects only where none is: None to find out.
    :ivar part_size: of the parts of a large object, and the largest object sent as a whole.
    :ivar parts_in_flight: of one upload.
    :ivar threads: how many requests may be under way at once.
    """

    container: str
    prefix: str = ""
    region: str | None = None
    endpoint_url: str | None = None
    addressing_style: str = "auto"
    storage_class: str | None = None
    server_side_encryption: str | None = None
    sse_kms_key_id: str | None = None
    ca_bundle: str | None = None
    conditional: bool | None = None
    part_size: int = 8 * 1024 * 1024
    parts_in_flight: int = 3
    threads: int = 16
    connect_timeout: float = 5.0
    read_timeout: float = 20.0

    def __attrs_post_init__(self) -> None:
        if self.part_size < MIN_PART_SIZE:
            raise ValueError(f"part_size must be at least {MIN_PART_SIZE}")
        if self.parts_in_flight < 1 or self.threads < 1:
            raise ValueError("parts_in_flight and threads must be at least 1")

    @property
    def plan(self) -> PartPlan:
        """How large objects are cut."""
        return PartPlan(self.part_size, self.parts_in_flight)

    @property
    def of_new_objects(self) -> dict[str, Any]:
        """The parameters of every request that creates an object."""
        wanted = {
            "StorageClass": self.storage_class,
            "ServerSideEncryption": self.server_side_encryption,
            "SSEKMSKeyId": self.sse_kms_key_id,
        }
        return {name: value for name, value in wanted.items() if value is not None}
