#!/usr/bin/env bash
# Type-check the code for Apple's systems on Linux, against the doubles in this folder.
#
#   check.sh MODULES     MODULES: where `swift build` left MobileDetCore.swiftmodule
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
modules=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags=(-swift-version 5 -I "$out" -I "$modules" -Xcc "-fmodule-map-file=$modules/../CZlib.build/module.modulemap")
strict=(-warnings-as-errors -typecheck)
# each may import those before it
for name in CryptoKit CoreGraphics CoreVideo ImageIO CoreML CoreAI Vision Combine UIKit AVFoundation SwiftUI PhotosUI; do
  swiftc "${flags[@]}" -emit-module -module-name "$name" -emit-module-path "$out/$name.swiftmodule" "$name.swift"
done
kit=(Darwin.swift ../../Sources/MobileDetKit/*.swift)
swiftc "${flags[@]}" "${strict[@]}" "${kit[@]}"
# compiling only the module would skip function bodies
swiftc "${flags[@]}" -enable-testing -emit-module -module-name MobileDetKit \
  -emit-module-path "$out/MobileDetKit.swiftmodule" "${kit[@]}"
swiftc "${flags[@]}" "${strict[@]}" ../../Tests/MobileDetKitTests/*.swift
swiftc "${flags[@]}" "${strict[@]}" ../../App/Sources/*.swift
# the example code of the README
inside=
while IFS= read -r line; do
  case $line in
    '```swift') inside=yes ;;
    '```') inside= ;;
    import*) echo "$line; import CoreGraphics; func readme(image: (cgImage: CGImage?, Int)) async throws {" ;;
    *) [ -z "$inside" ] || echo "$line" ;;
  esac
done <../../README.md >"$out/README.swift"
echo '}' >>"$out/README.swift"
swiftc "${flags[@]}" "${strict[@]}" "$out/README.swift"
