package dev.mobiledet.core

/**
 * How objects are followed.
 *
 * @property weak least score of a detection that can keep a track alive, 0..1.
 * @property matchIou least overlap of a track's predicted box and a confident detection, above 0.
 * @property weakIou the same of a weak detection.
 * @property confirmIou the same of a track that is not told yet.
 * @property confirm frames in a row in which an object is found before it is told; those of the first frame at once.
 * @property keepLost frames that a track waits for its object; then it ends.
 * @property smoothing share of what was shown before in the box that is shown, from 0 (the detection's own box) to below 1.
 * @property anyClass a detection of another class may go on a track, which is then of that class.
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
        require(listOf(matchIou, weakIou, confirmIou).all { it > 0 && it <= 1 }) { "an overlap is not above 0 and at most 1" }
        require(confirm >= 1 && keepLost >= 0) { "confirm $confirm or keepLost $keepLost is out of range" }
    }
}

/**
 * The objects that a frame shows, in the order of the frame's detections.
 *
 * @property ids from 1, without gaps.
 * @property objects their boxes, smoothed if that is asked for, with the scores and labels of the detections. Weak ones are
 *   among them.
 * @property sources their places in the frame's detections.
 * @property ended ids of the tracks that ended with this frame; they do not come again.
 * @property leftOut detections that cannot be followed, because their box has no area or a number that is not finite.
 */
public class Tracked(
    public val ids: IntArray,
    public val objects: Detections,
    public val sources: IntArray,
    public val ended: IntArray,
    public val leftOut: Int,
)

/**
 * Detections of one frame after the other as tracks with ids that stay: the rules of mobiledet/tracking/tracker.py, which
 * says where they come from. It follows the objects of one camera or video; one thread at a time may use it.
 *
 * @param confident from which score on a detection of a class is confident, such as the thresholds of a file's operating
 *   point.
 */
public class Tracker(private val confident: (Int) -> Double, private val settings: TrackerSettings = TrackerSettings()) {
    private class Track(val motion: Motion, var shown: DoubleArray, var label: Int, var source: Int) {
        var id = 0 // until it is told
        var seen = 1
        var missed = 0
    }

    private var tracks = listOf<Track>() // oldest first
    private var begun = false
    private var lastId = 0

    /** One score for all classes. */
    public constructor(confident: Double, settings: TrackerSettings = TrackerSettings()) : this({ confident }, settings)

    /** The next frame: everything that the detector [found], weak detections too. Give it every frame once, in their order. */
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
        return tell(found, endedIds, sound.count { !it })
    }

    private fun predict(track: Track) {
        val before = track.motion.box
        track.motion.predict(track.missed > 0)
        val after = track.motion.box
        track.shown = DoubleArray(SIDES) { track.shown[it] + (after[it] - before[it]) }
    }

    /**
     * Confident detections to told tracks, then weak ones to those seen in the last frame, then confident ones to tracks that
     * are not told yet; gives the rows that are taken.
     */
    private fun associate(
        boxes: List<DoubleArray>, labels: IntArray, confident: List<Int>, weak: List<Int>,
    ): Set<Int> {
        tracks.forEach { it.source = -1 }
        val predicted = tracks.map { it.motion.box }
        val taken = mutableSetOf<Int>()
        fun pass(rows: List<Int>, least: Double, may: (Track) -> Boolean) {
            val pairs = mutableListOf<Triple<Double, Int, Int>>()
            for ((place, track) in tracks.withIndex()) {
                if (track.source >= 0 || !may(track)) continue
                for (row in rows) {
                    if (row in taken || !(settings.anyClass || track.label == labels[row])) continue
                    val iou = overlap(predicted[place], boxes[row])
                    if (iou >= least) pairs += Triple(iou, place, row)
                }
            }
            // the sort is stable, and the pairs are in the order of tracks and rows already
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

    private fun tell(found: Detections, ended: IntArray, leftOut: Int): Tracked {
        val told = tracks.filter { it.id > 0 && it.source >= 0 }.sortedBy { it.source }
        val objects = Detections(
            FloatArray(told.size * SIDES) { told[it / SIDES].shown[it % SIDES].toFloat() },
            FloatArray(told.size) { found.scores[told[it].source] },
            IntArray(told.size) { told[it].label },
        )
        val ids = IntArray(told.size) { told[it].id }
        return Tracked(ids, objects, IntArray(told.size) { told[it].source }, ended, leftOut)
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
