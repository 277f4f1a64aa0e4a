package dev.mobiledet.coroutines

import android.content.Context
import android.view.Surface
import dev.mobiledet.android.CameraStream
import dev.mobiledet.android.Lens
import dev.mobiledet.android.PhoneCamera
import dev.mobiledet.core.Frame
import dev.mobiledet.core.MobileDetException
import dev.mobiledet.core.Orientation
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.conflate

/** An image of the camera; [orientation] turns it upright. */
public class CameraFrame(public val image: Frame, public val orientation: Orientation)

/**
 * The images of a camera, of which a slow collector gets the newest. The camera is open during the collection; the app must
 * hold the permission CAMERA. The flow fails with a [MobileDetException] if the camera does.
 *
 * @param displayDegrees rotation of the display from its natural orientation: 0, 90, 180 or 270.
 * @param preview as in [CameraStream].
 */
public fun cameraFrames(
    context: Context, displayDegrees: Int, lens: Lens = Lens.BACK, preview: Surface? = null,
): Flow<CameraFrame> = callbackFlow {
    val stream = CameraStream(
        context,
        displayDegrees,
        // the camera's own image is valid until this returns
        onImage = { image, orientation -> trySend(CameraFrame(image.copy(), orientation)) },
        onProblem = { problem -> close(MobileDetException(problem)) },
        camera = PhoneCamera.find(context, lens),
        preview = preview,
    )
    try {
        stream.start()
        awaitClose()
    } finally {
        stream.close()
    }
}.conflate()
