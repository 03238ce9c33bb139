"""Providers around one other provider, each with one concern."""
