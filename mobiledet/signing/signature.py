"""The signature file of a zipped bundle: what is signed, and the signature. Five lines of ASCII:

    mobiledet-signature 1
    release 1764456000
    bytes 1234567
    sha256 64 lower-case hexadecimal digits
    ecdsa-p256 base64 of r and s, 32 bytes each

The first four lines with their line feeds are signed, with SHA-256. Numbers are decimal without leading zeros. The apps
parse the same text; apps/testdata/signatures.json tests all.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".sig"
MAX_NUMBER = 2**53 - 1  # of release and bytes: exact in JavaScript
TEXT = re.compile(
    rb"(mobiledet-signature 1\nrelease (0|[1-9][0-9]{0,15})\nbytes ([1-9][0-9]{0,15})\nsha256 ([0-9a-f]{64})\n)"
    rb"ecdsa-p256 ([A-Za-z0-9+/]{85}[AQgw]==)\n"
)
MAX_TEXT_BYTES = 1024
CHUNK = 1 << 20


@dataclass(frozen=True)
class SignedFile:
    """What a signature says about a file.

    Attributes:
        release: number of the release, which rises.
        size: of the file, in bytes.
        sha256: its checksum, hexadecimal.
    """

    release: int
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path, release: int) -> "SignedFile":
        """The description of a file."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return cls(release, size, digest.hexdigest())

    @property
    def message(self) -> bytes:
        """The lines that are signed."""
        lines = ("mobiledet-signature 1", f"release {self.release}", f"bytes {self.size}", f"sha256 {self.sha256}")
        return "".join(f"{line}\n" for line in lines).encode()

    def text(self, signature: bytes) -> bytes:
        """The content of the signature file, with a signature of 64 bytes."""
        return self.message + b"ecdsa-p256 " + base64.b64encode(signature) + b"\n"


def parse_signature(text: bytes) -> tuple[SignedFile, bytes]:
    """What a signature file says, and the signature of it, which has not been verified.

    Raises:
        ValueError: the text is malformed.
    """
    match = TEXT.fullmatch(text)
    if not match:
        raise ValueError("it is not a signature of mobiledet")
    release, size = int(match[2]), int(match[3])
    if max(release, size) > MAX_NUMBER:
        raise ValueError("it is not a signature of mobiledet")
    return SignedFile(release, size, match[4].decode()), base64.b64decode(match[5])
