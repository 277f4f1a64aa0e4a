package dev.mobiledet.core

/** A position in the pixels of the boxes. */
public data class Point(public val x: Double, public val y: Double)

/** A line segment; a point within [margin] pixels of its infinite extension is on neither side. */
public class CountingLine(
    public val name: String,
    public val start: Point,
    public val end: Point,
    public val margin: Double = 0.0,
) {
    init {
        require(start != end && margin >= 0) { "line $name: it needs two different end points and a margin of at least 0" }
    }
}

/** A polygon; its last corner is connected to the first. */
public class CountingZone(public val name: String, public val corners: List<Point>) {
    init {
        require(corners.size > 2) { "zone $name: it needs at least three corners" }
    }
}

/** Crossings of a line, by class index; right is as seen when walking from its start to its end. */
public class LineCount(public val line: CountingLine) {
    internal val right = mutableMapOf<Int, Int>()
    internal val left = mutableMapOf<Int, Int>()
    internal val last = mutableMapOf<Int, Point>() // by id: the last point that was on a side
    public val toRight: Map<Int, Int> get() = right
    public val toLeft: Map<Int, Int> get() = left
}

/** Tracks in a zone in the newest frame, and all that were ever in it, by class index. */
public class ZoneCount(public val zone: CountingZone) {
    internal val inside = mutableMapOf<Int, Int>()
    internal val ever = mutableMapOf<Int, Int>()
    internal val known = mutableSetOf<Int>()
    public val now: Map<Int, Int> get() = inside
    public val visitors: Map<Int, Int> get() = ever
}

/** The point of a box that decides: the middle of its lower edge, where an object stands, or its centre. */
public enum class CountedPoint { BOTTOM, CENTRE }

/**
 * Counts the tracks of one camera or video that cross lines or are in zones, by the rules of mobiledet/tracking/counting.py.
 */
public class Counter(
    lines: List<CountingLine> = emptyList(),
    zones: List<CountingZone> = emptyList(),
    private val point: CountedPoint = CountedPoint.BOTTOM,
) {
    public val lines: List<LineCount> = lines.map { LineCount(it) }
    public val zones: List<ZoneCount> = zones.map { ZoneCount(it) }

    /** Processes the next frame; must be called once for every frame. */
    public fun update(tracked: Tracked) {
        val objects = tracked.objects
        val points = List(objects.size) { counted(objects.box(it)) }
        for (count in lines) {
            for ((row, at) in points.withIndex()) cross(count, tracked.ids[row], objects.labels[row], at)
            tracked.ended.forEach { count.last.remove(it) }
        }
        for (count in zones) {
            count.inside.clear()
            for ((row, at) in points.withIndex()) {
                if (!isInside(count.zone.corners, at)) continue
                add(count.inside, objects.labels[row])
                if (count.known.add(tracked.ids[row])) add(count.ever, objects.labels[row])
            }
            tracked.ended.forEach { count.known.remove(it) }
        }
    }

    private fun counted(box: Box): Point {
        val (top, bottom) = box.y1.toDouble() to box.y2.toDouble()
        val across = (box.x1.toDouble() + box.x2.toDouble()) / 2
        return Point(across, if (point == CountedPoint.CENTRE) (top + bottom) / 2 else bottom)
    }
}

/** Whether a point lies in a polygon, by the even-odd rule. */
internal fun isInside(corners: List<Point>, at: Point): Boolean {
    var inside = false
    for ((i, a) in corners.withIndex()) {
        val b = corners[(i + 1) % corners.size]
        if ((a.y > at.y) != (b.y > at.y) && at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x) inside = !inside
    }
    return inside
}

private fun cross(count: LineCount, id: Int, label: Int, at: Point) {
    val (start, end, margin) = Triple(count.line.start, count.line.end, count.line.margin)
    val side = sideOf(start, end, at)
    val (across, down) = (end.x - start.x) to (end.y - start.y)
    if (side == 0.0 || side * side < margin * margin * (across * across + down * down)) return
    val last = count.last.put(id, at) ?: return
    if ((sideOf(start, end, last) > 0) == (side > 0)) return
    val (first, second) = sideOf(last, at, start) to sideOf(last, at, end)
    if ((first > 0 && second > 0) || (first < 0 && second < 0)) return
    add(if (side > 0) count.right else count.left, label)
}

/** Positive if [at] is on the right of the path from [start] to [end], negative on the left. */
private fun sideOf(start: Point, end: Point, at: Point): Double =
    (end.x - start.x) * (at.y - start.y) - (end.y - start.y) * (at.x - start.x)

private fun add(tally: MutableMap<Int, Int>, label: Int) {
    tally[label] = (tally[label] ?: 0) + 1
}
