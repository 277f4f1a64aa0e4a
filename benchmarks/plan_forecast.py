"""Compares the predictions of `mobiledet plan` for networks that are not in its table with measured latencies.

The table is that of `mobiledet profile --all` on this device. The five networks are measured as that command measures,
into a table of their own (--out), so that a second start measures nothing again.

    mobiledet profile --all
    python benchmarks/plan_forecast.py --out runs/unseen.json

Keep the machine idle meanwhile: under load, predictions were off by up to 50 %. The exit status is 1 beyond 15 %.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from mobiledet.planning.forecast import ForecastModel
from mobiledet.profile.config import ProfileConfig
from mobiledet.profile.latency_table import Shape, default_table_path, read_table
from mobiledet.profile.survey import survey

UNSEEN = (
    Shape("shufflenet_v2_1x", "ssdlite_fpn", 320, 320, 3),
    Shape("mobilenet_v2_0.75x", "ssdlite_fpn", 224, 224, 6),
    Shape("ghostnet_1x", "ssdlite_fpn", 256, 256, 20),
    Shape("shufflenet_v1_1x_g3", "ssdlite_fpn", 192, 320, 10),
    Shape("mobilenet_v1_0.5x", "nanodet_plus", 320, 320, 3),
)
LIMIT = 0.15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file for the table of the predicted networks")
    parser.add_argument("--device", default="local")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    table = read_table(default_table_path(options.device, options.threads))
    known = {row.shape for row in table.rows}
    if seen := [str(shape) for shape in UNSEEN if shape in known]:
        sys.exit(f"the table holds {', '.join(seen)} already")
    config = ProfileConfig(all=True, device=options.device, threads=options.threads, out=options.out)
    worst = 0.0
    for row in survey(config, Console(), UNSEEN).rows:
        forecast = ForecastModel(table, row.precision)(row.shape).ms
        error = forecast / row.milliseconds - 1
        worst = max(worst, abs(error))
        told = f"measured {row.milliseconds:6.2f} ms, forecast {forecast:6.2f} ({error:+.0%})"
        print(f"{row.shape} {row.precision:8} {told}")
    print(f"at most {worst:.0%} off, {LIMIT:.0%} are allowed")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
