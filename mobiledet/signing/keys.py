"""Keys on the curve P-256, by the package cryptography, which is loaded when it is needed."""

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mobiledet.errors import UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

PASSWORD = "MOBILEDET_KEY_PASSWORD"
SIDE = 32  # bytes of each number of a signature
# of every public key on P-256 in the form SubjectPublicKeyInfo, uncompressed: algorithm and curve
SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
SPKI_BYTES = len(SPKI_HEAD) + 65
MAX_KEY_BYTES = 1 << 16


def make_key(path: Path) -> str:
    """Write a new private key to a new file that only its owner may read.

    Returns:
        the public key, as ``read_public_key`` takes it.

    Raises:
        UserError: the file exists or cannot be written, or cryptography is missing.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    password = os.environ.get(PASSWORD, "").encode()
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption(),
    )
    try:
        # O_EXCL: an existing key, perhaps the only copy, is never overwritten
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UserError(f"{path} exists; a key is never overwritten, choose another name") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
    return public_text(key.public_key())


def read_private_key(path: Path) -> "EllipticCurvePrivateKey":
    """Read a private key in PEM.

    Raises:
        UserError: the file is missing, is no private key on P-256, or its password is missing or wrong.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read the key {path}: {(error.strerror or str(error)).lower()}") from error
    password = os.environ.get(PASSWORD, "").encode() or None
    encrypted = b"ENCRYPTED" in content
    if encrypted and not password:
        raise UserError(f"the key {path} is encrypted; set {PASSWORD} to its password")
    try:
        key = serialization.load_pem_private_key(content, password if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = f"is damaged, or {PASSWORD} is not its password" if encrypted else "is no private key in PEM"
        raise UserError(f"{path} {reason}; make one with mobiledet sign --new-key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UserError(f"{path} is no key on the curve P-256; make one with mobiledet sign --new-key")
    return key


def public_text(key: "EllipticCurvePublicKey") -> str:
    """A public key as one line of text: base64 of SubjectPublicKeyInfo in DER."""
    from cryptography.hazmat.primitives import serialization

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def read_public_key(text: str) -> "EllipticCurvePublicKey":
    """The public key of a line that ``public_text`` has written.

    Raises:
        UserError: it is no public key on P-256, or cryptography is missing.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        der = base64.b64decode(text, validate=True)
        if not der.startswith(SPKI_HEAD) or len(der) != SPKI_BYTES:
            raise ValueError("another form")
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), der[len(SPKI_HEAD) :])
    except (ValueError, binascii.Error) as error:
        raise UserError(f"'{text[:40]}' is no public key of mobiledet sign --new-key") from error


def sign(key: "EllipticCurvePrivateKey", message: bytes, deterministic: bool = False) -> bytes:
    """The signature of a message with SHA-256: r and s, 32 bytes each.

    Args:
        key: the private key.
        message: what to sign.
        deterministic: choose the nonce by RFC 6979 instead of at random.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    der = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=deterministic))
    r, s = decode_dss_signature(der)
    return r.to_bytes(SIDE, "big") + s.to_bytes(SIDE, "big")


def is_signed(key: "EllipticCurvePublicKey", message: bytes, signature: bytes) -> bool:
    """Whether a signature of 64 bytes is that of a message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    r, s = (int.from_bytes(half, "big") for half in (signature[:SIDE], signature[SIDE:]))
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise UserError(f"signing needs cryptography ({error}): pip install 'mobiledet[sign]'") from error
