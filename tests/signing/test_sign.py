import base64
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mobiledet.bundle import open_bundle
from mobiledet.cli import main
from mobiledet.errors import UserError
from mobiledet.signing.config import SignConfig
from mobiledet.signing.keys import make_key, read_private_key, read_public_key
from mobiledet.signing.run import run
from mobiledet.signing.signature import parse_signature


@pytest.fixture
def bundle(project_root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "x.mobiledet"
    shutil.copytree(project_root / "apps" / "testdata" / "bundles" / "good", path)
    return path


@pytest.fixture
def key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """A file with a private key, and the public key."""
    path = tmp_path / "key.pem"
    run(SignConfig(new_key=path))
    return path, capsys.readouterr().out.split("public key: ")[1].strip()


def test_a_signed_bundle_is_accepted_by_openssl(bundle: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    run(SignConfig(bundle, key=key[0], release=7))
    archive, text = tmp_path / "x.mobiledet.zip", (tmp_path / "x.mobiledet.zip.sig").read_bytes()
    signed, raw = parse_signature(text)
    assert (signed.release, signed.size) == (7, archive.stat().st_size)
    sums = subprocess.run(["sha256sum", archive], capture_output=True, text=True, check=True).stdout
    assert sums.split()[0] == signed.sha256
    (tmp_path / "message").write_bytes(b"".join(text.splitlines(keepends=True)[:4]))
    (tmp_path / "der").write_bytes(_der(raw))
    (tmp_path / "key.der").write_bytes(base64.b64decode(key[1]))
    command = ["openssl", "dgst", "-sha256", "-verify", "key.der", "-keyform", "DER", "-signature", "der", "message"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "Verified OK", done.stderr
    assert open_bundle(archive).sha256 == open_bundle(bundle).sha256


def test_what_is_signed_is_checked(bundle: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    run(SignConfig(bundle, key=key[0]))
    archive = tmp_path / "x.mobiledet.zip"
    run(SignConfig(archive, check=key[1]))
    with pytest.raises(UserError, match="was not signed with this key"):
        run(SignConfig(archive, check=make_key(tmp_path / "other.pem")))
    content = archive.read_bytes()
    for changed in (content[:-1], content + b"x", bytes([content[0] ^ 1]) + content[1:]):
        archive.write_bytes(changed)
        with pytest.raises(UserError, match="is not the file that was signed"):
            run(SignConfig(archive, check=key[1]))
    (tmp_path / "x.mobiledet.zip.sig").write_text("no signature")
    with pytest.raises(UserError, match="is not a signature of mobiledet"):
        run(SignConfig(archive, check=key[1]))


def test_a_zip_is_signed_as_it_is(project_root: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    archive = tmp_path / "y.zip"
    shutil.copy(project_root / "apps" / "testdata" / "bundles" / "in-a-folder.zip", archive)
    content = archive.read_bytes()
    run(SignConfig(archive, key=key[0], release=1))
    assert archive.read_bytes() == content
    run(SignConfig(archive, check=key[1]))
    with pytest.raises(UserError, match=r"y\.zip\.sig exists; give --overwrite"):
        run(SignConfig(archive, key=key[0], release=2))
    run(SignConfig(archive, key=key[0], release=2, overwrite=True))
    assert parse_signature((tmp_path / "y.zip.sig").read_bytes())[0].release == 2


def test_only_requested_formats_are_in_the_zip(bundle: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    run(SignConfig(bundle, key=key[0], formats=("tflite",), out=tmp_path / "part.zip"))
    part = open_bundle(tmp_path / "part.zip")
    assert [file.format for file in part.files] == ["tflite"]
    assert set(part.recommended) == {"cpu", "gpu", "npu"}
    with pytest.raises(UserError, match="holds no coreai file"):
        run(SignConfig(bundle, key=key[0], formats=("coreai",), out=tmp_path / "none.zip"))
    assert not list(tmp_path.glob("none*"))


def test_a_damaged_bundle_is_not_signed(bundle: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    (bundle / "labels.txt").write_text("changed")
    with pytest.raises(UserError, match=r"labels\.txt has changed"):
        run(SignConfig(bundle, key=key[0]))
    assert not list(tmp_path.glob("*.zip*"))


def test_a_key_is_private_and_never_overwritten(key: tuple[Path, str]) -> None:
    path, _ = key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    with pytest.raises(UserError, match="a key is never overwritten"):
        make_key(path)
    assert path.read_bytes() == content


def test_encrypted_keys_need_their_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILEDET_KEY_PASSWORD", "a password")
    public = make_key(tmp_path / "key.pem")
    assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
    assert read_private_key(tmp_path / "key.pem").public_key() == read_public_key(public)
    monkeypatch.setenv("MOBILEDET_KEY_PASSWORD", "another")
    with pytest.raises(UserError, match="MOBILEDET_KEY_PASSWORD is not its password"):
        read_private_key(tmp_path / "key.pem")
    monkeypatch.delenv("MOBILEDET_KEY_PASSWORD")
    with pytest.raises(UserError, match="is encrypted; set MOBILEDET_KEY_PASSWORD"):
        read_private_key(tmp_path / "key.pem")


def test_wrong_keys_are_named(bundle: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    wrong = {
        "p384.pem": ec.generate_private_key(ec.SECP384R1()).private_bytes(*pem),
        "ed25519.pem": ed25519.Ed25519PrivateKey.generate().private_bytes(*pem),
        "empty.pem": b"",
        "public.pem": read_public_key(key[1]).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "cut.pem": key[0].read_bytes()[:60],
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            run(SignConfig(bundle, key=tmp_path / name))
    with pytest.raises(UserError, match="cannot read the key"):
        run(SignConfig(bundle, key=tmp_path / "absent.pem"))
    for text in ("", "MFkw", key[1][:-4], key[1] + "AAAA", "?"):
        with pytest.raises(UserError, match="is no public key"):
            read_public_key(text)
    assert not list(tmp_path.glob("*.zip*"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give one of --new-key FILE, --key FILE"),
        (["x.mobiledet"], "give one of --new-key FILE, --key FILE"),
        (["--key", "key.pem"], "which bundle?"),
        (["x.mobiledet", "--key", "key.pem", "--check", "MFkw"], "give one of"),
        (["x.mobiledet", "--key", "key.pem", "--release", "-1"], "--release -1 is not in 0.."),
        (["x.mobiledet", "--new-key", "key.pem"], "signs nothing"),
        (["absent", "--check", "MFkw"], "is no public key"),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sign", *arguments]) == 2
    assert problem in capsys.readouterr().err


def test_without_cryptography_the_package_is_named(bundle: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from mobiledet.cli import main\n"
        f"sys.exit(main(['sign', {str(bundle)!r}, '--key', 'key.pem']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 2
    assert "pip install 'mobiledet[sign]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_zip_is_the_same_each_time(bundle: Path, key: tuple[Path, str], tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        run(SignConfig(bundle, key=key[0], out=tmp_path / name))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "a.zip").testzip() is None


def _der(raw: bytes) -> bytes:
    """r and s as OpenSSL takes them, written here from X.690."""
    integers = b""
    for half in (raw[:32], raw[32:]):
        digits = half.lstrip(b"\0")
        digits = b"\0" + digits if digits[0] >= 0x80 else digits
        integers += b"\x02" + bytes([len(digits)]) + digits
    return b"\x30" + bytes([len(integers)]) + integers
