package dev.mobiledet.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.AdapterView
import android.widget.Spinner
import android.widget.TextView
import dev.mobiledet.android.Acceleration
import dev.mobiledet.android.BundleAssets

/** The start screen: choose a bundle and what to do with it. */
public class MainActivity : Activity() {
    private val worker = Worker(this) { message.text = it }
    private lateinit var message: TextView
    private lateinit var bundles: Spinner
    private lateinit var files: Spinner
    private lateinit var accelerators: Spinner

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val names = BundleAssets(this).list()
        val screen = Screen(this)
        message = screen.text(
            if (names.isEmpty()) "This app contains no bundle. Run mobiledet export CHECKPOINT --app android and build the app again." else "",
        )
        bundles = screen.choice(names)
        files = screen.choice(emptyList())
        accelerators = screen.choice(Acceleration.backends.keys.toList())
        if (names.isNotEmpty()) {
            screen.button("Camera") { open(CameraActivity::class.java) }
            screen.button("Picture") { open(PictureActivity::class.java) }
            screen.button("Benchmark") { open(BenchmarkActivity::class.java) }
        }
        screen.button("Evaluation from a computer") { startActivity(EvalActivity.manualIntent(this)) }
        screen.show()
        bundles.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) = listFiles(names[position])

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
    }

    override fun onDestroy() {
        worker.close()
        super.onDestroy()
    }

    private fun listFiles(asset: String) = worker.run({ BundleAssets(this).open(asset) }) { bundle ->
        message.text = "${bundle.spec.name}, ${bundle.spec.labels.size} classes, ${bundle.spec.input.height} x ${bundle.spec.input.width}"
        val paths = bundle.files.filter { it.format == "tflite" }.map { it.path }
        files.setValues(paths)
        files.setSelection(paths.indexOf(bundle.recommended["cpu"]).coerceAtLeast(0))
    }

    private fun open(activity: Class<out Activity>) {
        val file = files.selectedItem as? String ?: return // the bundle is still being read
        val choice = Choice(bundles.selectedItem as String, file, accelerators.selectedItem as String)
        startActivity(choice.addTo(Intent(this, activity)))
    }
}
