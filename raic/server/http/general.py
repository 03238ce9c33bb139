"""The endpoints that concern neither kind of share alone: version and leases."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from raic.errors import NoSuchShare
from raic.server.http.authorization import CANCEL, RENEW, Secrets
from raic.server.http.face import StorageFace, bodiless
from raic.server.http.request import StorageRequest
from raic.server.http.routes import Endpoint
from raic.values import LeaseSecrets

LEASE = frozenset([RENEW, CANCEL])


def lease_secrets(secrets: Secrets) -> LeaseSecrets:
    """The two lease secrets of a request."""
    return LeaseSecrets(secrets[RENEW], secrets[CANCEL])


def _version(face: StorageFace, request: StorageRequest) -> None:
    sizes = face.service.get_sizes()
    face.send(
        request,
        {
            b"http://allmydata.org/tahoe/protocols/storage/v1": {
                b"maximum-immutable-share-size": sizes.maximum_immutable_share_size,
                b"maximum-mutable-share-size": sizes.maximum_mutable_share_size,
                b"available-space": sizes.available_space,
            },
            b"application-version": face.application_version,
        },
    )


def _add_lease(face: StorageFace, request: StorageRequest) -> Deferred[None]:
    def added(anything_stored: bool) -> None:
        if not anything_stored:
            raise NoSuchShare("nothing is stored under this storage index")
        request.answer(204)

    adding = face.service.add_lease(request.storage_index, lease_secrets(request.secrets))
    return adding.addCallback(added)


VERSION = Endpoint("get the version", "version", bodiless(_version), sends_message=True)
ADD_LEASE = Endpoint("add a lease", "add_lease", bodiless(_add_lease), LEASE)
