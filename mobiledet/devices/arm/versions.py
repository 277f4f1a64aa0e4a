"""Run as a program in an emulator: print the versions of Python and of packages as JSON, once they are loaded."""

import json
import platform
import sys
from importlib.metadata import version

if __name__ == "__main__":
    # loads NumPy, Pillow and LiteRT's native parts, so that what cannot run is known
    import mobiledet.devices.agent.service  # noqa: F401

    print(json.dumps([platform.python_version(), {name: version(name) for name in sys.argv[1:]}]))
