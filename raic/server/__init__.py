"""The storage protocol: the service, its two dialects, and where they listen."""
