"""Tahoe's older dialect: the storage service as Foolscap's remote objects.

Foolscap keeps one definition of each remote interface per process, so no process may import both
this package and ``allmydata``.
"""
