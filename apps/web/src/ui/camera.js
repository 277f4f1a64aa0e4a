// The camera as a video that is not shown.

/** Why the camera cannot be used here; empty where it can. */
export function cameraProblem() {
  if (navigator.mediaDevices?.getUserMedia) return "";
  return "The live camera needs https or localhost; a photograph can be taken with \u201cChoose a picture\u201d.";
}

/**
 * Start the camera, on a phone the one at its back.
 *
 * @returns {Promise<HTMLVideoElement>}
 * @throws {Error} there is none, or its use is denied
 */
export async function startCamera() {
  const wanted = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  await video.play();
  return video;
}

/** Switch it off. */
export function stopCamera(video) {
  for (const track of video.srcObject.getTracks()) track.stop();
}
