"""Time of decoding and suppression in the graph of SSDLite: the whole file against one that returns raw outputs.

MobileNetV2, 320 pixels, 3,234 anchors, 80 classes, 300 candidates. The peer is TFLite_Detection_PostProcess at the end
of the same network. The target is at most 1.5 ms on one thread. The weights are random, so that every score exceeds
the threshold: the worst case for the custom operation; the time of ours does not depend on the scores.

    python benchmarks/post_processing.py --rounds 200
"""

from tflite import compare, exported, folder_of, options_from_command_line

ENDINGS = {"none": "raw outputs", "graph": "mobiledet", "custom-op": "TFLite_Detection_PostProcess"}


def main() -> None:
    options = options_from_command_line(__doc__)
    with folder_of(options.keep) as folder:
        files = exported("mobilenet_v2_1x", "ssdlite", folder, tuple(ENDINGS))
        medians = compare({ENDINGS[ending]: path for ending, path in files.items()}, options.rounds)
    for threads, ms in medians.items():
        raw, *others = ms
        for name in others:
            print(f"{threads} threads  {name} costs {ms[name] - ms[raw]:.2f} ms")


if __name__ == "__main__":
    main()
