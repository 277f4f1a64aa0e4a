package dev.mobiledet.core

import java.util.Locale
import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min

// part of the expected detections that may be decided the other way where two boxes overlap by just the NMS threshold
private const val UNSETTLED_SHARE = 0.05

// from so many expected detections on, at least half must have a partner, wherever lists are cut
private const val FEW = 10

/** How far the outputs of the golden inputs are from the expected ones, at worst. */
public data class GoldenReport(
    val cases: Int,
    val detections: Int,
    val lowestIou: Double,
    val largestScoreDifference: Double,
)

/** Does a runtime compute what a model file gives? As `mobiledet/devices/golden.py`. */
public class GoldenGate(private val spec: ModelSpec, private val tolerance: Tolerance) {
    private class Pair(val expected: Int, val found: Int, val iou: Float, val scoreDifference: Float)

    private class Differences(val problem: String, val unsettled: Int)

    /**
     * Compares what [detect] finds in each case with what is expected, as sets; boxes are fractions.
     *
     * Runtimes round differently, so a detection may lack its partner where lists are cut: at the score threshold, at the
     * last candidate that was looked at, or at the end of a full list. A few may also lack it where the other side kept an
     * overlapping box of the same class.
     *
     * @throws MobileDetException they differ.
     */
    public fun replay(cases: List<GoldenCase>, detect: (GoldenCase) -> Detections): GoldenReport {
        val total = cases.sumOf { it.expected.size }
        var unsettled = 0
        var matched = 0
        var findsAnything = false
        var lowestIou = 1.0
        var largestDifference = 0.0
        cases.forEachIndexed { index, case ->
            val found = detect(case)
            val pairs = match(case.expected, found)
            val differences = differences(case, found, pairs)
            matched += pairs.size
            findsAnything = findsAnything || found.scores.any { it != 0f }
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
        if (total > 0 && !findsAnything) throw failed(0, cases[0], "it finds nothing where $total detections are expected")
        if (total >= FEW && 2 * matched < total) throw failed(0, cases[0], "$matched of $total detections are there")
        return GoldenReport(cases.size, total, lowestIou, largestDifference)
    }

    private fun failed(index: Int, case: GoldenCase, problem: String): MobileDetException {
        val cause = if (case.isEncoded && index > 0) "it may decode or resize pictures otherwise; " else ""
        return MobileDetException(
            "this runtime does not compute what the file gives: golden case $index: $problem; ${cause}its results would be " +
                "worthless, try another accelerator",
        )
    }

    /** One to one, best score first, each with the same one of the highest IoU. */
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
                val box = ours.boxes.slice(worst * 4 until worst * 4 + 4).joinToString { inWords(it) }
                val what = "${spec.labels[ours.labels[worst]]} ${inWords(ours.scores[worst])} at ($box)"
                return Differences("it $verb $what, ${unexplained.size + unsettled} of ${ours.size} differ", 0)
            }
            most = max(most, unsettled)
        }
        return Differences("", most)
    }

    /** Whether a score lies where a list is cut: at the last candidate, or at the end of a full list. */
    private fun isAtCut(score: Float, theirs: Detections, cut: Double): Boolean {
        val end = if (theirs.size >= spec.nms.maxDetections) theirs.scores.minOrNull()!! else cut.toFloat()
        return score >= (cut - tolerance.score).toFloat() && score <= end + tolerance.score.toFloat()
    }

    /** Whether a box on the same place that is as good may have suppressed this one. */
    private fun mayBeSuppressed(ours: Detections, row: Int, theirs: Detections): Boolean {
        val overlap = (spec.nms.iou - (1 - tolerance.iou)).toFloat()
        return (0 until theirs.size).any { column ->
            ours.labels[row] == theirs.labels[column] &&
                theirs.scores[column] >= ours.scores[row] - tolerance.score.toFloat() &&
                iou(ours, row, theirs, column) >= overlap
        }
    }

    private fun inWords(value: Float) = "%.3f".format(Locale.ROOT, value)

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
