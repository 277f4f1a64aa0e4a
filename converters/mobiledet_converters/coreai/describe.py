"""The metadata of an asset, which Xcode shows and an app can read in its metadata.json."""

from typing import Any

from mobiledet import __version__
from mobiledet.spec import ModelSpec

INPUT = "1 x 3 x height x width, float32: raw RGB image in 0..255, not normalised"


def metadata(spec: ModelSpec, precision: str) -> Any:
    """Author, licence, labels, the spec and the meaning of input and outputs, as an AIModelAssetMetadata."""
    from coreai.runtime import AIModelAssetMetadata

    about = AIModelAssetMetadata()
    about.author = f"mobiledet {__version__}"
    about.license = "Apache-2.0"
    about.model_description = f"Object detector {spec.detector} on {spec.backbone}: {', '.join(spec.labels)}"
    about.set_custom("labels", list(spec.labels))
    about.set_custom("mobiledet", spec.to_json())
    about.set_custom("precision", precision)
    about.set_custom("input", INPUT)
    return about
