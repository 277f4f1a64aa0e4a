"""Run as a program: write small detectors as TensorFlow's detection zoo freezes them, and what TensorFlow finds.

python frozen_graphs.py FOLDER

The zoo's own files cannot be had without a network. These are its networks written out again with TensorFlow's
operations and the zoo's names, with random weights: SSD on MobileNetV1 with 91 scores an anchor and SSDLite on
MobileNetV2 with 2, the steps of the post-processing included. NAME.pb is the graph, NAME/saved_model the same as a
saved model, NAME.npz an image of noise and the detections.
"""

import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
SIDE = 300
EPS = 1e-3
SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
# t, c, n, s of MobileNetV2; c and stride of the layers of MobileNetV1
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
EXTRA = (512, 256, 256, 128)


class Builder:
    """Layers by TF-Slim's names, with random weights that keep the signal alive."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def constant(self, name, values):
        return tf.identity(tf.constant(values.astype(np.float32), name=name), name=f"{name}/read")

    def norm(self, x, scope):
        channels = x.shape[-1]
        values = {
            "gamma": self.random.uniform(0.8, 1.2, channels),
            "beta": self.random.uniform(-0.2, 0.4, channels),
            "moving_mean": self.random.normal(0, 0.1, channels),
            "moving_variance": self.random.uniform(0.7, 1.3, channels),
        }
        parts = [self.constant(f"{scope}/BatchNorm/{name}", value) for name, value in values.items()]
        return v1.nn.fused_batch_norm(x, *parts, epsilon=EPS, is_training=False, name=f"{scope}/BatchNorm/Fused")[0]

    def conv(self, x, scope, channels, size=1, stride=1, activation=True):
        shape = (size, size, x.shape[-1], channels)
        weights = self.constant(f"{scope}/weights", self.random.normal(0, (2 / (size**2 * shape[2])) ** 0.5, shape))
        x = self.norm(tf.nn.conv2d(x, weights, stride, "SAME"), scope)
        return tf.nn.relu6(x) if activation else x

    def depthwise(self, x, scope, stride=1):
        weights = self.random.normal(0, 0.5, (3, 3, x.shape[-1], 1))
        weights = self.constant(f"{scope}/depthwise_weights", weights)
        return tf.nn.relu6(self.norm(tf.nn.depthwise_conv2d(x, weights, (1, stride, stride, 1), "SAME"), scope))

    def predict(self, x, scope, channels, bias):
        weights = self.constant(
            f"{scope}/weights", self.random.normal(0, 1.5 / x.shape[-1] ** 0.5, (1, 1, x.shape[-1], channels))
        )
        biases = self.constant(f"{scope}/biases", self.random.normal(bias, 0.5, channels))
        return tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), biases)


def mobilenet_v2(make, x):
    root = "FeatureExtractor/MobilenetV2"
    x = make.conv(x, f"{root}/Conv", 32, 3, 2)
    maps, number = [], 0
    for t, c, n, s in V2:
        for block in range(n):
            scope = f"{root}/expanded_conv{f'_{number}' if number else ''}"
            stride = s if block == 0 else 1
            y = make.conv(x, f"{scope}/expand", t * x.shape[-1]) if t > 1 else x
            if number == 13:
                maps.append(y)
            y = make.conv(make.depthwise(y, f"{scope}/depthwise", stride), f"{scope}/project", c, activation=False)
            x = x + y if stride == 1 and x.shape[-1] == c else y
            number += 1
    x = make.conv(x, f"{root}/Conv_1", 1280)
    maps.append(x)
    for index, channels in enumerate(EXTRA, start=2):
        x = make.conv(x, f"{root}/layer_19_1_Conv2d_{index}_1x1_{channels // 2}", channels // 2)
        scope = f"{root}/layer_19_2_Conv2d_{index}_3x3_s2_{channels}"
        x = make.conv(make.depthwise(x, f"{scope}_depthwise", 2), scope, channels)
        maps.append(x)
    return maps


def mobilenet_v1(make, x):
    root = "FeatureExtractor/MobilenetV1"
    x = make.conv(x, f"{root}/Conv2d_0", 32, 3, 2)
    maps = []
    for number, (channels, stride) in enumerate(V1, start=1):
        x = make.depthwise(x, f"{root}/Conv2d_{number}_depthwise", stride)
        x = make.conv(x, f"{root}/Conv2d_{number}_pointwise", channels)
        if number in (11, 13):
            maps.append(x)
    for index, channels in enumerate(EXTRA, start=2):
        scope = f"{root}/Conv2d_13_pointwise"
        x = make.conv(x, f"{scope}_1_Conv2d_{index}_1x1_{channels // 2}", channels // 2)
        x = make.conv(x, f"{scope}_2_Conv2d_{index}_3x3_s2_{channels}", channels, 3, 2)
        maps.append(x)
    return maps


def anchors_of(level, rows, columns):
    """y, x, height, width of a level's anchors, with the divisions that the zoo's generator has."""
    if level == 0:
        ratios, scales = [1.0, 2.0, 0.5], [0.1, 0.2, 0.2]
    else:
        scale, following = SCALES[level], SCALES[level + 1]
        ratios, scales = [*RATIOS, 1.0], [*[scale] * 5, (scale * following) ** 0.5]
    root = tf.sqrt(tf.constant(ratios, tf.float32))
    heights, widths = tf.constant(scales, tf.float32) / root, tf.constant(scales, tf.float32) * root
    y, x = tf.meshgrid(
        (tf.range(rows, dtype=tf.float32) + 0.5) / rows,
        (tf.range(columns, dtype=tf.float32) + 0.5) / columns,
        indexing="ij",
    )
    count = len(ratios)
    parts = [
        tf.repeat(tf.reshape(y, (-1,)), count), tf.repeat(tf.reshape(x, (-1,)), count),
        tf.tile(heights, (rows * columns,)), tf.tile(widths, (rows * columns,)),
    ]  # fmt: skip
    return tf.stack(parts, 1)


def detector(features, lite, classes, make):
    image = v1.placeholder(tf.uint8, (1, None, None, 3), name="image_tensor")
    x = v1.image.resize_bilinear(tf.cast(image, tf.float32), (SIDE, SIDE))
    x.set_shape((1, SIDE, SIDE, 3))
    maps = features(make, 2.0 / 255 * x - 1.0)
    boxes, scores, anchors = [], [], []
    for level, feature in enumerate(maps):
        count = 3 if level == 0 else 6
        root = f"BoxPredictor_{level}"
        for kind, width, gathered in (("BoxEncoding", 4, boxes), ("Class", classes + 1, scores)):
            scope = f"{root}/{kind}Predictor"
            y = make.depthwise(feature, f"{scope}_depthwise") if lite else feature
            bias = -4.0 if kind == "Class" else 0.0
            gathered.append(tf.reshape(make.predict(y, scope, count * width, bias), (-1, width)))
        anchors.append(anchors_of(level, feature.shape[1], feature.shape[2]))
    coded, logits, anchors = (tf.concat(parts, 0) for parts in (boxes, scores, anchors))
    centre = coded[:, :2] / 10 * anchors[:, 2:] + anchors[:, :2]
    half = tf.exp(coded[:, 2:] / 5) * anchors[:, 2:] / 2
    corners = tf.concat((centre - half, centre + half), 1)
    scores = tf.sigmoid(logits)[:, 1:]
    kept, values, labels = [], [], []
    for label in range(classes):
        own = scores[:, label]
        index = tf.raw_ops.NonMaxSuppressionV3(
            boxes=corners,
            scores=own,
            max_output_size=100,
            iou_threshold=tf.constant(0.55),
            score_threshold=tf.constant(0.05),
        )
        kept.append(tf.gather(corners, index))
        values.append(tf.gather(own, index))
        labels.append(tf.fill((tf.size(index),), label))
    kept, values, labels = tf.concat(kept, 0), tf.concat(values, 0), tf.concat(labels, 0)
    best = tf.argsort(values, direction="DESCENDING", stable=True)[:100]
    found = tf.clip_by_value(tf.gather(kept, best), 0.0, 1.0)
    return [
        tf.identity(found, "detection_boxes"),
        tf.identity(tf.gather(values, best), "detection_scores"),
        tf.identity(tf.gather(labels, best) + 1, "detection_classes"),
    ]


def write(folder: Path) -> None:
    cases = {"ssdlite_mobilenet_v2": (mobilenet_v2, True, 1), "ssd_mobilenet_v1": (mobilenet_v1, False, 90)}
    pixels = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    for name, (features, lite, classes) in cases.items():
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            outputs = detector(features, lite, classes, Builder())
            boxes, scores, labels = session.run(outputs, {"image_tensor:0": pixels})
            (folder / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())
            saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
            saved.meta_graphs.add().graph_def.CopyFrom(graph.as_graph_def())
            (folder / name / "saved_model").mkdir(parents=True, exist_ok=True)
            (folder / name / "saved_model" / "saved_model.pb").write_bytes(saved.SerializeToString())
        np.savez(folder / f"{name}.npz", pixels=pixels, boxes=boxes, scores=scores, labels=labels)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
