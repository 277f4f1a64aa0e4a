package dev.mobiledet.app

import android.content.Context
import android.content.Intent
import dev.mobiledet.android.Detector

private const val ASSET = "asset"
private const val FILE = "file"
private const val ACCELERATOR = "accelerator"

/** What the user chose: a bundle in the assets, a model file in it, and an accelerator. */
internal data class Choice(val asset: String, val file: String, val accelerator: String) {
    /** Opens it; slow, so not on the main thread. */
    fun open(context: Context): Detector = Detector.open(context, asset, file, accelerator)

    fun addTo(intent: Intent): Intent =
        intent.putExtra(ASSET, asset).putExtra(FILE, file).putExtra(ACCELERATOR, accelerator)

    override fun toString() = "$asset, $file, $accelerator"

    companion object {
        fun of(intent: Intent) = Choice(
            intent.getStringExtra(ASSET).orEmpty(), intent.getStringExtra(FILE).orEmpty(),
            intent.getStringExtra(ACCELERATOR) ?: "auto",
        )
    }
}
