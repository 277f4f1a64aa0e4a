package dev.mobiledet.core

private const val SIDES = 4

/**
 * Detections in one image, best score first.
 *
 * @property boxes four numbers for each: x1, y1, x2, y2 in pixels of the image, or fractions of it.
 * @property scores 0..1.
 * @property labels class indices, positions in [ModelSpec.labels].
 */
public class Detections(public val boxes: FloatArray, public val scores: FloatArray, public val labels: IntArray) {
    init {
        require(boxes.size == scores.size * SIDES && labels.size == scores.size) {
            "${boxes.size / SIDES} boxes, ${scores.size} scores and ${labels.size} labels do not agree"
        }
    }

    public val size: Int get() = scores.size

    public fun box(index: Int): Box =
        Box(boxes[index * SIDES], boxes[index * SIDES + 1], boxes[index * SIDES + 2], boxes[index * SIDES + 3])

    /** The same detections with changed boxes; [change] gets each number and its index in the box (x1, y1, x2, y2). */
    internal fun withBoxes(change: (Float, Int) -> Float): Detections =
        Detections(FloatArray(boxes.size) { change(boxes[it], it % SIDES) }, scores, labels)

    /** Selects some of the detections. */
    internal fun rows(kept: List<Int>): Detections = Detections(
        FloatArray(kept.size * SIDES) { boxes[kept[it / SIDES] * SIDES + it % SIDES] },
        FloatArray(kept.size) { scores[kept[it]] },
        IntArray(kept.size) { labels[kept[it]] },
    )

    public companion object {
        @JvmField
        public val NONE: Detections = Detections(FloatArray(0), FloatArray(0), IntArray(0))
    }
}

/**
 * The four outputs of a model file: [boxes] (ymin, xmin, ymax, xmax) in 0..1, [classes], [scores], [count] valid rows.
 */
public class RawOutputs(
    public val boxes: FloatArray,
    public val classes: FloatArray,
    public val scores: FloatArray,
    public val count: Float,
) {
    /**
     * The detections, with boxes as fractions of the input.
     *
     * @throws MobileDetException the outputs are not finite, or contain an impossible count or class.
     */
    public fun detections(classCount: Int): Detections {
        val numbers = sequenceOf(boxes, classes, scores).flatMap { it.asSequence() } + count
        if (!numbers.all { it.isFinite() }) throw unusable("the outputs are not finite numbers")
        if (count < 0 || count > scores.size) throw unusable("it reports $count detections in ${scores.size} rows")
        val found = count.toInt()
        val labels = IntArray(found) { Math.rint(classes[it].toDouble()).toInt() }
        labels.firstOrNull { it < 0 || it >= classCount }?.let { label ->
            throw unusable("it returns class $label, but its classes are 0 to ${classCount - 1}")
        }
        // y before x in the outputs
        return Detections(FloatArray(found * SIDES) { boxes[it xor 1] }, scores.copyOf(found), labels)
    }

    private fun unusable(what: String) = MobileDetException("the model file is unusable: $what; export the bundle again")
}
