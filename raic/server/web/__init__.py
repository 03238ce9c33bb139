"""The operator's face: status page, JSON, metrics, health."""

from raic.server.web.site import WebSite

__all__ = ["WebSite"]
