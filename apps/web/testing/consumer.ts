// Uses all of @mobiledet/web as an app would; compiled against the packed package, never run.

import { Counter, type Detection, Detector, FramePacer, ModelStore, Tracker, cacheStorage, drawDetections, updateModel, webSource } from "@mobiledet/web";
import { CameraElement } from "@mobiledet/web/camera";

export async function everything(video: HTMLVideoElement, canvas: HTMLCanvasElement, file: File): Promise<void> {
  const detector = await Detector.open(new URL("x.mobiledet/", location.href), { file: "int8", accelerator: "auto", threads: 0, assets: "/dist/" });
  const sources = [video, canvas, file, new ImageData(1, 1)];
  for (const source of sources) {
    const found: Detection[] = await detector.detect(source, { minScore: 0.5 });
    for (const { label, categoryId, score, box, id } of found) console.log(label.length, categoryId + score + box[3] + (id ?? 0));
  }
  const tracker: Tracker = detector.tracker({ minScore: 0.4, smoothing: 0.5 });
  drawDetections(canvas, video, await detector.detect(video, { tracker }));
  const counter = new Counter([{ name: "door", start: [0, 0], end: [10, 0] }], []);
  const all = await detector.detectTimed(video);
  counter.update(new Tracker(0.3).update(all));
  console.log(counter.lines[0].toRight.get(0), all.times.infer, detector.labels[0], detector.input.width, detector.accelerator);
  // @ts-expect-error the score is a number
  await detector.detect(video, { minScore: "0.5" });
  // @ts-expect-error there is no such accelerator
  await Detector.open("x.zip", { accelerator: "gpu" });
  // @ts-expect-error only Detector.open makes one
  new Detector();
  detector.close();
}

export async function newest(publicKey: string): Promise<Detector> {
  const store = new ModelStore(cacheStorage(), [publicKey], { builtIn: 1764456000 });
  await updateModel(store, webSource("/x.mobiledet.zip"), async (bundle) => (await Detector.open(bundle)).close());
  return Detector.open((await store.open()) ?? "x.mobiledet/");
}

const pacer = new FramePacer({ rates: [15, 10, 5, 0] });
if (pacer.decide(0) === "detect") pacer.finish();

const camera: CameraElement = document.createElement("mobiledet-camera");
camera.addEventListener("detections", ({ detail }) => console.log(detail.detections.length, detail.width));
camera.addEventListener("error", ({ message }) => console.log(message));
void camera.start();
