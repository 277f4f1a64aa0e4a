import XCTest

@testable import MobileDetCore

final class PacingTests: XCTestCase {
    func testFramesAreChosenAsInTheReference() throws {
        let all = try Vectors.cases("pacing")
        XCTAssertGreaterThan(all.count, 10)
        for entry in all {
            var settings = PacerSettings()
            settings.rates = try entry.list("rates").map { try XCTUnwrap($0.number) }
            settings.recoverSeconds = try entry.real("recover_seconds")
            var pacer = FramePacer(settings: settings)
            var notices: [(place: Int, text: String)] = []
            let decisions = try entry.list("decisions").map(\.string), levels = try entry.list("levels").map(\.string)
            for (place, frame) in try entry.list("frames").enumerated() {
                let name = "\(try entry.text("name")), frame \(place)"
                let values = try XCTUnwrap(frame.array)
                if try XCTUnwrap(values[2].bool) { pacer.finish() }
                let decision = pacer.decide(
                    try XCTUnwrap(values[0].integer), thermal: ThermalLevel(named: values[1].string))
                XCTAssertEqual(decision.rawValue, decisions[place], name)
                XCTAssertEqual("\(pacer.level)", levels[place], name)
                if notices.last?.text != pacer.notice { notices.append((place, pacer.notice)) }
            }
            let expected = try entry.list("notices").map { try XCTUnwrap($0.array) }
            XCTAssertEqual(notices.map(\.place), expected.map { $0[0].integer })
            XCTAssertEqual(notices.map(\.text), expected.map { $0[1].string })
            for (decision, count) in pacer.counts {
                XCTAssertEqual(count, try entry.field("counts").whole(decision.rawValue), decision.rawValue)
            }
        }
    }

    func testSettingsHaveBounds() {
        XCTAssert(PacerSettings().areValid)
        for rates in [[30.0], [0, 0, 0, 0], [30, 31, 1, 1], [2000, 1, 1, 1]] {
            var settings = PacerSettings()
            settings.rates = rates
            XCTAssertFalse(settings.areValid, "\(rates)")
        }
        for seconds in [-1, Double.nan, 4000] {
            var settings = PacerSettings()
            settings.recoverSeconds = seconds
            XCTAssertFalse(settings.areValid, "\(seconds)")
        }
    }
}
