"""Signatures of zipped bundles, and what an app's store of models does with downloads; keys are derived from texts."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobiledet.signing.keys import public_text, sign
from mobiledet.signing.signature import MAX_NUMBER, SignedFile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
GOOD, OTHER, THIRD = "good.zip", "letterbox.zip", "operating-point.zip"
MALFORMED = "it is not a signature of mobiledet"
NOT_OURS = "the signature was not made with a key of this app, or has been changed"
NOT_SIGNED = "the downloaded file is not the signed one: it is incomplete or has been changed"
NO_KEY = "is no public key of mobiledet sign --new-key"


def _key(name: str) -> "EllipticCurvePrivateKey":
    """A key that everybody can derive, for tests alone."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int(hashlib.sha256(name.encode()).hexdigest(), 16) % ORDER, ec.SECP256R1())


def signature_cases(bundles: Path) -> list[dict[str, Any]]:
    """Signature files, accepted or refused by an app with ``keys``."""
    ours, second, strange = (_key(name) for name in ("ours", "second", "strange"))
    keys = [public_text(key.public_key()) for key in (ours, second)]
    signed = SignedFile.of(bundles / GOOD, 7)
    signature = sign(ours, signed.message, deterministic=True)
    text = signed.text(signature)
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    latest, largest = SignedFile(0, 1, signed.sha256), SignedFile(MAX_NUMBER, MAX_NUMBER, signed.sha256)

    def accepted(name: str, text: bytes, keys: list[str] = keys, signed: SignedFile = signed) -> dict[str, Any]:
        told = {"release": signed.release, "bytes": signed.size, "sha256": signed.sha256}
        return {"name": name, "keys": keys, **_text(text), "accepted": True, "signed": told}

    def refused(name: str, text: bytes, problem: str = MALFORMED, keys: list[str] = keys) -> dict[str, Any]:
        return {"name": name, "keys": keys, **_text(text), "accepted": False, "problem": problem}

    p384 = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE" + "A" * 128
    return [
        accepted("a good one", text),
        accepted("of the second key", signed.text(sign(second, signed.message, deterministic=True))),
        accepted("the smallest numbers", latest.text(sign(ours, latest.message, deterministic=True)), signed=latest),
        accepted("the largest numbers", largest.text(sign(ours, largest.message, deterministic=True)), signed=largest),
        accepted("the other s", signed.text(r + (ORDER - s).to_bytes(32, "big"))),
        refused("of a strange key", signed.text(sign(strange, signed.message, deterministic=True)), NOT_OURS),
        refused("no key", text, NOT_OURS, []),
        refused("the second key alone", text, NOT_OURS, keys[1:]),
        refused("another release", text.replace(b"release 7", b"release 8"), NOT_OURS),
        refused("another size", text.replace(b"bytes ", b"bytes 1", 1), NOT_OURS),
        refused("another checksum", text.replace(signed.sha256[:4].encode(), b"0123", 1), NOT_OURS),
        refused("a changed bit", signed.text(bytes([signature[0] ^ 1]) + signature[1:]), NOT_OURS),
        refused("zeros", signed.text(bytes(64)), NOT_OURS),
        refused("numbers that are too large", signed.text(b"\xff" * 64), NOT_OURS),
        refused("s as r", signed.text(signature[32:] + signature[:32]), NOT_OURS),
        refused("nothing", b""),
        *(refused(f"cut off after {count} bytes", text[:count]) for count in (1, 30, 100, len(text) - 1)),
        refused("more behind it", text + b"\n"),
        refused("more before it", b" " + text),
        refused("line ends of Windows", text.replace(b"\n", b"\r\n")),
        refused("a leading zero", text.replace(b"release 7", b"release 07")),
        refused("a sign", text.replace(b"release 7", b"release +7")),
        refused("a negative release", text.replace(b"release 7", b"release -7")),
        refused("a release above 53 bits", text.replace(b"release 7", b"release 9007199254740992")),
        refused("a release of 17 digits", text.replace(b"release 7", b"release 10000000000000000")),
        refused("no size", text.replace(f"bytes {signed.size}".encode(), b"bytes 0")),
        refused("upper case", text.replace(signed.sha256.encode(), signed.sha256.upper().encode())),
        refused("a checksum that is too short", text.replace(signed.sha256.encode(), signed.sha256[1:].encode())),
        refused("a later version", text.replace(b"signature 1", b"signature 2")),
        refused("no padding", text.replace(b"==", b"")),
        refused("bits that do not count", text[:-4] + bytes([text[-4] + 1]) + text[-3:]),
        refused("no ASCII", text.replace(b"release 7", b"release \xb2")),
        refused("digits of another script", text.replace(b"release 7", "release \u0667".encode())),
        refused("DER", signed.message + b"ecdsa-p256 " + base64.b64encode(b"\x30\x44" + signature[:68]) + b"\n"),
        *(refused(f"no key: {key[:20]}", text, NO_KEY, [key]) for key in ("", "MFkw", keys[0][:-4], p384, "?" * 124)),
    ]


