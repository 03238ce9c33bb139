"""Where the node is that a command is about, when nothing is said."""

DEFAULT_DIRECTORY = "raic-node"
