#!/usr/bin/env bash
# Type-check the code for Apple's systems on Linux in Swift 6 mode, against the doubles in this folder.
#
#   check.sh MODULES     MODULES: where `swift build` left MobileDetCore.swiftmodule
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
ios=$PWD/../..
modules=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags=(-swift-version 6 -I "$out" -I "$modules" -Xcc "-fmodule-map-file=$modules/../CZlib.build/module.modulemap")
# up to SIL, where data races are found; -typecheck would stop before
strict=(-warnings-as-errors -parse-as-library -wmo -emit-sil -o /dev/null)
# each may import those before it
frameworks=(CryptoKit CoreGraphics CoreVideo ImageIO CoreML CoreAI Vision Combine UIKit AVFoundation SwiftUI PhotosUI)
for name in "${frameworks[@]}"; do
  swiftc "${flags[@]}" -parse-as-library -emit-module -module-name "$name" \
    -emit-module-path "$out/$name.swiftmodule" "$name.swift"
done
kit=(Darwin.swift "$ios"/Sources/MobileDetKit/*.swift "$ios"/Sources/MobileDetKit/*/*.swift)
swiftc "${flags[@]}" "${strict[@]}" "${kit[@]}"
# compiling only the module would skip function bodies
swiftc "${flags[@]}" -enable-testing -emit-module -module-name MobileDetKit \
  -emit-module-path "$out/MobileDetKit.swiftmodule" "${kit[@]}"
swiftc "${flags[@]}" "${strict[@]}" "$ios"/Tests/MobileDetKitTests/*.swift
swiftc "${flags[@]}" "${strict[@]}" "$ios"/App/Sources/*.swift
# every block of Swift in the documentation, each for itself as it stands there; statements are put into a function
count=0
compile_block() {
  local file=$out/block$((count += 1)).swift
  if [[ $'\n'$body == *$'\nstruct '* ]]; then
    printf '%s\n%s' "$imports" "$body" >"$file"
  else
    printf '%simport UIKit\n@MainActor func example(image: UIImage, detector: Detector) async throws {\n%s}\n' \
      "$imports" "$body" >"$file"
  fi
  swiftc "${flags[@]}" "${strict[@]}" "$file" || { echo "the block does not compile:" && cat "$file" && exit 1; } >&2
}
for page in "$ios/README.md" "$ios/../../docs/ios.md"; do
  inside=
  while IFS= read -r line; do
    case $line in
      '```swift') inside=yes imports='' body='' ;;
      '```') [ -z "$inside" ] || compile_block && inside= ;;
      import*) imports+=$line$'\n' ;;
      *) [ -z "$inside" ] || body+=$line$'\n' ;;
    esac
  done <"$page"
done
[ "$count" -ge 4 ] || { echo "only $count blocks of Swift found in the documentation" >&2 && exit 1; }
