"""Providers: leaves that store objects somewhere, and layers around one."""
