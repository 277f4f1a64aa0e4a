import type { Detection, Detector } from "./index.js";

/**
 * The element `<mobiledet-camera src="x.mobiledet/">`: the camera's images with boxes, and a button that starts and stops it.
 * Importing this module defines it. The camera needs https or localhost.
 *
 * Attributes: `src`, address of the bundle; `file`, `accelerator` and `assets`, see `OpenOptions`; `min-score`; `track`, for ids that
 * persist; `facing`, `environment` (default) or `user`;
 * `max-rate`, images per second at most, by default 30; `autoplay`, to start the camera when the bundle is loaded.
 *
 * Events: `load`; `detections`, for every image; `error`, an ErrorEvent whose message is shown, too.
 *
 * Parts for style sheets: `view`, `problem`, `button`.
 */
export class CameraElement extends HTMLElement {
  /** The detector in use, or null while none is loaded. */
  readonly detector: Detector | null;

  /** Starts the camera, which asks for permission. */
  start(): Promise<void>;

  /** Stops the camera; the last image stays. */
  stop(): void;

  addEventListener(
    type: "detections",
    listener: (event: CustomEvent<{ detections: Detection[]; height: number; width: number }>) => void,
  ): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "mobiledet-camera": CameraElement;
  }
}
