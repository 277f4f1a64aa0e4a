// The declarations say what the code does: its types, which the compiler takes from the comments, fit them.

import type * as declaredCamera from "@mobiledet/web/camera";
import type * as declared from "@mobiledet/web";
import * as camera from "./code/camera.js";
import * as code from "./code/index.js";

type Names<T> = { [K in keyof T]: unknown };

export const allNames: Names<typeof declared> & Names<typeof declaredCamera> = { ...code, ...camera };
export const noOther: Record<Exclude<keyof typeof code, keyof typeof declared>, never> = {};
export const functions: Pick<typeof declared, "drawDetections" | "webSource" | "cacheStorage"> = code;
export const pacer: (...options: ConstructorParameters<typeof declared.FramePacer>) => declared.FramePacer = (...options) => new code.FramePacer(...options);
export const store: (...options: ConstructorParameters<typeof declared.ModelStore>) => Omit<declared.ModelStore, "open"> = (...options) => new code.ModelStore(...options);
type Opens = typeof code.Detector.open;
export const opens: (source: Exclude<Parameters<typeof declared.Detector.open>[0], declared.Bundle> | Parameters<Opens>[0], options?: declared.OpenOptions) => Promise<declared.Detector> = code.Detector.open;
export const tracker: (...options: ConstructorParameters<typeof declared.Tracker>) => declared.Tracker = (...options) => new code.Tracker(...options);
export const counter: (...options: ConstructorParameters<typeof declared.Counter>) => declared.Counter = (...options) => new code.Counter(...options);
export const element: (made: InstanceType<typeof camera.CameraElement>) => Pick<declaredCamera.CameraElement, "start" | "stop" | "detector"> = (made) => made;
