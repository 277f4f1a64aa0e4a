import subprocess
import sys

import pytest

# resident memory in MB after an array of 256 MB was freed
PROGRAM = """
from pathlib import Path
import numpy as np
from mobiledet.training.allocator import keep_freed_memory
{call}
x = np.ones((64, 2**20), np.float32)
del x
pages = int(Path("/proc/self/statm").read_text().split()[1])
print(pages * 4096 // 10**6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_freed_tensor_stays_with_the_process() -> None:
    def resident(call: str) -> int:
        answer = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(call=call)], capture_output=True, text=True, check=True
        )
        return int(answer.stdout)

    assert resident("assert keep_freed_memory()") - resident("") > 200
