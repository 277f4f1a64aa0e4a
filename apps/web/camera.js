// The package's element <mobiledet-camera>, which importing this file defines. camera.d.ts describes it.

export { CameraElement } from "./src/ui/camera_element.js";
