"""Real services on loopback, and scripted ones."""
