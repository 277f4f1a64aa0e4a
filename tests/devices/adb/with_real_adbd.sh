#!/usr/bin/env bash
# with_real_adbd.sh ROOT COMMAND...: run tests in a network namespace of their own, with Debian's adbd in the folder ROOT.
# adbd listens on every address without asking who connects, so nothing outside may reach it. Needs root.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "the real adbd needs root, for a network namespace and chroot" >&2; exit 2; }

root=$(realpath -m "$1")
shift
"$(dirname "${BASH_SOURCE[0]}")/unpack_adbd.sh" "$root"
export MOBILEDET_ADBD_ROOT=$root
exec unshare --net --mount bash -euc '
    "$MOBILEDET_ADBD_ROOT/usr/bin/busybox" ip link set lo up
    mount -t proc proc "$MOBILEDET_ADBD_ROOT/proc"
    mount --rbind /dev "$MOBILEDET_ADBD_ROOT/dev"
    exec "$@"' bash "$@"
