"""Who a worker is: it signs its key with the certificate that its machine has in the cluster.

The same certificates secure Ray's own connections; `python -m tools.cluster_certs`
makes them: an authority of the cluster and one certificate (P-256) for each machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from errors import TamperedError


@dataclass(frozen=True)
class Signer:
    """A machine's certificate (PEM) and the key that goes with it."""

    certificate: bytes
    key: EllipticCurvePrivateKey

    @classmethod
    def of(cls, certificate: bytes, key: bytes) -> Signer:
        """
        Raises:
            ValueError: no certificate, or no P-256 key, of PEM.
        """
        x509.load_pem_x509_certificate(certificate)
        try:
            secret = load_pem_private_key(key, None)
        except TypeError:
            raise ValueError("the key is encrypted") from None
        if not isinstance(secret, EllipticCurvePrivateKey):
            raise ValueError("the key is no P-256 key")
        return cls(certificate, secret)

    def sign(self, message: bytes) -> bytes:
        """ECDSA with SHA-256, DER."""
        return self.key.sign(message, ECDSA(SHA256()))


class Authority:
    """The cluster's authority, which says whose signatures count."""

    def __init__(self, pem: bytes) -> None:
        """
        Raises:
            ValueError: no certificates, of PEM.
        """
        self._store = Store(x509.load_pem_x509_certificates(pem))

    def verify(self, certificate: bytes, signature: bytes, message: bytes) -> str:
        """The name of the machine that signed the message.

        Raises:
            TamperedError: no machine of this cluster did, or its certificate is not valid today.
        """
        try:
            leaf = x509.load_pem_x509_certificate(certificate)
            PolicyBuilder().store(self._store).build_client_verifier().verify(leaf, [])
            public = leaf.public_key()
            if not isinstance(public, EllipticCurvePublicKey):
                raise TamperedError
            public.verify(signature, message, ECDSA(SHA256()))
            (name,) = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        except (ValueError, VerificationError, InvalidSignature):
            raise TamperedError from None
        return str(name.value)


def certificate_name(certificate: bytes) -> str:
    """The name in a machine's certificate."""
    leaf = x509.load_pem_x509_certificate(certificate)
    (name,) = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)
