#!/usr/bin/env bash
# Swift for the checks of this folder. An installed Swift 6 is used; otherwise Debian's compiler
# (package swiftlang of trixie) is unpacked into a private root that nothing else on the machine sees.
#
#   toolchain.sh install              download and unpack, once (about 0.6 GB to download, 2.6 GB on disk)
#   toolchain.sh run COMMAND...       run a command with Swift on its PATH, in the current folder
#   toolchain.sh where                the folder that holds the root and the build products
#
# MOBILEDET_SWIFT_CACHE is used instead of ~/.cache/mobiledet/swift. The mirror is that of the machine's apt
# configuration with another suite name; the packages are verified with Debian's keyring. Needs Linux with apt, dpkg
# and unshare; a user who is not root needs user namespaces.
#
# Exit status 3, after one line: Swift cannot be had here.
set -euo pipefail

SUITE=trixie
# beside Swift: a shell, headers to link with, and the image libraries of the agent that Checks/ runs
PACKAGES="swiftlang bash coreutils mount libc6-dev libstdc++-14-dev zlib1g-dev libturbojpeg0-dev libpng-dev"
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${MOBILEDET_SWIFT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mobiledet/swift}
root=$cache/root-$SUITE

DOWNLOAD_SECONDS=600

fail() { echo "toolchain.sh: $*" >&2; exit 2; }

unavailable() { echo "ios: nothing is checked: $*" >&2; exit 3; }

host_swift() { [ -z "${MOBILEDET_SWIFT_PRIVATE:-}" ] && command -v swift >/dev/null && swift --version 2>&1 | grep -qE 'Swift version ([6-9]|[1-9][0-9])\.'; }

complete() { [ "$(cat "$root/.complete" 2>/dev/null)" = "$PACKAGES" ]; }

# The machine's first plain Debian source: not a point release's updates, nor the security archive.
mirror() {
  apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)' |
    awk '$1 == "Packages" && $2 == "main" && $3 !~ /[-\/]/ && $4 ~ /\/debian\/?$/ && !found { print $4; found = 1 }'
}

install() {
  complete && return
  for program in apt-get dpkg-deb unshare flock; do
    command -v "$program" >/dev/null || unavailable "$program is missing; install Swift 6 itself instead"
  done
  unshare --map-root-user --mount -- true 2>/dev/null || unavailable "this user may not unshare; install Swift 6 itself instead"
  mkdir -p "$cache"
  exec 5>"$cache/.lock"
  flock 5
  complete && return
  local uri state=$cache/apt
  uri=$(mirror)
  [ -n "$uri" ] || unavailable "apt knows no Debian mirror (apt-get indextargets lists none); install Swift 6 itself instead"
  rm -rf "$root" "$state"
  mkdir -p "$root" "$state"/{lists/partial,archives/partial}
  : >"$state/status"
  echo "deb [signed-by=$KEYRING] $uri $SUITE main" >"$state/sources.list"
  local apt=(apt-get -qq -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" -o Dir::Cache::archives="$state/archives"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User= -o APT::Install-Recommends=false
    -o APT::Keep-Downloaded-Packages=true -o Debug::NoLocking=true)
  echo "downloading Swift from Debian $SUITE (0.6 GB) ..." >&2
  # shellcheck disable=SC2086
  { timeout "$DOWNLOAD_SECONDS" "${apt[@]}" update &&
    timeout "$DOWNLOAD_SECONDS" "${apt[@]}" --download-only --yes install $PACKAGES; } >"$state/log" 2>&1 ||
    unavailable "Swift cannot be downloaded: $(grep -m1 '^[EW]:' "$state/log" || echo "not in $DOWNLOAD_SECONDS seconds")"
  echo "unpacking into $root (2.6 GB) ..." >&2
  # a merged /usr, as Debian's tools make it before unpacking
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  for package in "$state"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --no-same-owner --keep-directory-symlink -C "$root"
  done
  mkdir -p "$root"/{proc,dev,tmp}
  ln -s bash "$root/usr/bin/sh"
  rm -rf "$state"
  echo "$PACKAGES" >"$root/.complete"
}

# The tree is mounted at its own path, so that messages name real files; build products are in the cache.
run() {
  [ $# -gt 0 ] || fail "run needs a command"
  if host_swift; then exec env MOBILEDET_CHECKS=1 "$@"; fi
  complete || fail "Swift is not installed; run $0 install"
  local tree
  tree=$(git -C "$PWD" rev-parse --show-toplevel 2>/dev/null || pwd)
  mkdir -p "$root$tree" "$root$cache"
  # shellcheck disable=SC2016
  exec unshare --map-root-user --mount -- /bin/sh -c '
    set -e
    root=$1 tree=$2 cache=$3 here=$4
    shift 4
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /tmp "$root/tmp"
    mount --bind "$tree" "$root$tree"
    mount --bind "$cache" "$root$cache"
    exec chroot "$root" /usr/bin/env -i HOME=/tmp PATH=/usr/libexec/swift/bin:/usr/bin LANG=C.UTF-8 \
        TERM="${TERM:-dumb}" MOBILEDET_CHECKS=1 \
      /bin/bash -c "cd \"\$1\" && shift && exec \"\$@\"" bash "$here" "$@"
  ' sh "$root" "$tree" "$cache" "$PWD" "$@"
}

case ${1:-} in
  install) host_swift || install ;;
  run) shift; run "$@" ;;
  where) echo "$cache" ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
