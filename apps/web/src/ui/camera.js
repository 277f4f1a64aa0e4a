// The camera as a hidden video element.

/** Why the camera cannot be used; empty if it can. */
export function cameraProblem() {
  if (navigator.mediaDevices?.getUserMedia) return "";
  return "The live camera needs https or localhost; a photo can be taken with \u201cChoose an image\u201d.";
}

/**
 * Start the camera.
 *
 * @param {string} facing of a phone's cameras, `environment` is the one at the back, `user` the one beside the screen
 * @returns {Promise<HTMLVideoElement>}
 * @throws {Error} there is no camera, or access is denied
 */
export async function startCamera(facing = "environment") {
  const wanted = { facingMode: facing, width: { ideal: 640 }, height: { ideal: 480 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  await video.play();
  return video;
}

/** Stop the camera. */
export function stopCamera(video) {
  for (const track of video.srcObject.getTracks()) track.stop();
}
