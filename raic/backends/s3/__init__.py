"""Objects in Amazon S3, or in anything that speaks its protocol."""

from raic.backends.s3.provider import S3Provider
from raic.backends.s3.settings import S3Credentials, S3Settings
from raic.backends.s3.types import S3

__all__ = ["S3", "S3Credentials", "S3Provider", "S3Settings"]
