"""The SDK's client, made to do what is asked and nothing else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from os import devnull
from typing import Any

from botocore.config import Config
from botocore.session import Session

from raic.backends.s3.settings import DEFAULT_REGION, S3Credentials, S3Settings


def make_client(settings: S3Settings, credentials: S3Credentials | None) -> Any:
    """A client that may be shared by threads.  Takes a while: it reads descriptions of services.

    :param credentials: None for the SDK's own search: environment, files, instance roles.
    """
    ambient = credentials is None
    session = Session(session_vars=None if ambient else _NOTHING_AMBIENT)
    known = {}
    if credentials is not None:
        known = {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
        }
    client = session.create_client(
        "s3",
        region_name=settings.region or session.get_config_variable("region") or DEFAULT_REGION,
        endpoint_url=settings.endpoint_url,
        verify=settings.ca_bundle,
        config=_config(settings, ambient),
        **known,
    )
    events = client.meta.events
    events.register_last("before-parameter-build.s3", _stay_in_region)
    events.register_last("before-call.s3.DeleteObjects", _add_md5)
    return client


_NOTHING_AMBIENT = {
    "profile": (None, None, None, None),
    "config_file": (None, None, devnull, None),
    "credentials_file": (None, None, devnull, None),
    "region": (None, None, None, None),
}
"""Session variables that neither the environment nor the operator's own files can set."""


def _config(settings: S3Settings, ambient: bool) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.addressing_style},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        # Retrying is the business of a layer, which has a budget for it.
        retries={"total_max_attempts": 1},
        max_pool_connections=settings.threads,
        tcp_keepalive=True,
        # Other services than Amazon's refuse the trailing checksums that are the default over
        # TLS; objects carry tags of our own.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=not ambient,
    )


def _stay_in_region(context: dict[str, Any], **_: Any) -> None:
    """Report a wrong region instead of asking around at every start."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """Batched deletes need a checksum; only this one is known to every service."""
    headers = params["headers"]
    for name in [name for name in headers if name.lower().startswith("x-amz-checksum-")]:
        del headers[name]
    headers.pop("x-amz-sdk-checksum-algorithm", None)
    digest = md5(params["body"], usedforsecurity=False).digest()
    headers["Content-MD5"] = b64encode(digest).decode("ascii")
