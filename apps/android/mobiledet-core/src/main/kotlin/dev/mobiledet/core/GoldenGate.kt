package dev.mobiledet.core

import java.util.Locale
import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min

// fraction of the expected detections that may be suppressed differently because an IoU is near the NMS threshold
private const val UNSETTLED_SHARE = 0.05

// with at least this number of expected detections, half of them must match even if lists are cut
private const val FEW = 10

/** The largest differences between the outputs for the golden inputs and the expected ones. */
public data class GoldenReport(
    val cases: Int,
    val detections: Int,
    val lowestIou: Double,
    val largestScoreDifference: Double,
)

/** Checks whether a runtime reproduces the outputs of a model file, like `mobiledet/devices/golden.py`. */
public class GoldenGate(private val spec: ModelSpec, private val tolerance: Tolerance) {
    private class Pair(val expected: Int, val found: Int, val iou: Float, val scoreDifference: Float)

    private class Differences(val problem: String, val unsettled: Int)

    /**
     * Compares the detections that [detect] returns for each case with the expected ones, as sets; boxes are fractions.
     *
     * Runtimes round differently, so a detection may be unmatched where lists are cut: at the score threshold, at the last
     * candidate, or at the end of a full list. A few detections may also be unmatched because the other side kept an
     * overlapping box of the same class.
     *
     * @throws MobileDetException the detections differ.
     */
    public fun replay(cases: List<GoldenCase>, detect: (GoldenCase) -> Detections): GoldenReport {
        val total = cases.sumOf { it.expected.size }
        var unsettled = 0
        var matched = 0
        var detectsAnything = false
        var lowestIou = 1.0
        var largestDifference = 0.0
        cases.forEachIndexed { index, case ->
            val found = detect(case)
            val pairs = match(case.expected, found)
            val differences = differences(case, found, pairs)
            matched += pairs.size
            detectsAnything = detectsAnything || found.scores.any { it != 0f }
            unsettled += differences.unsettled
            var problem = differences.problem
            if (problem.isEmpty() && unsettled > ceil(UNSETTLED_SHARE * total)) {
                problem = "$unsettled of $total boxes are suppressed differently"
            }
            if (problem.isNotEmpty()) throw failed(index, case, problem)
            for (pair in pairs) {
                lowestIou = min(lowestIou, pair.iou.toDouble())
                largestDifference = max(largestDifference, pair.scoreDifference.toDouble())
            }
        }
        if (total > 0 && !detectsAnything) throw failed(0, cases[0], "it detects nothing where $total detections are expected")
        if (total >= FEW && 2 * matched < total) throw failed(0, cases[0], "only $matched of $total detections match")
        return GoldenReport(cases.size, total, lowestIou, largestDifference)
    }

    private fun failed(index: Int, case: GoldenCase, problem: String): MobileDetException {
        val cause = if (case.isEncoded && index > 0) "it may decode or resize images differently; " else ""
        return MobileDetException(
            "this runtime does not reproduce the outputs of the model file: golden case $index: $problem; ${cause}its results would be " +
                "worthless, try another accelerator",
        )
    }

    /** Matches detections one to one, best score first, each with the matching one of highest IoU. */
    private fun match(expected: Detections, found: Detections): List<Pair> {
        val taken = BooleanArray(found.size)
        val pairs = ArrayList<Pair>()
        for (row in expected.scores.indices.sortedByDescending { expected.scores[it] }) {
            var best: Pair? = null
            for (column in 0 until found.size) {
                if (taken[column] || expected.labels[row] != found.labels[column]) continue
                val iou = iou(expected, row, found, column)
                val difference = abs(expected.scores[row] - found.scores[column])
                val same = iou >= tolerance.iou.toFloat() && difference <= tolerance.score.toFloat()
                if (same && iou > (best?.iou ?: -1f)) best = Pair(row, column, iou, difference)
            }
            best?.let {
                taken[it.found] = true
                pairs += it
            }
        }
        return pairs
    }

    private fun differences(case: GoldenCase, found: Detections, pairs: List<Pair>): Differences {
        val expected = case.expected
        if (expected.size > 0 && found.size > 0 && found.scores.none { it != 0f }) {
            return Differences("all scores are zero where ${expected.size} detections are expected", 0)
        }
        var most = 0
        for ((verb, ours, theirs) in listOf(Triple("misses", expected, found), Triple("invents", found, expected))) {
            val paired = pairs.map { if (ours === expected) it.expected else it.found }.toSet()
            val unexplained = ArrayList<Int>()
            var unsettled = 0
            for (row in 0 until ours.size) {
                if (row in paired || isAtCut(ours.scores[row], theirs, case.cut)) continue
                if (mayBeSuppressed(ours, row, theirs)) unsettled++ else unexplained += row
            }
            unexplained.maxByOrNull { ours.scores[it] }?.let { worst ->
                val box = ours.boxes.slice(worst * 4 until worst * 4 + 4).joinToString { decimal(it) }
                val what = "${spec.labels[ours.labels[worst]]} ${decimal(ours.scores[worst])} at ($box)"
                return Differences("it $verb $what, ${unexplained.size + unsettled} of ${ours.size} differ", 0)
            }
            most = max(most, unsettled)
        }
        return Differences("", most)
    }

    /** Whether a score is near a cut of a list: at the last candidate, or at the end of a full list. */
    private fun isAtCut(score: Float, theirs: Detections, cut: Double): Boolean {
        val end = if (theirs.size >= spec.nms.maxDetections) theirs.scores.minOrNull()!! else cut.toFloat()
        return score >= (cut - tolerance.score).toFloat() && score <= end + tolerance.score.toFloat()
    }

    /** Whether an overlapping box with a similar or better score may have suppressed this one. */
    private fun mayBeSuppressed(ours: Detections, row: Int, theirs: Detections): Boolean {
        val overlap = (spec.nms.iou - (1 - tolerance.iou)).toFloat()
        return (0 until theirs.size).any { column ->
            ours.labels[row] == theirs.labels[column] &&
                theirs.scores[column] >= ours.scores[row] - tolerance.score.toFloat() &&
                iou(ours, row, theirs, column) >= overlap
        }
    }

    private fun decimal(value: Float) = "%.3f".format(Locale.ROOT, value)

    private fun iou(a: Detections, row: Int, b: Detections, column: Int): Float {
        val (left, right) = a.box(row) to b.box(column)
        val width = max(min(left.x2, right.x2) - max(left.x1, right.x1), 0f)
        val height = max(min(left.y2, right.y2) - max(left.y1, right.y1), 0f)
        val intersection = width * height
        val union = area(left) + area(right) - intersection
        return if (union > 0) intersection / union else 0f
    }

    private fun area(box: Box) = (box.x2 - box.x1) * (box.y2 - box.y1)
}
