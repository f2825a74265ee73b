"""Fresh SSH host keys, by the cryptography library."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.execution.ports import KeyPair


class Ed25519Keys:
    """Keys from the system's random source."""

    def make_host_key(self, purpose: str) -> KeyPair:  # noqa: ARG002 - the simulation derives its keys from it
        """Return a fresh ed25519 key pair in OpenSSH's formats."""
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return KeyPair(private.decode(), public.decode())
