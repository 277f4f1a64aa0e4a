// standard deviations relative to the box's width or height; of velocities per frame
private let placeShare = 0.05
private let velocityShare = 0.00625
private let firstPlaceShare = 0.1
private let firstVelocityShare = 0.0625

/// Predicts the motion of a box by a Kalman filter with constant velocity, like `mobiledet/tracking/motion.py`: the same
/// operations in the same order, so that results are equal to the bit.
struct Motion {
    private var place: [Double]
    private var velocity = [0.0, 0, 0, 0]
    private var placeVariance: [Double]
    private var covariance = [0.0, 0, 0, 0]
    private var velocityVariance: [Double]

    /// Start with a box (x1, y1, x2, y2) that is seen for the first time, at rest.
    init(_ box: [Double]) {
        place = toCxcywh(box)
        placeVariance = spread(firstPlaceShare, place).map { $0 * $0 }
        velocityVariance = spread(firstVelocityShare, place).map { $0 * $0 }
    }

    /// The box: x1, y1, x2, y2.
    var box: [Double] {
        let (halfWidth, halfHeight) = (place[2] / 2, place[3] / 2)
        return [place[0] - halfWidth, place[1] - halfHeight, place[0] + halfWidth, place[1] + halfHeight]
    }

    /// Predict the next frame; a box that was lost in the last frame keeps its size.
    mutating func predict(lost: Bool) {
        if lost { (velocity[2], velocity[3]) = (0, 0) }
        let (spreads, drifts) = (spread(placeShare, place), spread(velocityShare, place))
        for i in 0..<4 {
            place[i] += velocity[i]
            placeVariance[i] =
                placeVariance[i] + 2 * covariance[i] + velocityVariance[i] + spreads[i] * spreads[i]
            covariance[i] += velocityVariance[i]
            velocityVariance[i] += drifts[i] * drifts[i]
        }
    }

    /// Update the filter with a measured box.
    mutating func correct(_ box: [Double]) {
        let (measured, spreads) = (toCxcywh(box), spread(placeShare, place))
        for i in 0..<4 {
            let total = placeVariance[i] + spreads[i] * spreads[i]
            let (gain, pull) = (placeVariance[i] / total, covariance[i] / total)
            let missedBy = measured[i] - place[i]
            place[i] += gain * missedBy
            velocity[i] += pull * missedBy
            velocityVariance[i] -= pull * covariance[i]
            placeVariance[i] -= gain * placeVariance[i]
            covariance[i] -= gain * covariance[i]
        }
    }
}

/// Convert a box from xyxy to centre x, centre y, width, height.
private func toCxcywh(_ box: [Double]) -> [Double] {
    [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]]
}

/// A share of the width or height, whichever each of the four numbers is relative to.
private func spread(_ share: Double, _ place: [Double]) -> [Double] {
    [share * place[2], share * place[3], share * place[2], share * place[3]]
}
