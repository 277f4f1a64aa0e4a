package dev.mobiledet.core

private const val SECOND_NS = 1_000_000_000L
private const val MIN_RATE = 0.01
private const val MAX_RATE = 1000.0
private const val MAX_RECOVER_SECONDS = 3600.0

/** Thermal state of a device, the same scale on all platforms. */
public enum class ThermalLevel {
    NOMINAL, FAIR, SERIOUS, CRITICAL;

    public companion object {
        private val NAMES = mapOf(
            "nominal" to NOMINAL, "none" to NOMINAL, "fair" to FAIR, "light" to FAIR, "moderate" to FAIR,
            "serious" to SERIOUS, "severe" to SERIOUS,
            "critical" to CRITICAL, "emergency" to CRITICAL, "shutdown" to CRITICAL,
        )

        /** The level of a state as Android or Apple's systems name it, such as `moderate`; null for any other name. */
        @JvmStatic
        public fun of(name: String?): ThermalLevel? = NAMES[name]
    }
}

/** Whether a frame goes to the detector, or why it is skipped. */
public enum class FrameDecision {
    DETECT,

    /** The detector has not finished the last frame. */
    BUSY,

    /** The frame comes too early for the highest rate. */
    RATE,

    /** The frame is skipped only because the device is warm. */
    HEAT,
}

/**
 * Settings of [FramePacer].
 *
 * @property rates limit in frames per second at each [ThermalLevel]: none above the one before it, 0 or 0.01 to 1000, the first
 *   not 0. A rate of 0 pauses detection.
 * @property recoverSeconds time without a state as hot as the level, before it falls by one.
 */
public class PacerSettings(
    public val rates: List<Double> = listOf(30.0, 20.0, 10.0, 2.0),
    public val recoverSeconds: Double = 10.0,
) {
    init {
        require(rates.size == ThermalLevel.entries.size && rates[0] > 0 && rates.all { it == 0.0 || it in MIN_RATE..MAX_RATE }) {
            "rates $rates are not ${ThermalLevel.entries.size} numbers, each 0 or in $MIN_RATE..$MAX_RATE, the first not 0"
        }
        require(rates.zipWithNext().all { (cooler, hotter) -> hotter <= cooler }) { "rates $rates rise with the heat" }
        require(recoverSeconds in 0.0..MAX_RECOVER_SECONDS) { "recoverSeconds $recoverSeconds is not in 0..$MAX_RECOVER_SECONDS" }
    }
}

/**
 * Decides which frames of a camera are processed: at a limited rate, not while the detector is busy, and fewer when the device
 * is warm. A frame is taken up to half a period early, so that a camera whose frames are not evenly spaced is not halved; the
 * mean rate stays below the limit. A hotter state applies at once, a cooler one after [PacerSettings.recoverSeconds].
 *
 * Thread-safe: frames and the end of a detection may come from different threads.
 */
public class FramePacer @JvmOverloads constructor(private val settings: PacerSettings = PacerSettings()) {
    private val periods = settings.rates.map { if (it > 0) Math.floor(SECOND_NS / it + 0.5).toLong() else 0 }
    private val recoverNs = Math.floor(settings.recoverSeconds * SECOND_NS + 0.5).toLong()
    private val counted = LongArray(FrameDecision.entries.size)
    private var busy = false
    private var now: Long? = null
    private var due: Long? = null // when the latest detection was due
    private var coolerSince: Long? = null
    private var current = ThermalLevel.NOMINAL

    /** The level whose rate applies now. */
    public val level: ThermalLevel
        @Synchronized get() = current

    /** Number of frames by decision since the start. */
    public val counts: Map<FrameDecision, Long>
        @Synchronized get() = FrameDecision.entries.associateWith { counted[it.ordinal] }

    /** Text for the user while heat limits the rate, else empty. */
    public val notice: String
        @Synchronized get() {
            val rate = settings.rates[current.ordinal]
            val name = current.name.lowercase()
            return when (rate) {
                settings.rates[0] -> ""
                0.0 -> "The device is too hot ($name): detection pauses until it has cooled down."
                else -> "The device is warm ($name): at most ${rate.toString().removeSuffix(".0")} images per second."
            }
        }

    /**
     * Decides about a frame. After [FrameDecision.DETECT], [finish] must follow.
     *
     * @param timeNs when it came, on a clock that does not go back.
     * @param thermal the state that the system reports; null counts as nominal.
     */
    @Synchronized
    public fun decide(timeNs: Long, thermal: ThermalLevel?): FrameDecision {
        val time = maxOf(now ?: timeNs, timeNs)
        now = time
        follow(thermal ?: ThermalLevel.NOMINAL, time)
        val decision = when {
            busy -> FrameDecision.BUSY
            isDue(current, time) -> FrameDecision.DETECT
            isDue(ThermalLevel.NOMINAL, time) -> FrameDecision.HEAT
            else -> FrameDecision.RATE
        }
        if (decision == FrameDecision.DETECT) {
            busy = true
            due = due?.let { maxOf(it + periods[current.ordinal], time) } ?: time
        }
        counted[decision.ordinal]++
        return decision
    }

    /** The detector has finished, or failed. */
    @Synchronized
    public fun finish() {
        busy = false
    }

    private fun follow(reported: ThermalLevel, time: Long) {
        val since = coolerSince
        if (reported >= current) {
            current = reported
            coolerSince = null
        } else if (since == null) {
            coolerSince = time
        } else if (time - since >= recoverNs) {
            current = ThermalLevel.entries[current.ordinal - 1]
            coolerSince = if (reported < current) time else null
        }
    }

    private fun isDue(level: ThermalLevel, time: Long): Boolean {
        val period = periods[level.ordinal]
        return period > 0 && due?.let { time - it >= period - period / 2 } ?: true
    }
}
