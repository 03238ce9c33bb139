"""A provider made of several others, enough of which suffice."""
