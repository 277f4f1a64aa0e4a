/// How objects are followed.
public struct TrackerSettings: Equatable, Sendable {
    /// Least score of a detection that can keep a track alive, 0...1.
    public var weak = 0.1
    /// Least overlap of a track's predicted box and a confident detection, above 0.
    public var matchIoU = 0.2
    /// The same of a weak detection.
    public var weakIoU = 0.5
    /// The same of a track that is not told yet.
    public var confirmIoU = 0.3
    /// Frames in a row in which an object is found before it is told; those of the first frame at once.
    public var confirm = 2
    /// Frames that a track waits for its object; then it ends.
    public var keepLost = 30
    /// Share of what was shown before in the box that is shown, from 0 (the detection's own box) to below 1.
    public var smoothing = 0.0
    /// A detection of another class may go on a track, which is then of that class.
    public var anyClass = false

    public init() {}

    var areSound: Bool {
        (0...1).contains(weak) && [matchIoU, weakIoU, confirmIoU].allSatisfy { $0 > 0 && $0 <= 1 }
            && confirm >= 1 && keepLost >= 0 && smoothing >= 0 && smoothing < 1
    }
}

/// An object that a frame shows.
public struct TrackedObject: Equatable, Sendable {
    /// From 1, without gaps.
    public var id: Int
    /// The box, smoothed if that is asked for, with score and class of the detection, which may be a weak one.
    public var detection: Detection
    /// Place in the frame's detections.
    public var source: Int
}

/// What a frame shows, in the order of its detections.
public struct Tracked: Equatable, Sendable {
    public var objects: [TrackedObject]
    /// Ids of the tracks that ended with this frame; they do not come again.
    public var ended: [Int]
    /// Detections that cannot be followed, because their box has no area or a number that is not finite.
    public var leftOut: Int
}

/// Detections of one frame after the other as tracks with ids that stay: the rules of `mobiledet/tracking/tracker.py`, which
/// says where they come from. It follows the objects of one camera or video.
public struct Tracker: Sendable {
    private struct Track: Sendable {
        var motion: Motion
        var shown: [Double]
        var label: Int
        var source: Int?
        var id = 0  // until it is told
        var seen = 1
        var missed = 0
    }

    private let settings: TrackerSettings
    private let confident: @Sendable (Int) -> Double
    private var tracks: [Track] = []  // oldest first
    private var begun = false
    private var lastID = 0

    /// From which score on a detection of a class is confident, such as the thresholds of a file's operating point.
    public init(settings: TrackerSettings = TrackerSettings(), confident: @escaping @Sendable (Int) -> Double) {
        precondition(settings.areSound, "a setting is out of range")
        (self.settings, self.confident) = (settings, confident)
    }

    /// One score for all classes.
    public init(confident: Double, settings: TrackerSettings = TrackerSettings()) {
        self.init(settings: settings) { _ in confident }
    }

    /// The next frame: everything that the detector found, weak detections too. Give it every frame once, in their order.
    public mutating func update(_ found: [Detection]) -> Tracked {
        let boxes = found.map { [Double($0.box.x1), Double($0.box.y1), Double($0.box.x2), Double($0.box.y2)] }
        let sound = boxes.map { $0.allSatisfy(\.isFinite) && $0[2] > $0[0] && $0[3] > $0[1] }
        let followed = found.indices.filter { sound[$0] }
        let (isConfident, threshold) = (confident, settings.weak)
        let sure = followed.filter { Double(found[$0].score) >= isConfident(found[$0].classIndex) }
        let weak = followed.filter { !sure.contains($0) && Double(found[$0].score) >= threshold }
        for place in tracks.indices { predict(place) }
        let taken = associate(boxes, found, sure, weak)
        for place in tracks.indices {
            guard let source = tracks[place].source else {
                tracks[place].missed += 1
                continue
            }
            correct(place, boxes[source], found[source].classIndex)
        }
        let keepLost = settings.keepLost
        let stays = { (track: Track) in track.id > 0 ? track.missed <= keepLost : track.source != nil }
        let ended = tracks.filter { $0.id > 0 && !stays($0) }.map(\.id)
        tracks = tracks.filter(stays)
        tracks += sure.filter { !taken.contains($0) }.map { row in
            Track(motion: Motion(boxes[row]), shown: boxes[row], label: found[row].classIndex, source: row)
        }
        for place in tracks.indices
        where tracks[place].id == 0 && (tracks[place].seen >= settings.confirm || !begun) {
            lastID += 1
            tracks[place].id = lastID
        }
        begun = true
        let objects = tracks.compactMap { track in track.id > 0 ? object(track, found) : nil }
        return Tracked(
            objects: objects.sorted { $0.source < $1.source }, ended: ended, leftOut: found.count - followed.count)
    }

    private func object(_ track: Track, _ found: [Detection]) -> TrackedObject? {
        guard let source = track.source else { return nil }
        let sides = track.shown.map { Float($0) }
        let box = Box(x1: sides[0], y1: sides[1], x2: sides[2], y2: sides[3])
        let detection = Detection(box: box, score: found[source].score, classIndex: track.label)
        return TrackedObject(id: track.id, detection: detection, source: source)
    }

    private mutating func predict(_ place: Int) {
        let before = tracks[place].motion.box
        tracks[place].motion.predict(lost: tracks[place].missed > 0)
        let after = tracks[place].motion.box
        for i in 0..<4 { tracks[place].shown[i] += after[i] - before[i] }
    }

    private mutating func correct(_ place: Int, _ box: [Double], _ label: Int) {
        tracks[place].motion.correct(box)
        for i in 0..<4 {
            tracks[place].shown[i] = box[i] + settings.smoothing * (tracks[place].shown[i] - box[i])
        }
        tracks[place].label = label
        tracks[place].seen += 1
        tracks[place].missed = 0
    }

    /// Confident detections to told tracks, then weak ones to those seen in the last frame, then confident ones to tracks that
    /// are not told yet; gives the rows that are taken.
    private mutating func associate(
        _ boxes: [[Double]], _ found: [Detection], _ confident: [Int], _ weak: [Int]
    ) -> Set<Int> {
        let predicted = tracks.map(\.motion.box)
        for place in tracks.indices { tracks[place].source = nil }
        var taken: Set<Int> = []
        for (candidates, least, may) in [
            (confident, settings.matchIoU, { (track: Track) in track.id > 0 }),
            (weak, settings.weakIoU, { (track: Track) in track.id > 0 && track.missed == 0 }),
            (confident, settings.confirmIoU, { (track: Track) in track.id == 0 }),
        ] {
            var pairs: [(iou: Double, place: Int, row: Int)] = []
            for (place, track) in tracks.enumerated() where track.source == nil && may(track) {
                for row in candidates where !taken.contains(row) {
                    guard settings.anyClass || track.label == found[row].classIndex else { continue }
                    let iou = overlap(predicted[place], boxes[row])
                    if iou >= least { pairs.append((iou, place, row)) }
                }
            }
            pairs.sort { a, b in (-a.iou, a.place, a.row) < (-b.iou, b.place, b.row) }
            for (_, place, row) in pairs where tracks[place].source == nil && !taken.contains(row) {
                tracks[place].source = row
                taken.insert(row)
            }
        }
        return taken
    }
}

/// Intersection over union.
private func overlap(_ a: [Double], _ b: [Double]) -> Double {
    let width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    let height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    let shared = width * height
    let union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return union > 0 ? shared / union : 0
}
