package dev.mobiledet.core

/** Something that the user of a bundle or an app can mend; [message] is one line that says what and how. */
public open class MobileDetException(message: String, cause: Throwable? = null) :
    Exception(message.split(Regex("\\s+")).joinToString(" ").trim(), cause) {
    /** The one line. */
    override val message: String get() = super.message!!
}
