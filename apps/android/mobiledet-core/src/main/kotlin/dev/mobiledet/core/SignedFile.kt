package dev.mobiledet.core

import java.math.BigInteger
import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.PublicKey
import java.security.Signature
import java.security.spec.X509EncodedKeySpec
import java.util.Base64

private const val MAX_NUMBER = (1L shl 53) - 1
private const val SIDE = 32 // bytes of each number of a signature
private const val POINT_BYTES = 65
private val TEXT = Regex(
    "(mobiledet-signature 1\nrelease (0|[1-9][0-9]{0,15})\nbytes ([1-9][0-9]{0,15})\nsha256 ([0-9a-f]{64})\n)" +
        "ecdsa-p256 ([A-Za-z0-9+/]{85}[AQgw]==)\n",
)

// of every public key on P-256 in the form SubjectPublicKeyInfo, uncompressed: algorithm and curve
private val SPKI_HEAD = intArrayOf(
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x03, 0x42, 0x00,
).map { it.toByte() }

/**
 * What the signature of a zipped bundle says about it, verified; `mobiledet sign` writes it (mobiledet/signing/signature.py).
 *
 * @property release number of the release, which rises.
 * @property bytes size of the zip.
 * @property sha256 its checksum, hexadecimal.
 */
public data class SignedFile(val release: Long, val bytes: Long, val sha256: String)

/**
 * Verifies signatures of bundles: ECDSA on the curve P-256 with SHA-256.
 *
 * @param publicKeys lines that `mobiledet sign --new-key` printed; a signature by any of them is accepted, so that a key can be
 *     replaced.
 * @throws MobileDetException a key is malformed.
 */
public class SignatureVerifier(publicKeys: List<String>) {
    private val keys = publicKeys.map(::publicKey)

    /** The content of a signature file. Throws [MobileDetException] if it is malformed or not signed with one of the keys. */
    public fun verify(text: ByteArray): SignedFile {
        // characters of ISO 8859-1 are bytes
        val match = TEXT.matchEntire(String(text, Charsets.ISO_8859_1)) ?: throw malformed()
        val (message, release, bytes, sha256, encoded) = match.destructured
        val signed = SignedFile(release.toLong(), bytes.toLong(), sha256)
        if (maxOf(signed.release, signed.bytes) > MAX_NUMBER) throw malformed()
        val der = der(decode(encoded) ?: throw malformed())
        if (keys.none { isSigned(it, message.toByteArray(Charsets.ISO_8859_1), der) }) {
            throw MobileDetException("the signature was not made with a key of this app, or has been changed")
        }
        return signed
    }

    private fun isSigned(key: PublicKey, message: ByteArray, der: ByteArray): Boolean = try {
        Signature.getInstance("SHA256withECDSA").run {
            initVerify(key)
            update(message)
            verify(der)
        }
    } catch (_: GeneralSecurityException) { // a number out of range
        false
    }

    /** r and s as Java takes them: a DER sequence of two integers. */
    private fun der(raw: ByteArray): ByteArray {
        val numbers = listOf(raw.copyOf(SIDE), raw.copyOfRange(SIDE, raw.size)).map { BigInteger(1, it).toByteArray() }
        val content = numbers.flatMap { listOf(2, it.size.toByte()) + it.toList() }
        return (listOf<Byte>(0x30, content.size.toByte()) + content).toByteArray()
    }

    private fun publicKey(line: String): PublicKey {
        val der = decode(line)
        if (der == null || der.size != SPKI_HEAD.size + POINT_BYTES || der.take(SPKI_HEAD.size) != SPKI_HEAD) throw badKey(line)
        try {
            return KeyFactory.getInstance("EC").generatePublic(X509EncodedKeySpec(der))
        } catch (error: GeneralSecurityException) {
            throw badKey(line, error)
        }
    }

    private fun decode(text: String): ByteArray? = try {
        Base64.getDecoder().decode(text)
    } catch (_: IllegalArgumentException) {
        null
    }

    private fun malformed() = MobileDetException("the signature is malformed: it is not a signature of mobiledet")

    private fun badKey(line: String, cause: Exception? = null) =
        MobileDetException("'${line.take(40)}' is no public key of mobiledet sign --new-key", cause)
}
