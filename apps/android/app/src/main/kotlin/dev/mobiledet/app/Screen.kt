package dev.mobiledet.app

import android.app.Activity
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.LinearLayout
import android.widget.Spinner
import android.widget.TextView

private const val PADDING_DP = 16

/** A column of views that does not overlap the system's bars. */
internal class Screen(private val activity: Activity) {
    private val padding = (PADDING_DP * activity.resources.displayMetrics.density).toInt()
    private val column = LinearLayout(activity).apply {
        orientation = LinearLayout.VERTICAL
        setPadding(padding, padding, padding, padding)
        fitsSystemWindows = true
    }

    fun text(content: String = ""): TextView = add(TextView(activity)).apply {
        text = content
        setTextIsSelectable(true)
    }

    fun button(caption: String, onClick: () -> Unit): Button = add(Button(activity)).apply {
        text = caption
        isAllCaps = false
        setOnClickListener { onClick() }
    }

    fun choice(values: List<String>): Spinner = add(Spinner(activity)).apply { setValues(values) }

    /** Adds a view that takes the remaining height. */
    fun <V : View> rest(view: V): V = view.also { column.addView(it, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f)) }

    fun show() = activity.setContentView(column)

    private fun <V : View> add(view: V): V =
        view.also { column.addView(it, LinearLayout.LayoutParams(MATCH_PARENT, WRAP_CONTENT)) }
}

internal fun Spinner.setValues(values: List<String>) {
    adapter = ArrayAdapter(context, android.R.layout.simple_spinner_dropdown_item, values)
}
