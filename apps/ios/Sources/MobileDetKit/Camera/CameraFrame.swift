#if canImport(CoreML)
    import CoreGraphics
    import MobileDetCore

    /// The objects in one frame of the camera; its pixels are not kept.
    public struct CameraFrame: Sendable {
        /// Best score first; with a tracker those that it follows, in the order of their detections.
        public let objects: [FoundObject]
        /// The tracks of this frame, for a `Counter`; nil without a tracker.
        public let tracked: Tracked?
        /// Size of the upright image, in pixels.
        public let size: CGSize
        /// The clockwise turn that makes the sensor's image upright, in degrees.
        public let rotationAngle: Double
        /// Time from the frame to its detections, in milliseconds.
        public let milliseconds: Double
        /// A line for the user while heat limits the frames per second, else empty.
        public let notice: String
    }

    extension Detector {
        /// A tracker for the objects of one camera or video.
        ///
        /// - Parameter minScore: score from which on a detection may begin a track; by default the thresholds that `detect`
        ///   uses.
        public func tracker(minScore: Float? = nil, settings: TrackerSettings = TrackerSettings()) -> Tracker {
            let file = file
            return Tracker(settings: settings) { minScore.map(Double.init) ?? file.threshold($0) }
        }
    }

    extension Tracker {
        /// Process the next frame.
        ///
        /// - Parameter found: of `detect(frame, minScore: 0)`, as weak detections can continue a track.
        /// - Returns: the followed objects with their ids, and the tracks as the core describes them.
        public mutating func update(_ found: [FoundObject]) -> (objects: [FoundObject], tracked: Tracked) {
            let tracked = update(
                found.map { Detection(box: Box($0.box), score: $0.score, classIndex: $0.classIndex) })
            let objects = tracked.objects.map { track in
                var object = found[track.source]
                (object.id, object.box) = (track.id, CGRect(track.detection.box))
                return object
            }
            return (objects, tracked)
        }
    }
#endif
