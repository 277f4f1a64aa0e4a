package dev.mobiledet.core

/**
 * Settings of the tracker.
 *
 * @property weak lowest score of a detection that can continue a track, 0..1.
 * @property matchIou least IoU between a track's predicted box and a confident detection, above 0.
 * @property weakIou least IoU for a weak detection.
 * @property confirmIou least IoU for a track that has not been reported yet.
 * @property confirm number of consecutive frames in which an object is detected before it is reported; objects of the first
 *   frame are reported at once.
 * @property keepLost number of frames for which a track without detections is kept.
 * @property smoothing weight of the previous box in the reported box, from 0 (the box of the detection) to below 1.
 * @property anyClass whether a detection of another class may continue a track, which then gets that class.
 */
public class TrackerSettings(
    public val weak: Double = 0.1,
    public val matchIou: Double = 0.2,
    public val weakIou: Double = 0.5,
    public val confirmIou: Double = 0.3,
    public val confirm: Int = 2,
    public val keepLost: Int = 30,
    public val smoothing: Double = 0.0,
    public val anyClass: Boolean = false,
) {
    init {
        require(weak in 0.0..1.0 && smoothing >= 0 && smoothing < 1) { "weak $weak or smoothing $smoothing is out of range" }
        require(listOf(matchIou, weakIou, confirmIou).all { it > 0 && it <= 1 }) { "an IoU is not above 0 and at most 1" }
        require(confirm >= 1 && keepLost >= 0) { "confirm $confirm or keepLost $keepLost is out of range" }
    }
}

/**
 * The tracked objects of a frame, in the order of its detections.
 *
 * @property ids track ids, from 1 without gaps.
 * @property objects the objects: boxes (smoothed if requested) with the scores and labels of their detections, weak ones
 *   included.
 * @property sources indices of the objects in the frame's detections.
 * @property ended ids of the tracks that ended with this frame; they are not used again.
 * @property leftOut number of detections that cannot be tracked, because their box has no area or is not finite.
 */
public class Tracked(
    public val ids: IntArray,
    public val objects: Detections,
    public val sources: IntArray,
    public val ended: IntArray,
    public val leftOut: Int,
)

/**
 * Connects the detections of successive frames to tracks with persistent ids, by the rules of mobiledet/tracking/tracker.py,
 * which names their source. It tracks the objects of one camera or video. Not thread-safe.
 *
 * @param confident score from which on a detection of a class is confident, such as the thresholds of a file's operating
 *   point.
 */
public class Tracker(private val confident: (Int) -> Double, private val settings: TrackerSettings = TrackerSettings()) {
    private class Track(val motion: Motion, var shown: DoubleArray, var label: Int, var source: Int) {
        var id = 0 // until it is reported
        var seen = 1
        var missed = 0
    }

    private var tracks = listOf<Track>() // oldest first
    private var begun = false
    private var lastId = 0

    /** One score for all classes. */
    public constructor(confident: Double, settings: TrackerSettings = TrackerSettings()) : this({ confident }, settings)

    /** Processes the next frame: all detections, weak ones included. Must be called once for every frame, in order. */
    public fun update(found: Detections): Tracked {
        val boxes = List(found.size) { row -> DoubleArray(SIDES) { found.boxes[row * SIDES + it].toDouble() } }
        val sound = boxes.map { box -> box.all { it.isFinite() } && box[2] > box[0] && box[3] > box[1] }
        val confidentRows = boxes.indices.filter { sound[it] && found.scores[it] >= confident(found.labels[it]) }
        val weakRows = boxes.indices.filter { sound[it] && it !in confidentRows && found.scores[it] >= settings.weak }
        tracks.forEach(::predict)
        val taken = associate(boxes, found.labels, confidentRows, weakRows)
        for (track in tracks) {
            if (track.source < 0) track.missed++ else correct(track, boxes[track.source], found.labels[track.source])
        }
        val (kept, ended) = tracks.partition { if (it.id > 0) it.missed <= settings.keepLost else it.source >= 0 }
        val born = confidentRows.filter { it !in taken }.map { Track(Motion(boxes[it]), boxes[it], found.labels[it], it) }
        tracks = kept + born
        for (track in tracks) {
            if (track.id == 0 && (track.seen >= settings.confirm || !begun)) track.id = ++lastId
        }
        begun = true
        val endedIds = ended.map { it.id }.filter { it > 0 }.toIntArray()
        return report(found, endedIds, sound.count { !it })
    }

    private fun predict(track: Track) {
        val before = track.motion.box
        track.motion.predict(track.missed > 0)
        val after = track.motion.box
        track.shown = DoubleArray(SIDES) { track.shown[it] + (after[it] - before[it]) }
    }

    /**
     * Assigns confident detections to reported tracks, then weak ones to reported tracks that were seen in the last frame, then
     * confident ones to unreported tracks; returns the rows of the assigned detections.
     */
    private fun associate(
        boxes: List<DoubleArray>, labels: IntArray, confident: List<Int>, weak: List<Int>,
    ): Set<Int> {
        tracks.forEach { it.source = -1 }
        val predicted = tracks.map { it.motion.box }
        val taken = mutableSetOf<Int>()
        fun pass(rows: List<Int>, least: Double, accepts: (Track) -> Boolean) {
            val pairs = mutableListOf<Triple<Double, Int, Int>>()
            for ((place, track) in tracks.withIndex()) {
                if (track.source >= 0 || !accepts(track)) continue
                for (row in rows) {
                    if (row in taken || !(settings.anyClass || track.label == labels[row])) continue
                    val iou = overlap(predicted[place], boxes[row])
                    if (iou >= least) pairs += Triple(iou, place, row)
                }
            }
            // the sort is stable, and the pairs are already in the order of tracks and rows
            for ((_, place, row) in pairs.sortedByDescending { it.first }) {
                if (tracks[place].source < 0 && taken.add(row)) tracks[place].source = row
            }
        }
        pass(confident, settings.matchIou) { it.id > 0 }
        pass(weak, settings.weakIou) { it.id > 0 && it.missed == 0 }
        pass(confident, settings.confirmIou) { it.id == 0 }
        return taken
    }

    private fun correct(track: Track, box: DoubleArray, label: Int) {
        track.motion.correct(box)
        track.shown = DoubleArray(SIDES) { box[it] + settings.smoothing * (track.shown[it] - box[it]) }
        track.label = label
        track.seen++
        track.missed = 0
    }

    private fun report(found: Detections, ended: IntArray, leftOut: Int): Tracked {
        val reported = tracks.filter { it.id > 0 && it.source >= 0 }.sortedBy { it.source }
        val objects = Detections(
            FloatArray(reported.size * SIDES) { reported[it / SIDES].shown[it % SIDES].toFloat() },
            FloatArray(reported.size) { found.scores[reported[it].source] },
            IntArray(reported.size) { reported[it].label },
        )
        val ids = IntArray(reported.size) { reported[it].id }
        return Tracked(ids, objects, IntArray(reported.size) { reported[it].source }, ended, leftOut)
    }
}

private const val SIDES = 4

/** Intersection over union. */
private fun overlap(a: DoubleArray, b: DoubleArray): Double {
    val width = maxOf(0.0, minOf(a[2], b[2]) - maxOf(a[0], b[0]))
    val height = maxOf(0.0, minOf(a[3], b[3]) - maxOf(a[1], b[1]))
    val shared = width * height
    val union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return if (union > 0) shared / union else 0.0
}
