"""Many sockets need many descriptors: the soft limit is raised to the hard one, for children too."""

import resource


def raise_file_limit() -> int:
    """Returns how many there may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
