/// A position in the pixels of the boxes.
public struct CountingPoint: Equatable, Sendable {
    public var x: Double
    public var y: Double

    public init(x: Double, y: Double) {
        (self.x, self.y) = (x, y)
    }
}

/// Crossings of a line segment, by class index; right is as seen when walking from its start to its end.
public struct LineCount: Sendable {
    public let name: String
    public let start: CountingPoint
    public let end: CountingPoint
    /// A point within this distance of the infinite line, in pixels, is on neither side.
    public let margin: Double
    public fileprivate(set) var toRight: [Int: Int] = [:]
    public fileprivate(set) var toLeft: [Int: Int] = [:]
    fileprivate var last: [Int: CountingPoint] = [:]  // by id: the last point that was on a side

    public init(name: String, start: CountingPoint, end: CountingPoint, margin: Double = 0) {
        precondition(start != end && margin >= 0, "a line needs two different end points and a margin of at least 0")
        (self.name, self.start, self.end, self.margin) = (name, start, end, margin)
    }

    fileprivate mutating func cross(_ id: Int, _ label: Int, _ at: CountingPoint) {
        let side = sideOf(start, end, at)
        let (across, down) = (end.x - start.x, end.y - start.y)
        if side == 0 || side * side < margin * margin * (across * across + down * down) { return }
        guard let before = last.updateValue(at, forKey: id) else { return }
        if (sideOf(start, end, before) > 0) == (side > 0) { return }
        let (first, second) = (sideOf(before, at, start), sideOf(before, at, end))
        if (first > 0 && second > 0) || (first < 0 && second < 0) { return }
        if side > 0 { toRight[label, default: 0] += 1 } else { toLeft[label, default: 0] += 1 }
    }
}

/// Tracks in a zone in the newest frame, and all that were ever in it, by class index.
public struct ZoneCount: Sendable {
    public let name: String
    /// Corners of the polygon; the last one is connected to the first.
    public let corners: [CountingPoint]
    public fileprivate(set) var now: [Int: Int] = [:]
    public fileprivate(set) var visitors: [Int: Int] = [:]
    fileprivate var known: Set<Int> = []

    public init(name: String, corners: [CountingPoint]) {
        precondition(corners.count > 2, "a zone needs at least three corners")
        (self.name, self.corners) = (name, corners)
    }

    /// Whether a point lies in the zone, by the even-odd rule.
    func contains(_ at: CountingPoint) -> Bool {
        var inside = false
        for (i, a) in corners.enumerated() {
            let b = corners[(i + 1) % corners.count]
            if (a.y > at.y) != (b.y > at.y) && at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x {
                inside.toggle()
            }
        }
        return inside
    }
}

/// Counts the tracks of one camera or video that cross lines or are in zones, by the rules of
/// `mobiledet/tracking/counting.py`.
public struct Counter: Sendable {
    /// The point of a box that decides: the middle of its lower edge, where an object stands, or its centre.
    public enum Point: String, Sendable { case bottom, centre }

    public private(set) var lines: [LineCount]
    public private(set) var zones: [ZoneCount]
    private let point: Point

    public init(lines: [LineCount] = [], zones: [ZoneCount] = [], point: Point = .bottom) {
        (self.lines, self.zones, self.point) = (lines, zones, point)
    }

    /// Process the next frame; must be called once for every frame.
    public mutating func update(_ tracked: Tracked) {
        let seen = tracked.objects.map { ($0.id, $0.detection.classIndex, counted($0.detection.box)) }
        for i in lines.indices {
            for (id, label, at) in seen { lines[i].cross(id, label, at) }
            for id in tracked.ended { lines[i].last[id] = nil }
        }
        for i in zones.indices {
            zones[i].now = [:]
            for (id, label, at) in seen where zones[i].contains(at) {
                zones[i].now[label, default: 0] += 1
                if zones[i].known.insert(id).inserted { zones[i].visitors[label, default: 0] += 1 }
            }
            zones[i].known.subtract(tracked.ended)
        }
    }

    private func counted(_ box: Box) -> CountingPoint {
        let (top, bottom) = (Double(box.y1), Double(box.y2))
        let across = (Double(box.x1) + Double(box.x2)) / 2
        return CountingPoint(x: across, y: point == .centre ? (top + bottom) / 2 : bottom)
    }
}

/// Positive if `at` is on the right of the path from `start` to `end`, negative on the left.
private func sideOf(_ start: CountingPoint, _ end: CountingPoint, _ at: CountingPoint) -> Double {
    (end.x - start.x) * (at.y - start.y) - (end.y - start.y) * (at.x - start.x)
}
