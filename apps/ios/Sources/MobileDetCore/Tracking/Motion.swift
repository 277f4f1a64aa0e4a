// standard deviations as shares of the box's width or height, of velocities in a frame
private let placeShare = 0.05
private let velocityShare = 0.00625
private let firstPlaceShare = 0.1
private let firstVelocityShare = 0.0625

/// Where a box goes: a Kalman filter of constant velocity, as in `mobiledet/tracking/motion.py`: the same numbers, in the
/// same order, so that the same bits come out.
struct Motion {
    private var place: [Double]
    private var velocity = [0.0, 0, 0, 0]
    private var placeVariance: [Double]
    private var covariance = [0.0, 0, 0, 0]
    private var velocityVariance: [Double]

    /// A box (x1, y1, x2, y2) that is seen for the first time; it stands still.
    init(_ box: [Double]) {
        place = centred(box)
        placeVariance = spread(firstPlaceShare, place).map { $0 * $0 }
        velocityVariance = spread(firstVelocityShare, place).map { $0 * $0 }
    }

    /// Its corners.
    var box: [Double] {
        let (halfWidth, halfHeight) = (place[2] / 2, place[3] / 2)
        return [place[0] - halfWidth, place[1] - halfHeight, place[0] + halfWidth, place[1] + halfHeight]
    }

    /// One frame on; what was lost in the last one keeps its size.
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

    /// It was seen here.
    mutating func correct(_ seen: [Double]) {
        let (measured, spreads) = (centred(seen), spread(placeShare, place))
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

/// Centre x, centre y, width and height.
private func centred(_ box: [Double]) -> [Double] {
    [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]]
}

/// A share of the side that each of the four numbers is measured by.
private func spread(_ share: Double, _ place: [Double]) -> [Double] {
    [share * place[2], share * place[3], share * place[2], share * place[3]]
}
