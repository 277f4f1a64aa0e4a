"""Options of the command sign. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class SignConfig:
    """Sign a bundle, so that an app can download and install it at run time.

    Checksums in a bundle detect damage, not forgery. The apps' ModelStore installs a downloaded bundle only if it was
    signed (ECDSA on the curve P-256 with SHA-256) with the private key whose public key is built into the app. Two
    files are written, NAME.mobiledet.zip and NAME.mobiledet.zip.sig; put both on a web server. The second is a text of
    five lines, which apps fetch first: release, size and checksum of the zip, and the signature of these.

    An app refuses a release that is not newer than the installed one. By default the release is the present time in
    seconds since 1970, so that each signature is newer than those before.

    Keep the private key out of the repository and off the web server: whoever has it can replace the model in every
    app. Key files may be encrypted; the password is read from the environment variable MOBILEDET_KEY_PASSWORD, which
    also encrypts new ones. Needs the package cryptography: pip install 'mobiledet[sign]'.

    For example:
      mobiledet sign --new-key key.pem                       # prints the public key for the app
      mobiledet sign x.mobiledet --key key.pem --format tflite
      mobiledet sign x.mobiledet.zip --check MFkwEwYHKoZI... # with a public key
    """

    bundle: Positional[Path | None] = None
    """The bundle that `mobiledet export` wrote: a folder NAME.mobiledet or a zip of it."""
    key: Path | None = None
    """File with the private key, PEM."""
    new_key: Path | None = None
    """Make a key pair: write the private key to this new file, readable only by you, and print the public key."""
    check: str = ""
    """Check a signed zip with this public key instead of signing."""
    out: Path | None = None
    """Zip to write, with NAME.sig beside it; by default beside the bundle, NAME.mobiledet.zip."""
    release: int | None = None
    """Number of this release, which must be above those of earlier ones; by default the time."""
    formats: Annotated[
        tuple[Literal["tflite", "coreml", "coreai"], ...], arg(name="format", aliases=["--formats"])
    ] = ()
    """Formats of the model files in the zip; by default all. An app downloads only what it can run."""
    overwrite: bool = False
    """Replace existing files."""
