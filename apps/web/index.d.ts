/** Detects objects in images with bundles from `mobiledet export`, in WebAssembly or WebGPU, on this device alone. */

/** A bundle that is open and verified. */
export interface Bundle {
  /** Checksum of the whole bundle. */
  readonly sha256: string;
}

/** A detected object. */
export interface Detection {
  /** Name of its class. */
  label: string;
  /** The data set's id of its class. */
  categoryId: number;
  /** 0..1. */
  score: number;
  /** x1, y1, x2, y2 in pixels of the upright image. */
  box: [number, number, number, number];
  /** Id of its track, if it was detected with a tracker. */
  id?: number;
}

/** The detections of one image as parallel lists, best score first, weak ones included. */
export interface TimedDetections {
  /** Size of the upright image in pixels. */
  height: number;
  width: number;
  /** Each x1, y1, x2, y2 in pixels of the upright image. */
  boxes: number[][];
  scores: number[];
  /** Indices of `Detector.labels`. */
  labels: number[];
  /** Time of each step, in nanoseconds. */
  times: { decode: number; preprocess: number; infer: number; postprocess: number };
}

/** Anything that has pixels. A Blob is an image file, whose EXIF orientation is applied as the bundle says. */
export type ImageSource = ImageBitmapSource;

export interface OpenOptions {
  /** A model file of the bundle, by path or precision; by default the one that the bundle recommends for the processor. */
  file?: string;
  /**
   * `auto` is `wasm`, the CPU. `webgpu` is refused where the browser does not have it, or if the result differs from the golden
   * outputs of the file by more than 16-bit arithmetic explains; it is never replaced silently.
   */
  accelerator?: "auto" | "wasm" | "webgpu";
  /** CPU threads; 0 takes all that the page may use: more than one only if it is isolated from other origins. */
  threads?: number;
  /** Address of the package's folder `dist`, if a bundler moved the code elsewhere. */
  assets?: string | URL;
}

/** A model file in a worker. */
export class Detector {
  private constructor();

  /**
   * Opens a bundle, verifies its checksums, loads one of its model files in a worker, and replays the file's golden cases.
   *
   * @param source address of a bundle: of a zip, or of a folder, which ends with a slash; or the content of a zip; or a bundle that
   *   is open, from a `ModelStore`
   * @throws Error with one line for people: the bundle is missing or damaged, or does not run here
   */
  static open(source: string | URL | Blob | ArrayBuffer | Uint8Array | Bundle, options?: OpenOptions): Promise<Detector>;

  /** Name of the model. */
  readonly name: string;
  /** Class names, in the order of the model. */
  readonly labels: readonly string[];
  /** The data set's ids of the classes, in the same order. */
  readonly categoryIds: readonly number[];
  /** Size of the model's input in pixels; images of any size are resized to it. */
  readonly input: { readonly height: number; readonly width: number };
  /** Path of the model file in the bundle. */
  readonly file: string;
  /** Thresholds by class of the bundle's operating point, if `mobiledet thresholds` stored one. */
  readonly thresholds: readonly number[] | null;
  /** What runs the file. */
  readonly accelerator: "wasm" | "webgpu";
  readonly threads: number;

  /**
   * Detects objects, best score first.
   *
   * @param options minScore: lowest score of a returned detection, by default `thresholds`, or 0.3 if there are none. tracker: from
   *   `tracker()`; gives the objects ids, and decides itself which are returned
   * @throws Error the image cannot be decoded, or the runtime fails
   */
  detect(image: ImageSource, options?: { minScore?: number | null; tracker?: Tracker | null }): Promise<Detection[]>;

  /** All detections in an image, weak ones included, for `Tracker.update`. */
  detectTimed(image: ImageSource): Promise<TimedDetections>;

  /** A tracker for one camera or video. A detection of at least `minScore` can begin a track. */
  tracker(settings?: TrackerSettings & { minScore?: number | null }): Tracker;

  /** Ends the worker and frees its memory. */
  close(): void;
}

/** Settings of a tracker; all have defaults. */
export interface TrackerSettings {
  /** Lowest score of a detection that can continue a track: 0.1. */
  weak?: number;
  /** Least IoU between a track's predicted box and a confident detection: 0.2. */
  match_iou?: number;
  /** Least IoU for a weak detection: 0.5. */
  weak_iou?: number;
  /** Least IoU for a track that has not been reported yet: 0.3. */
  confirm_iou?: number;
  /** Consecutive frames in which an object is detected before it is reported: 2. Those of the first frame are reported at once. */
  confirm?: number;
  /** Frames for which a track without detections is kept: 30. */
  keep_lost?: number;
  /** Weight of the previous box in the reported box, 0 to below 1: 0. */
  smoothing?: number;
  /** Whether a detection of another class may continue a track: false. */
  any_class?: boolean;
}

