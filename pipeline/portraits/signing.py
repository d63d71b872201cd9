"""The key that signs downloads, and its certificates: read and checked at start, kept in RAM.

The key may also stay where it is, in an HSM for instance, and a program sign by it.
Without one, and once a certificate has expired, downloads carry the IPTC mark alone.
"""

from __future__ import annotations

import math
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from errors import BadSettings, SigningFailed

DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_USES = {ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENT_SIGNING}
_MOST_CHAIN_BYTES = 16_384
_DAY_S = 86_400
_PATIENCE_S = 10
_ANSWERS_KNOWN = 1 << 16  # about 20 MB

log = structlog.get_logger()


class KeyElsewhere:
    """A key that only a program can sign by. It gets a digest and answers with a signature, DER.

    What it answered is remembered: asked again it may sign in another way, and a download that
    goes on where it was broken off has to be the same.
    """

    def __init__(self, program: Path, public: EllipticCurvePublicKey) -> None:
        self._program, self._public = program, public
        self._lock = threading.Lock()
        self._answer = lru_cache(_ANSWERS_KNOWN)(self._asked)

    def public_key(self) -> EllipticCurvePublicKey:
        """Its other half, as the certificate has it."""
        return self._public

    def sign(self, data: bytes, _: ECDSA) -> bytes:
        """ECDSA with SHA-256.

        Raises:
            SigningFailed: the program gave no signature of this key.
        """
        with self._lock:
            return self._answer(sha256(data).digest())

    def _asked(self, digest: bytes) -> bytes:
        try:
            answer = subprocess.run(
                [self._program], input=digest, capture_output=True, timeout=_PATIENCE_S, check=True
            ).stdout
            self._public.verify(answer, digest, ECDSA(Prehashed(SHA256())))
        except OSError as why:
            mistake = f"cannot be run ({why.strerror})"
        except subprocess.TimeoutExpired:
            mistake = f"has not answered in {_PATIENCE_S} seconds"
        except subprocess.CalledProcessError as why:
            mistake = f"has ended with the code {why.returncode}"
        except InvalidSignature:
            mistake = "has not given a signature (DER) by the key of the first certificate"
        else:
            return answer
        log.error("signing_failed", why=mistake)
        raise SigningFailed(f"LIKENESS_C2PA_SIGN: {self._program} {mistake}.")


@dataclass(frozen=True, eq=False, repr=False)
class Signer:
    """An ES256 key and its certificates, DER, the key's own first.

    run: tells this process from the next one, if the key would sign the same in another way then.
    """

    key: EllipticCurvePrivateKey | KeyElsewhere
    chain: tuple[bytes, ...]
    run: bytes = b""

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 as COSE wants it, 64 bytes; the same data give the same (RFC 6979).

        Raises:
            SigningFailed: from a key elsewhere.
        """
        pair = decode_dss_signature(
            self.key.sign(data, ECDSA(SHA256(), deterministic_signing=True))
        )
        return b"".join(number.to_bytes(32, "big") for number in pair)

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raises:
        InvalidSignature: it is not what `sign` gives for these data.
        """
        if len(signature) != 64:
            raise InvalidSignature
        pair = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
        self.key.public_key().verify(encode_dss_signature(*pair), data, ECDSA(SHA256()))

    def __repr__(self) -> str:
        """Tells one from another, as the tag of a download must, and nothing of the key."""
        return f"Signer({sha256(b''.join(self.chain) + self.run).hexdigest()})"


class Signing:
    """Gives the signer for as long as its certificates last; then logs a line a day, at most.

    own: the signer, also when they have expired; None where there is none.
    """

    def __init__(
        self,
        own: Signer | None = None,
        ends: float = math.inf,
        now: Callable[[], float] = time.time,
    ) -> None:
        """ends: the last second in which all certificates are valid, since the epoch."""
        self.own = own
        self._ends = ends
        self._now = now
        self._lock = threading.Lock()
        self._told_on = -1

    def __call__(self) -> Signer | None:
        now = self._now()
        if now <= self._ends:
            return self.own
        with self._lock:
            if self._told_on != (day := int(now // _DAY_S)):
                self._told_on = day
                log.warning("downloads_unsigned", why="certificate_expired")
        return None


def load(key_file: str, chain_file: str, program: str = "") -> Signing:
    """What gives the signer of a download; None from it where there is none.

    Args:
        key_file: PEM, a private key on P-256, "" for none. chain_file: PEM, its certificates.
        program: what signs where there is no such file, "" for nothing.

    Raises:
        BadSettings: one of them cannot be used, in a sentence.
    """
    if not key_file and not program:
        return Signing()
    key = _key(Path(key_file)) if key_file else None
    path = Path(chain_file)
    try:
        pem = path.read_bytes()
        chain = x509.load_pem_x509_certificates(pem)
        uses = chain[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except OSError as why:
        raise _bad("CHAIN", path, f"cannot be read ({why.strerror})") from None
    except (ValueError, x509.ExtensionNotFound):
        raise _bad("CHAIN", path, "has no certificates for signing documents in PEM") from None
    if len(pem) > _MOST_CHAIN_BYTES:
        raise _bad("CHAIN", path, f"has more than {_MOST_CHAIN_BYTES} bytes")
    public = chain[0].public_key()
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        raise _bad("CHAIN", path, "does not begin with a certificate on the curve P-256 (ES256)")
    if key is not None and public != key.public_key():
        raise _bad("CHAIN", path, "does not begin with the certificate of LIKENESS_C2PA_KEY")
    if not _USES & set(uses):
        raise _bad("CHAIN", path, "is not for signing documents (extended key usage)")
    try:
        for issued, issuer in pairwise(chain):
            issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise _bad("CHAIN", path, "has a certificate that the next one did not issue") from None
    ends = min(certificate.not_valid_after_utc.timestamp() for certificate in chain)
    starts = max(certificate.not_valid_before_utc.timestamp() for certificate in chain)
    if not starts <= time.time() <= ends:
        reason = "make a new one with python -m tools.signing_chain"
        raise _bad("CHAIN", path, f"has expired or is not valid yet; {reason}")
    certificates = tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
    if key is not None:
        return Signing(Signer(key, certificates), ends)
    elsewhere = KeyElsewhere(Path(program), public)
    signer = Signer(elsewhere, certificates, run=secrets.token_bytes(16))
    try:
        signer.sign(b"")
    except SigningFailed as why:
        raise BadSettings(why.sentence) from None
    return Signing(signer, ends)


def _key(path: Path) -> EllipticCurvePrivateKey:
    try:
        with path.open("rb") as file:
            others = os.fstat(file.fileno()).st_mode & 0o077
            pem = file.read(_MOST_CHAIN_BYTES)
    except OSError as why:
        raise _bad("KEY", path, f"cannot be read ({why.strerror})") from None
    if others:
        raise _bad("KEY", path, "can be read by others; chmod 400 it")
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise _bad("KEY", path, "is no private key in PEM without a password") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise _bad("KEY", path, "is no key on the curve P-256 (ES256)")
    return key


def _bad(which: str, path: Path, mistake: str) -> BadSettings:
    return BadSettings(f"LIKENESS_C2PA_{which}: {path} {mistake}.")
