/// Settings of the tracker.
public struct TrackerSettings: Equatable, Sendable {
    /// Lowest score of a detection that can continue a track, 0...1.
    public var weak = 0.1
    /// Least IoU between a track's predicted box and a confident detection, above 0.
    public var matchIoU = 0.2
    /// Least IoU for a weak detection.
    public var weakIoU = 0.5
    /// Least IoU for a track that has not been reported yet.
    public var confirmIoU = 0.3
    /// Number of consecutive frames in which an object is detected before it is reported; objects of the first frame are
    /// reported at once.
    public var confirm = 2
    /// Number of frames for which a track without detections is kept.
    public var keepLost = 30
    /// Weight of the previous box in the reported box, from 0 (the box of the detection) to below 1.
    public var smoothing = 0.0
    /// Whether a detection of another class may continue a track, which then gets that class.
    public var anyClass = false

    public init() {}

    var areValid: Bool {
        (0...1).contains(weak) && [matchIoU, weakIoU, confirmIoU].allSatisfy { $0 > 0 && $0 <= 1 }
            && confirm >= 1 && keepLost >= 0 && smoothing >= 0 && smoothing < 1
    }
}

/// A tracked object in a frame.
public struct TrackedObject: Equatable, Sendable {
    /// Track id, from 1 without gaps.
    public var id: Int
    /// The box (smoothed if requested) with score and class of its detection, which may be a weak one.
    public var detection: Detection
    /// Index in the frame's detections.
    public var source: Int
}

/// The tracked objects of a frame, in the order of its detections.
public struct Tracked: Equatable, Sendable {
    public var objects: [TrackedObject]
    /// Ids of the tracks that ended with this frame; they are not used again.
    public var ended: [Int]
    /// Number of detections that cannot be tracked, because their box has no area or is not finite.
    public var leftOut: Int
}

/// Connects the detections of successive frames to tracks with persistent ids, by the rules of
/// `mobiledet/tracking/tracker.py`, which names their source. It tracks the objects of one camera or video.
public struct Tracker: Sendable {
    private struct Track: Sendable {
        var motion: Motion
        var shown: [Double]
        var label: Int
        var source: Int?
        var id = 0  // until it is reported
        var seen = 1
        var missed = 0
    }

    private let settings: TrackerSettings
    private let confident: @Sendable (Int) -> Double
    private var tracks: [Track] = []  // oldest first
    private var begun = false
    private var lastID = 0

    /// - Parameter confident: score from which on a detection of a class is confident, such as the thresholds of a file's
    ///   operating point.
    public init(settings: TrackerSettings = TrackerSettings(), confident: @escaping @Sendable (Int) -> Double) {
        precondition(settings.areValid, "a setting is out of range")
        (self.settings, self.confident) = (settings, confident)
    }

    /// Use one confidence threshold for all classes.
    public init(confident: Double, settings: TrackerSettings = TrackerSettings()) {
        self.init(settings: settings) { _ in confident }
    }

    /// Process the next frame: all detections, weak ones included. Must be called once for every frame, in order.
    public mutating func update(_ found: [Detection]) -> Tracked {
        let boxes = found.map { [Double($0.box.x1), Double($0.box.y1), Double($0.box.x2), Double($0.box.y2)] }
        let sound = boxes.map { $0.allSatisfy(\.isFinite) && $0[2] > $0[0] && $0[3] > $0[1] }
        let valid = found.indices.filter { sound[$0] }
        let (isConfident, threshold) = (confident, settings.weak)
        let sure = valid.filter { Double(found[$0].score) >= isConfident(found[$0].classIndex) }
        let weak = valid.filter { !sure.contains($0) && Double(found[$0].score) >= threshold }
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
            objects: objects.sorted { $0.source < $1.source }, ended: ended, leftOut: found.count - valid.count)
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

    /// Assign confident detections to reported tracks, then weak ones to reported tracks that were seen in the last frame,
    /// then confident ones to unreported tracks; returns the rows of the assigned detections.
    private mutating func associate(
        _ boxes: [[Double]], _ found: [Detection], _ confident: [Int], _ weak: [Int]
    ) -> Set<Int> {
        let predicted = tracks.map(\.motion.box)
        for place in tracks.indices { tracks[place].source = nil }
        var taken: Set<Int> = []
        for (candidates, least, accepts) in [
            (confident, settings.matchIoU, { (track: Track) in track.id > 0 }),
            (weak, settings.weakIoU, { (track: Track) in track.id > 0 && track.missed == 0 }),
            (confident, settings.confirmIoU, { (track: Track) in track.id == 0 }),
        ] {
            var pairs: [(iou: Double, place: Int, row: Int)] = []
            for (place, track) in tracks.enumerated() where track.source == nil && accepts(track) {
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
