"""The command ``mobiledet sign``."""

import shutil
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

from mobiledet.bundle import SUFFIX as BUNDLE_SUFFIX
from mobiledet.bundle import Bundle, copy_bundle, open_bundle
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file
from mobiledet.files.leftovers import scratch_folder
from mobiledet.signing.config import SignConfig
from mobiledet.signing.keys import is_signed, make_key, public_text, read_private_key, read_public_key, sign
from mobiledet.signing.signature import MAX_NUMBER, MAX_TEXT_BYTES, SUFFIX, SignedFile, parse_signature

EPOCH = (1980, 1, 1, 0, 0, 0)


def run(config: SignConfig) -> None:
    """Make a key, sign a bundle, or check a signed one."""
    actions = [name for name in ("new_key", "key", "check") if getattr(config, name)]
    if len(actions) != 1:
        raise UserError("give one of --new-key FILE, --key FILE to sign a bundle, or --check PUBLIC_KEY")
    if config.new_key:
        if config.bundle:
            raise UserError("--new-key makes a key and signs nothing; sign with --key afterwards")
        public = make_key(config.new_key)
        print(f"private key: {config.new_key}; whoever has it can replace the model in your apps")
        print(f"public key: {public}")
        return
    if not config.bundle:
        raise UserError("which bundle? mobiledet sign x.mobiledet --key key.pem")
    if config.check:
        _check(config.bundle, config.check)
    else:
        _sign(config, config.bundle)


def _sign(config: SignConfig, path: Path) -> None:
    assert config.key
    release = int(time.time()) if config.release is None else config.release
    if not 0 <= release <= MAX_NUMBER:
        raise UserError(f"--release {release} is not in 0..{MAX_NUMBER}")
    key = read_private_key(config.key)
    bundle = open_bundle(path)
    out = config.out or _default_out(path)
    signature_path = out.with_name(out.name + SUFFIX)
    for target in (out, signature_path):
        # a zip may be signed where it lies: then only the signature is new
        if target.exists() and not config.overwrite and not (target == out and _stays(config, path, out)):
            raise UserError(f"{target} exists; give --overwrite to replace it, or another --out")
    with ExitStack() as stack:
        # the zip is in place before its signature: a server never has a signature without its zip
        if _stays(config, path, out):
            archive = out
        else:
            archive = stack.enter_context(atomic_file(out))
            _write_zip(_part(bundle, config, stack), path, archive)
        signed = SignedFile.of(archive, release)
        text = signed.text(sign(key, signed.message))
    with atomic_file(signature_path) as temporary:
        temporary.write_bytes(text)
    print(f"zip: {out}, {signed.size} bytes")
    print(f"signature: {signature_path}, release {release}")
    print(f"public key: {public_text(key.public_key())}")


def _stays(config: SignConfig, path: Path, out: Path) -> bool:
    return path.is_file() and not config.formats and out.exists() and out.samefile(path)


def _default_out(path: Path) -> Path:
    """NAME.mobiledet.zip beside the bundle, for a zip the zip itself."""
    return path if path.is_file() and path.suffix == ".zip" else path.with_name(f"{path.name.removesuffix('.zip')}.zip")


def _part(bundle: Bundle, config: SignConfig, stack: ExitStack) -> Bundle:
    """The bundle with the requested formats alone."""
    if not config.formats:
        return bundle
    files = [file for file in bundle.files if file.format in config.formats]
    if not files:
        held = ", ".join(file.path for file in bundle.files)
        raise UserError(f"{bundle.path} holds no {' or '.join(config.formats)} file; it holds {held}")
    folder = stack.enter_context(scratch_folder("sign"))
    return copy_bundle(bundle, folder / f"part{BUNDLE_SUFFIX}", files)


def _write_zip(bundle: Bundle, path: Path, target: Path) -> None:
    """Zip a bundle; one that is a zip already is copied as it is."""
    if path.is_file() and bundle.path == path:
        shutil.copyfile(path, target)
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in bundle.root.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(bundle.root).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def _check(path: Path, public: str) -> None:
    key = read_public_key(public)
    signature_path = path.with_name(path.name + SUFFIX)
    if not path.is_file():
        raise UserError(f"there is no zip {path}; give the zip, its signature lies beside it")
    try:
        with signature_path.open("rb") as file:
            signed, signature = parse_signature(file.read(MAX_TEXT_BYTES + 1))
    except OSError as error:
        raise UserError(f"cannot read {signature_path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise UserError(f"{signature_path}: {error}") from error
    if not is_signed(key, signed.message, signature):
        raise UserError(f"{signature_path} was not signed with this key, or has been changed")
    if SignedFile.of(path, signed.release) != signed:
        raise UserError(f"{path} is not the file that was signed; sign it again, or copy both files again")
    bundle = open_bundle(path)
    print(f"{path} is signed with this key: {bundle.spec.name}, release {signed.release}")