/** The tracked objects of one frame, in the order of its detections. */
export interface Tracked {
  ids: number[];
  boxes: number[][];
  scores: number[];
  labels: number[];
  /** Index of each object's detection. */
  sources: number[];
  /** Ids of the tracks that ended. */
  ended: number[];
  /** Number of detections that cannot be tracked, because their box is empty or not finite. */
  leftOut: number;
}

/** Gives the objects of one camera or video ids that persist over its frames. */
export class Tracker {
  /** @param confident score from which on a detection can begin a track, for all classes or by class: 0.3 */
  constructor(confident?: number | readonly number[], settings?: TrackerSettings);

  /** Processes the next frame; must be called once for every frame, in order, unless `Detector.detect` does. */
  update(found: { boxes: number[][]; scores: number[]; labels: number[] }): Tracked;
}

/** Counts tracked objects that cross lines or are in zones. */
export class Counter {
  /**
   * @param lines in pixels of the boxes; an object counts when it is `margin` pixels beyond the line
   * @param zones polygons
   * @param point the point of a box that decides
   */
  constructor(
    lines?: { name: string; start: number[]; end: number[]; margin?: number }[],
    zones?: { name: string; corners: number[][] }[],
    point?: "bottom" | "centre",
  );

  /** Numbers by class index, in the order of the lines. */
  readonly lines: { toRight: Map<number, number>; toLeft: Map<number, number> }[];
  /** Numbers by class index: objects in the zone now, and those that have been in it. */
  readonly zones: { now: Map<number, number>; visitors: Map<number, number> }[];

  update(tracked: Tracked): void;
}

/**
 * Draws an image and the result of `Detector.detect`.
 *
 * @param canvas gets the aspect ratio of the image, and at least the resolution of the screen
 */
export function drawDetections(canvas: HTMLCanvasElement, image: CanvasImageSource, detections: Detection[]): void;

/** Decides which frames of a camera are processed: at a limited rate, and not while the detector is busy. */
export class FramePacer {
  /**
   * @param settings rates: limits in frames per second from the coolest to the hottest of four thermal levels, by default 30, 20, 10,
   *   2; recoverSeconds: time until the level falls, by default 10
   */
  constructor(settings?: { rates?: number[]; recoverSeconds?: number });

  /** Name of the level whose rate applies now. */
  readonly level: string;
  /** Text for people while heat limits the rate, else empty. */
  readonly notice: string;
  /** Number of frames by decision. */
  counts: Record<string, number>;

  /**
   * Whether to detect in a frame, or why not. After `detect`, `finish` must follow.
   *
   * @param timeNs when it came, in whole nanoseconds
   * @param thermal the thermal state as the system names it; browsers report none
   */
  decide(timeNs: number, thermal?: string | null): string;

  /** The detector has finished, or failed. */
  finish(): void;
}

/** Where a `ModelStore` keeps its files. */
export interface ModelStorage {
  read(name: string): Promise<Uint8Array | null>;
  write(name: string, content: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  names(): Promise<string[]>;
}

/** Models that are installed at run time, each signed by `mobiledet sign`. The old one stays until the new one is verified. */
export class ModelStore {
  /**
   * @param publicKeys lines that `mobiledet sign` printed for new keys
   * @param options builtIn: release of the bundle that the page itself has; limitBytes: limit of the unpacked size
   */
  constructor(storage: ModelStorage, publicKeys: string[], options?: { builtIn?: number; limitBytes?: number });

  /** The model to use, or null if none is installed that is newer than the built-in one. */
  current(): Promise<{ release: number; sha256: string } | null>;
  /** The model that was in use before. */
  previous(): Promise<{ release: number; sha256: string } | null>;
  /** Opens the model to use; null as in `current`. */
  open(): Promise<Bundle | null>;
  /** Returns to the previous model; null if there is none. */
  rollback(): Promise<{ release: number; sha256: string } | null>;
  /** Removes all models. */
  clear(): Promise<void>;
}

/** Where a new model is fetched from. */
export interface ModelSource {
  signature(): Promise<Uint8Array>;
  download(bytes: number): Promise<Uint8Array>;
}

/** The browser's cache as storage; needs https or localhost. */
export function cacheStorage(name?: string): ModelStorage;

/** A zip on a web server, with its signature at the same address and `.sig`. */
export function webSource(url: string): ModelSource;

/**
 * Installs a newer model, if there is one.
 *
 * @param gate throws if the bundle does not run here; `async (bundle) => (await Detector.open(bundle)).close()` replays its golden cases
 * @returns the new bundle; null if there is no newer one
 */
export function updateModel(store: ModelStore, source: ModelSource, gate: (bundle: Bundle) => Promise<void>): Promise<Bundle | null>;
