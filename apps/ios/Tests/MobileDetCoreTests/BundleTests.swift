import Foundation
import XCTest

@testable import MobileDetCore

final class BundleTests: XCTestCase {
    func testVectorsOpenOrAreRefused() throws {
        let folder = try temporaryFolder(for: self), before = try unpackedFolders()
        let bundles = folder.appendingPathComponent("a/b/bundles")
        try FileManager.default.createDirectory(
            at: bundles.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: Vectors.bundles, to: bundles)
        for entry in try Vectors.cases("bundles") {
            let name = try entry.text("file")
            let url = bundles.appendingPathComponent(name)
            if try entry.flag("opens") {
                try checkSound(ModelBundle(at: url), entry)
            } else {
                XCTAssertThrowsError(try ModelBundle(at: url), name) { error in
                    let message = (error as? MobileDetError)?.message ?? "not a MobileDetError: \(error)"
                    XCTAssert(message.contains(try! entry.text("mentions")), "\(name): \(message)")
                }
            }
        }
        for case let url as URL in FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)! {
            XCTAssertNotEqual(url.lastPathComponent, "escaped")
        }
        XCTAssertEqual(try unpackedFolders(), before, "temporary folders stay behind")
    }

    private func unpackedFolders() throws -> Set<String> {
        let names = try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path)
        return Set(names.filter { $0.hasPrefix(ModelBundle.temporaryPrefix) })
    }

    private func checkSound(_ bundle: ModelBundle, _ entry: JSON) throws {
        XCTAssertEqual(bundle.sha256, try entry.text("sha256"))
        XCTAssertEqual(bundle.spec.name, try entry.text("name"))
        XCTAssertEqual([bundle.spec.input.height, bundle.spec.input.width], try entry.list("input").map { $0.integer })
        XCTAssertEqual(bundle.spec.labels, try entry.list("labels").map { $0.string })
        XCTAssertEqual(bundle.spec.categoryIDs, try entry.list("category_ids").map { $0.integer })
        let nms = try entry.field("nms")
        XCTAssertEqual(bundle.spec.nms.iou, Float(try nms.real("iou")))
        XCTAssertEqual(bundle.spec.nms.score, Float(try nms.real("score")))
        XCTAssertEqual(bundle.spec.nms.topK, try nms.whole("top_k"))
        XCTAssertEqual(bundle.spec.nms.maxDetections, try nms.whole("max_detections"))
        for (file, wanted) in zip(bundle.files, try entry.list("files")) {
            XCTAssertEqual(file.path, try wanted.text("path"))
            XCTAssertEqual(file.format, try wanted.text("format"))
            XCTAssertEqual(file.precision, try wanted.text("precision"))
            XCTAssertEqual(file.bytes, try wanted.whole("bytes"))
            XCTAssertEqual(file.sha256.count, 64)
        }
        XCTAssertEqual(bundle.files.count, try entry.list("files").count)
        let thresholds = try entry.list("thresholds").map { $0.array?.compactMap(\.number) }
        XCTAssertEqual(bundle.files.map(\.thresholds), thresholds)
        XCTAssertEqual(bundle.recommended, try texts(entry.field("recommended")))
        XCTAssertEqual(try bundle.file(formats: ["tflite"]).path, bundle.recommended["cpu"])
        for file in bundle.files { try checkGolden(bundle, file, entry.field("golden").field(file.path)) }
        let pixels = try entry.list("first_pixels").flatMap { try XCTUnwrap($0.array).map { $0.integer } }
        let first = try bundle.golden(bundle.files[0]).cases[0]
        XCTAssertEqual(first.content.prefix(pixels.count).map(Int.init), pixels)
    }

    func testFilesAreRecommendedAsOnTheHost() throws {
        for entry in try Vectors.cases("recommended") {
            let name = try entry.text("name")
            let files = try entry.list("files").map { file in
                ModelFile(
                    path: try file.text("path"), format: try file.text("format"), precision: try file.text("precision"),
                    face: try file.text("face"), bytes: 0, sha256: "", thresholds: nil)
            }
            let listing = Fields(
                .object([JSON.Member("recommended", try entry.field("stored"))]), source: "listing")
            XCTAssertEqual(try Recommended.read(listing, files), try texts(entry.field("recommended")), name)
        }
    }

    private func texts(_ values: JSON) throws -> [String: String] {
        let members = try XCTUnwrap(values.members)
        return Dictionary(uniqueKeysWithValues: try members.map { ($0.name, try XCTUnwrap($0.value.string)) })
    }

    func testWhatIsShownFollowsTheThresholdsUnlessAScoreIsGiven() throws {
        for entry in try Vectors.cases("shown") {
            let file = ModelFile(
                path: "model.tflite", format: "tflite", precision: "float32", face: "", bytes: 0, sha256: "",
                thresholds: try entry.field("thresholds").array?.compactMap(\.number))
            let least = try entry.field("least").number.map { Float($0) }
            let scores = try entry.list("scores").map { Float(try XCTUnwrap($0.number)) }
            let labels = try entry.list("labels").map { try XCTUnwrap($0.integer) }
            let shown = scores.indices.filter { file.shows(labels[$0], score: scores[$0], minScore: least) }
            XCTAssertEqual(shown, try entry.list("shown").map { try XCTUnwrap($0.integer) })
        }
    }

    private func checkGolden(_ bundle: ModelBundle, _ file: ModelFile, _ wanted: JSON) throws {
        let golden = try bundle.golden(file), tolerances = try wanted.field("tolerance")
        XCTAssertEqual(golden.runtime, try wanted.text("runtime"))
        XCTAssertEqual(golden.cpu, try tolerances.field("cpu").tolerance())
        XCTAssertEqual(golden.accelerated, try tolerances.field("accelerated").tolerance())
        XCTAssertEqual(golden.cases.count, try wanted.list("cases").count)
        for (made, wanted) in zip(golden.cases, try wanted.list("cases")) {
            XCTAssertEqual(made.isEncoded, try wanted.flag("encoded"))
            let input = try made.input(bundle.spec.input, decode: storedPNG)
            XCTAssertEqual(SHA256.hex(input.pixels), try wanted.text("image_sha256"))
            XCTAssertEqual(made.cut, Float(try wanted.real("cut")))
            let sides = try wanted.floats("boxes_xyxy"), scores = try wanted.floats("scores")
            XCTAssertEqual(made.expected.count, scores.count)
            for (row, found) in made.expected.enumerated() {
                XCTAssertEqual(found.box, box(sides, row))
                XCTAssertEqual(found.score, scores[row])
                XCTAssertEqual(found.classIndex, try wanted.list("classes")[row].integer)
            }
        }
    }

    func testListsOfChecksumsAreReadStrictly() throws {
        for entry in try Vectors.cases("sums") {
            let text = try entry.text("text")
            guard let wanted = try entry.field("sums").members else {
                assertRefused(text) { _ = try ChecksumList(text.utf8) }
                continue
            }
            let found = try ChecksumList(text.utf8).checksums
            XCTAssertEqual(found, Dictionary(uniqueKeysWithValues: wanted.map { ($0.name, $0.value.string ?? "") }))
        }
        assertRefused { _ = try ChecksumList([UInt8](repeating: 0xFF, count: 70)) }
    }

    func testGoldenFilesAreReadStrictly() throws {
        let good = try ModelBundle(at: Vectors.bundles.appendingPathComponent("good"))
        let folder = try temporaryFolder(for: self).appendingPathComponent("golden")
        try FileManager.default.copyItem(at: good.root.appendingPathComponent("golden"), to: folder)
        let reader = GoldenReader(folder: folder, spec: good.spec, bundle: "good")
        for entry in try Vectors.cases("golden") {
            try Data(entry.text("text").utf8).write(to: folder.appendingPathComponent("golden.json"))
            let read = { try reader.read(Set(good.files.map(\.path))) }
            if try entry.flag("valid") {
                XCTAssertEqual(try read().count, 2)
            } else {
                assertRefused(try entry.text("problem")) { _ = try read() }
            }
        }
    }

    func testFileIsChosenAsInPython() throws {
        let bundle = try ModelBundle(at: Vectors.bundles.appendingPathComponent("good"))
        XCTAssertEqual(try bundle.file().path, "model.float16.mlpackage")
        XCTAssertEqual(try bundle.file(formats: ["tflite"]).path, "model.float32.tflite")
        XCTAssertEqual(try bundle.file(formats: ["coreai", "coreml"]).path, "model.float16.mlpackage")
        XCTAssertEqual(try bundle.file(formats: ["coreai", "tflite", "coreml"]).path, "model.float32.tflite")
        XCTAssertEqual(try bundle.file("float32").path, "model.float32.tflite")
        XCTAssertEqual(try bundle.file("model.float32.tflite").path, "model.float32.tflite")
        assertRefused { _ = try bundle.file("int4") }
    }

    func testLinksInAFolderAreRefused() throws {
        let folder = try temporaryFolder(for: self).appendingPathComponent("good")
        try FileManager.default.copyItem(at: Vectors.bundles.appendingPathComponent("good"), to: folder)
        _ = try ModelBundle(at: folder)
        let model = folder.appendingPathComponent("model.float32.tflite")
        let outside = folder.deletingLastPathComponent().appendingPathComponent("outside")
        try FileManager.default.moveItem(at: model, to: outside)
        try FileManager.default.createSymbolicLink(at: model, withDestinationURL: outside)
        assertRefused { _ = try ModelBundle(at: folder) }
        assertRefused { _ = try ModelBundle(at: folder.appendingPathComponent("nothing")) }
    }

    func testEveryChangedByteOfAZipIsNoticedOrHarmless() throws {
        let content = [UInt8](try Data(contentsOf: Vectors.bundles.appendingPathComponent("deflated.zip")))
        let sound = try ModelBundle(at: Vectors.bundles.appendingPathComponent("deflated.zip")).sha256
        let url = try temporaryFolder(for: self).appendingPathComponent("changed.zip")
        for position in stride(from: 0, to: content.count, by: 7) {
            var changed = content
            changed[position] ^= 0x5A
            try Data(changed).write(to: url)
            do {
                let opened = try ModelBundle(at: url)
                XCTAssertEqual(opened.sha256, sound, "byte \(position)")
            } catch {
                XCTAssert(error is MobileDetError, "byte \(position): \(error)")
            }
        }
    }
}
