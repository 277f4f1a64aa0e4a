package dev.mobiledet.app

import android.app.Activity
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.CheckBox
import android.widget.FrameLayout
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.SeekBar
import android.widget.Spinner
import android.widget.TextView

private const val PADDING_DP = 16
private const val MAX_LINES = 3 // beside a view that takes the remaining height

/** A column of views that does not overlap the system's bars; it scrolls if nothing in it takes the remaining height. */
internal class Screen(private val activity: Activity) {
    private val padding = (PADDING_DP * activity.resources.displayMetrics.density).toInt()
    private val texts = mutableListOf<TextView>()
    private var isFilled = false
    private val column = LinearLayout(activity).apply {
        orientation = LinearLayout.VERTICAL
        setPadding(padding, padding, padding, padding)
    }

    fun text(content: String = ""): TextView = add(TextView(activity)).apply {
        text = content
        setTextIsSelectable(true)
        texts += this
    }

    fun button(caption: String, onClick: () -> Unit): Button = add(Button(activity)).apply {
        text = caption
        isAllCaps = false
        setOnClickListener { onClick() }
    }

    /** Boxes to check, in one row. */
    fun switches(vararg switches: Pair<String, (Boolean) -> Unit>): List<CheckBox> {
        val row = add(LinearLayout(activity))
        return switches.map { (caption, onChange) ->
            CheckBox(activity).apply {
                text = caption
                setOnCheckedChangeListener { _, isOn -> onChange(isOn) }
                row.addView(this, LinearLayout.LayoutParams(0, WRAP_CONTENT, 1f))
            }
        }
    }

    /** From 0 to [max]. */
    fun slider(caption: String, max: Int, onChange: (Int) -> Unit): SeekBar = add(SeekBar(activity)).apply {
        this.max = max
        contentDescription = caption
        setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) = onChange(progress)

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
    }

    fun choice(values: List<String>): Spinner = add(Spinner(activity)).apply { setValues(values) }

    /** Adds a view that takes the remaining height. */
    fun <V : View> rest(view: V): V = view.also {
        isFilled = true
        column.addView(it, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f))
    }

    fun show() {
        // a frame of its own: the system's insets replace the padding of the view that they are applied to
        val frame = if (isFilled) FrameLayout(activity) else ScrollView(activity)
        frame.fitsSystemWindows = true
        frame.addView(column, FrameLayout.LayoutParams(MATCH_PARENT, if (isFilled) MATCH_PARENT else WRAP_CONTENT))
        if (isFilled) texts.forEach { it.maxLines = MAX_LINES }
        activity.setContentView(frame)
    }

    private fun <V : View> add(view: V): V =
        view.also { column.addView(it, LinearLayout.LayoutParams(MATCH_PARENT, WRAP_CONTENT)) }
}

internal fun Spinner.setValues(values: List<String>) {
    adapter = ArrayAdapter(context, android.R.layout.simple_spinner_dropdown_item, values)
}
