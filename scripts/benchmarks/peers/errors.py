"""What a comparison with peers may fail for."""


class PeerUnavailable(Exception):
    """A peer cannot be installed, or its program ended; the text says what is missing."""
