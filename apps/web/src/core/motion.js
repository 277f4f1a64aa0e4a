// Predicts the motion of boxes by Kalman filters with constant velocity, like mobiledet/tracking/motion.py: the same
// operations in the same order, so that results are equal to the bit.

// standard deviations relative to the box's width or height; of velocities per frame
const PLACE = 0.05;
const VELOCITY = 0.00625;
const FIRST_PLACE = 0.1;
const FIRST_VELOCITY = 0.0625;

/** Convert a box from xyxy to centre x, centre y, width, height. */
function toCxcywh([x1, y1, x2, y2]) {
  return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1];
}

export class Motion {
  /** @param {number[]} box x1, y1, x2, y2, seen for the first time; it starts at rest */
  constructor(box) {
    this.place = toCxcywh(box);
    this.velocity = [0, 0, 0, 0];
    this.covariance = [0, 0, 0, 0];
    [this.placeVariance, this.velocityVariance] = [FIRST_PLACE, FIRST_VELOCITY].map((share) =>
      this.#spread(share).map((value) => value * value),
    );
  }

  /** Predict the next frame; a box that was `lost` in the last frame keeps its size. */
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

  /** Update the filter with a measured box. */
  correct(box) {
    const [measured, spread] = [toCxcywh(box), this.#spread(PLACE)];
    for (let i = 0; i < 4; i++) {
      const total = this.placeVariance[i] + spread[i] * spread[i];
      const [gain, pull] = [this.placeVariance[i] / total, this.covariance[i] / total];
      const missedBy = measured[i] - this.place[i];
      this.place[i] += gain * missedBy;
      this.velocity[i] += pull * missedBy;
      this.velocityVariance[i] -= pull * this.covariance[i];
      this.placeVariance[i] -= gain * this.placeVariance[i];
      this.covariance[i] -= gain * this.covariance[i];
    }
  }

  /** The box: x1, y1, x2, y2. */
  get box() {
    const [x, y, width, height] = this.place;
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
  }

  /** A share of the width or height, whichever each of the four numbers is relative to. */
  #spread(share) {
    const [, , width, height] = this.place;
    return [share * width, share * height, share * width, share * height];
  }
}
