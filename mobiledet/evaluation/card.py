"""The command ``mobiledet card``: writes the model card of a bundle, with the figures of results."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mobiledet.bundle import Bundle, open_bundle
from mobiledet.errors import UserError
from mobiledet.evaluation.comparison import series_name
from mobiledet.evaluation.cross_check import is_cross_check
from mobiledet.evaluation.report import result_files
from mobiledet.evaluation.report_measured import remarks_of
from mobiledet.evaluation.result import Result, read_result
from mobiledet.model_card.card import Card
from mobiledet.model_card.config import CardConfig
from mobiledet.model_card.make import make_card
from mobiledet.model_card.measured import Measured, Scored, Timed
from mobiledet.model_card.write import card_path, write_card


def run(config: CardConfig) -> None:
    """The command ``mobiledet card``."""
    bundle = open_bundle(config.bundle)
    out = config.out or card_path(bundle)
    if out.suffix == ".html" or out.is_dir():
        raise UserError(f"--out {out} must be a Markdown file, such as {out.with_suffix('.md').name}")
    for path in write_card(card_of(bundle, config.results), out):
        print(f"card: {path}")


def card_of(bundle: Bundle, results: Sequence[Path] = ()) -> Card:
    """The card of a bundle with the results of its files.

    The number of ignored results of other bundles is printed to standard error.

    Raises:
        UserError: a result cannot be read, or none belongs to the bundle.
    """
    paths = [path for given in results for path in result_files(given)]
    read = [read_result(path) for path in paths if not is_cross_check(path)]
    path_of = {file.sha256: file.path for file in bundle.files}
    # thresholds and kernels that are added to a bundle change its checksum, but not those of its files
    ours = [result for result in read if result.file.sha256 in path_of and result.spec.labels == bundle.spec.labels]
    if results and not ours:
        raise UserError(f"none of the {len(paths)} results belongs to a file of {bundle.path}; evaluate it")
    if len(ours) < len(paths):
        print(
            f"{len(paths) - len(ours)} of {len(paths)} results belong to other bundles and are ignored", file=sys.stderr
        )
    ordered = sorted(ours, key=lambda result: [file.sha256 for file in bundle.files].index(result.file.sha256))
    return make_card(bundle, [_measured(result, path_of[result.file.sha256]) for result in ordered])


def _measured(result: Result, file: str) -> Measured:
    accuracy, latency = result.accuracy, result.latency
    scored = timed = None
    if accuracy:
        how = [str(accuracy.tiles)] if accuracy.tiles else []
        how += ["tensor mode"] if accuracy.mode == "tensor" else []
        scored = Scored(accuracy.dataset, accuracy.metrics, ", ".join(how))
    if latency:
        infer = latency.infer
        timed = Timed(
            p50_ms=infer.p50_ms,
            p50_low_ms=infer.p50_low_ms,
            p50_high_ms=infer.p50_high_ms,
            p90_ms=infer.p90_ms,
            runs=infer.n,
            load_ms=latency.load_ms,
            memory_bytes=latency.memory_bytes,
            remarks=", ".join(remarks_of(result)),
        )
    return Measured(file, series_name(result), result.created[:10], scored, timed)
