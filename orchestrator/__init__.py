"""genesis-fleet: runs a trusted network of Cardano bootstrap relays from one file."""

__version__ = "0.1.0"
