// Times one pass and the separate steps on camera frames, in turn: processor time; benchmarks/frames.py compiles it together
// with MobileDetCore and runs it. Also counts what is allocated, by replacing malloc.

import Foundation

let warmUp = 30
let runs = 60

nonisolated(unsafe) var allocations = 0

@_silgen_name("__libc_malloc") func systemMalloc(_ size: Int) -> UnsafeMutableRawPointer?

@_cdecl("malloc") public func countedMalloc(_ size: Int) -> UnsafeMutableRawPointer? {
    allocations &+= 1
    return systemMalloc(size)
}

/// A frame as a camera gives it: a ramp with noise.
struct Camera {
    enum Format: String { case bgra, nv12 }

    let height: Int
    let width: Int
    let format: Format
    private let first: [UInt8]
    private let second: [UInt8]

    init(_ height: Int, _ width: Int, _ format: Format) {
        (self.height, self.width, self.format) = (height, width, format)
        func plane(_ count: Int, _ level: (Int) -> Int) -> [UInt8] {
            (0..<count).map { UInt8(level($0) + Int.random(in: 0..<9)) }
        }
        let isPacked = format == .bgra
        first = plane(height * width * (isPacked ? 4 : 1)) { $0 / (isPacked ? 4 : 1) % width * 240 / width }
        second = isPacked ? [] : plane(height * width / 2) { 100 + $0 % width * 50 / width }
    }

    func use<Value>(_ body: (Frame) -> Value) -> Value {
        first.withUnsafeBufferPointer { first in
            second.withUnsafeBufferPointer { second in
                if format == .bgra {
                    let plane = Frame.Plane(first, rowStride: width * 4, pixelStride: 4)
                    return body(Frame(height: height, width: width, packed: plane, red: 2, green: 1, blue: 0))
                }
                func chroma(_ offset: Int) -> Frame.Plane {
                    let bytes = UnsafeBufferPointer(rebasing: second[offset...])
                    return Frame.Plane(bytes, rowStride: width, pixelStride: 2)
                }
                let luma = Frame.Plane(first, rowStride: width, pixelStride: 1)
                return body(
                    Frame(height: height, width: width, y: luma, u: chroma(0), v: chroma(1), matrix: .bt601Full))
            }
        }
    }
}

/// The frame as an image, without a table or a reused buffer.
func converted(_ frame: Frame) -> RGBImage {
    let (height, width) = (frame.crop.height, frame.crop.width)
    let pixels = [UInt8](unsafeUninitializedCapacity: height * width * 3) { output, count in
        for row in 0..<height {
            for column in 0..<width {
                let target = (row * width + column) * 3
                switch frame.samples {
                case .packed(let plane, let red, let green, let blue):
                    let start = row * plane.rowStride + column * plane.pixelStride
                    for (channel, place) in [red, green, blue].enumerated() {
                        output[target + channel] = plane.bytes[start + place]
                    }
                case .yuv(let y, let u, let v, let matrix):
                    let (tables, chroma) = (matrix.tables, row / 2 * u.rowStride + column / 2 * u.pixelStride)
                    let level = tables.luma.start[Int(y.bytes[row * y.rowStride + column * y.pixelStride])]
                    let (blue, red) = (Int(u.bytes[chroma]), Int(v.bytes[chroma]))
                    output[target] = UInt8(clamping: (level + tables.redV.start[red]) >> 16)
                    let green = tables.greenU.start[blue] + tables.greenV.start[red]
                    output[target + 1] = UInt8(clamping: (level + green) >> 16)
                    output[target + 2] = UInt8(clamping: (level + tables.blueU.start[blue]) >> 16)
                }
            }
        }
        count = height * width * 3
    }
    return RGBImage(height: height, width: width, pixels: pixels)
}

func processorNs() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

func padded(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }

print("camera      format turn input     rule       steps ms pass ms  ratio  steps mallocs  pass mallocs")
for (height, width, side) in [(480, 640, 320), (480, 640, 160), (720, 1280, 320)] {
    for format in [Camera.Format.bgra, .nv12] {
        for orientation in [Orientation.upright, .quarterTurnLeft] {
            let camera = Camera(height, width, format)
            let input = InputSpec(height: side, width: side, sampling: .mean)
            let preprocessor = Preprocessor(input)
            let steps = { camera.use { converted($0).turned(orientation).fitted(to: input) } }
            let pass = { camera.use { preprocessor.prepare($0, orientation: orientation) } }
            precondition(steps() == pass(), "the results differ")
            var (times, mallocs) = ([[Int]](repeating: [], count: 2), [0, 0])
            for run in 0..<warmUp + runs {
                for (way, work) in [steps, pass].enumerated() {
                    let (before, started) = (allocations, processorNs())
                    _ = work()
                    let (spent, made) = (processorNs() - started, allocations - before)
                    if run >= warmUp { times[way].append(spent) }
                    mallocs[way] = made
                }
            }
            let median = times.map { Double($0.sorted()[runs / 2]) / 1e6 }
            let figures = [
                padded(String(format: "%.2f", median[0]), 8), padded(String(format: "%.2f", median[1]), 7),
                padded(String(format: "%.1f", median[0] / median[1]), 6), padded("\(mallocs[0])", 14),
                padded("\(mallocs[1])", 13),
            ]
            let turn = padded(orientation == .upright ? "0" : "90", 4)
            let name = "\(width) x \(height)".padding(toLength: 11, withPad: " ", startingAt: 0)
            let row = [name, padded(format.rawValue, 6), turn, "\(side) x \(side)", "stretch   "] + figures
            print(row.joined(separator: " "))
        }
    }
}
