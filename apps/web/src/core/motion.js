// Where boxes go: a Kalman filter of constant velocity for each, as in mobiledet/tracking/motion.py: the same numbers, in
// the same order, so that the same bits come out.

// standard deviations as shares of the box's width or height, of velocities in a frame
const PLACE = 0.05;
const VELOCITY = 0.00625;
const FIRST_PLACE = 0.1;
const FIRST_VELOCITY = 0.0625;

/** Centre x, centre y, width and height of a box (x1, y1, x2, y2). */
function centred([x1, y1, x2, y2]) {
  return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1];
}

export class Motion {
  /** @param {number[]} box seen for the first time; it stands still */
  constructor(box) {
    this.place = centred(box);
    this.velocity = [0, 0, 0, 0];
    this.covariance = [0, 0, 0, 0];
    [this.placeVariance, this.velocityVariance] = [FIRST_PLACE, FIRST_VELOCITY].map((share) =>
      this.#spread(share).map((value) => value * value),
    );
  }

  /** One frame on; what was `lost` in the last one keeps its size. */
  predict(lost) {
    if (lost) this.velocity[2] = this.velocity[3] = 0;
    const [spread, drift] = [this.#spread(PLACE), this.#spread(VELOCITY)];
    for (let i = 0; i < 4; i++) {
      this.place[i] += this.velocity[i];
      this.placeVariance[i] =
        this.placeVariance[i] + 2 * this.covariance[i] + this.velocityVariance[i] + spread[i] * spread[i];
      this.covariance[i] += this.velocityVariance[i];
      this.velocityVariance[i] += drift[i] * drift[i];
    }
  }

  /** It was seen here. */
  correct(box) {
    const [seen, spread] = [centred(box), this.#spread(PLACE)];
    for (let i = 0; i < 4; i++) {
      const total = this.placeVariance[i] + spread[i] * spread[i];
      const [gain, pull] = [this.placeVariance[i] / total, this.covariance[i] / total];
      const missedBy = seen[i] - this.place[i];
      this.place[i] += gain * missedBy;
      this.velocity[i] += pull * missedBy;
      this.velocityVariance[i] -= pull * this.covariance[i];
      this.placeVariance[i] -= gain * this.placeVariance[i];
      this.covariance[i] -= gain * this.covariance[i];
    }
  }

  /** Its corners. */
  get box() {
    const [x, y, width, height] = this.place;
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
  }

  /** A share of the side that each of the four numbers is measured by. */
  #spread(share) {
    const [, , width, height] = this.place;
    return [share * width, share * height, share * width, share * height];
  }
}
