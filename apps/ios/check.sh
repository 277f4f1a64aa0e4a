#!/usr/bin/env bash
# Compile apps/ios and run everything that works without Apple's systems; `make test-ios` calls this. On a Mac the Core ML part is
# compiled and tested too. PYTHON is the interpreter in which mobiledet is installed. With --only core: format, unit tests and
# vectors. Exit status 3, after one line: Swift cannot be had here.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$(command -v "${PYTHON:-python3}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
strict=()
[ "$(uname)" = Linux ] && strict=(-Xswiftc -warnings-as-errors)  # other compilers warn of other things
cd "$here"
swift() { ./toolchain.sh run swift "$@" --scratch-path "$(./toolchain.sh where)/build" ${strict[@]+"${strict[@]}"}; }

./toolchain.sh install
if [ "$(uname)" = Darwin ]; then
  swift test
  echo "ios: the package's tests pass; the agent's conformance and faults are tested on Linux"
  exit
fi
echo "ios: format"
./toolchain.sh run swift-format lint --strict --configuration .swift-format --recursive App Checks Sources Tests \
  ../../Package.swift
echo "ios: the package by URL"
./toolchain.sh run swift package --scratch-path "$(./toolchain.sh where)/build" dump-package |
  "$python" Checks/package_rules.py ../../.spi.yml
echo "ios: unit tests and vectors"
swift test --disable-swift-testing
if [ "${1:-} ${2:-}" = "--only core" ]; then exit; fi
echo "ios: what needs Apple's systems: parsed, its types checked against doubles"
./toolchain.sh run swiftc -frontend -parse -swift-version 6 Sources/MacAgent/*.swift
./toolchain.sh run Checks/AppleStubs/check.sh "$(swift build --show-bin-path)/Modules"
echo "ios: the agent, with a device that replays recorded outputs"
swift build --configuration release --product replay-agent
agent=$(swift build --configuration release --show-bin-path)/replay-agent
cd ../..
MOBILEDET_REPLAY_AGENT="$here/toolchain.sh run $agent" "$python" -m pytest -q tests/devices/agent/test_replay_agents.py
echo "ios: all checks pass"