def store_cases(bundles: Path) -> list[dict[str, Any]]:
    """A store of models, and installations in it; ``gate`` says whether the golden cases pass."""
    key = _key("ours")
    public = public_text(key.public_key())

    def step(
        file: str,
        release: int,
        problem: str | None = None,
        sent: str = "",
        gate: bool = True,
        older: bool = False,
        by: str = "ours",
        **after: int | None,
    ) -> dict[str, Any]:
        """``sent`` is the file that comes instead of the signed one."""
        signed = SignedFile.of(bundles / file, release)
        text = signed.text(sign(_key(by), signed.message, deterministic=True)).decode()
        shared = {"signature": text, "file": sent or file, "gate": gate, "allow_older": older, "problem": problem}
        return {"action": "install", **shared, "current": after.get("current"), "previous": after.get("previous")}

    def back(current: int | None, previous: int | None = None) -> dict[str, Any]:
        return {"action": "rollback", "current": current, "previous": previous}

    def case(name: str, *steps: dict[str, Any], built_in: int = -1) -> dict[str, Any]:
        return {"name": name, "keys": [public], "built_in": built_in, "steps": list(steps)}

    def older(release: int, newest: int) -> str:
        return f"release {release} is not newer than release {newest}, which is in use"

    gate = "the golden cases differ"
    return [
        case(
            "one after the other",
            step(GOOD, 1, current=1),
            step(OTHER, 2, current=2, previous=1),
            step(THIRD, 3, current=3, previous=2),
            back(2),
            step(GOOD, 4, current=4, previous=2),
        ),
        case(
            "what is not newer",
            step(GOOD, 5, current=5),
            step(GOOD, 5, older(5, 5), current=5),
            step(OTHER, 5, older(5, 5), current=5),
            step(OTHER, 4, older(4, 5), current=5),
            step(OTHER, 4, older=True, current=4, previous=5),
            step(GOOD, 5, "release 5 is installed already; rollback returns to it", older=True, current=4, previous=5),
            back(5),
        ),
        case(
            "what the app has itself",
            step(GOOD, 10, older(10, 10)),
            step(GOOD, 10, older(10, 10), older=True),
            step(GOOD, 11, current=11),
            built_in=10,
        ),
        case(
            "failures leave the model in use",
            step(GOOD, 1, current=1),
            step(OTHER, 2, NOT_OURS, by="strange", current=1),
            step(OTHER, 2, NOT_SIGNED, sent=THIRD, current=1),
            step(GOOD, 2, NOT_SIGNED, sent="truncated.zip", current=1),
            step(OTHER, 2, NOT_SIGNED, sent="empty.zip", current=1),
            step("changed-model.zip", 2, "model.float32.tflite has changed", current=1),
            step("no-listing.zip", 2, "bundle.json is missing", current=1),
            step(OTHER, 2, gate, gate=False, current=1),
            step(OTHER, 2, current=2, previous=1),
        ),
        case("the first one fails", step(GOOD, 1, gate, gate=False), step(GOOD, 1, current=1), back(1)),
    ]


def _text(text: bytes) -> dict[str, str]:
    try:
        return {"text": text.decode("ascii")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(text).decode()}
