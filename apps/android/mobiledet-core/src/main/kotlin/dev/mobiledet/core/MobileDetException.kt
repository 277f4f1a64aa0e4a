package dev.mobiledet.core

/** An error that a user of a bundle or an app can fix; [message] is one line that says what is wrong and what to do. */
public open class MobileDetException(message: String, cause: Throwable? = null) :
    Exception(message.split(Regex("\\s+")).joinToString(" ").trim(), cause) {
    /** The message, one line. */
    override val message: String get() = super.message!!
}
