#!/usr/bin/env bash
# unpack_adbd.sh ROOT: unpack Debian's adbd, mksh, which is Android's shell, and busybox into the folder ROOT. Nothing
# of this machine changes: apt gets sources and state folders of its own, and dpkg only unpacks. The mirror is the one
# that this machine's apt takes Debian from; only the name of the release is another.
set -euo pipefail

root=$1
release=trixie  # the first one with a package adbd
work=$root/apt
[ -e "$root/done" ] && exit 0

own=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk -v own="$own" '$2 == own && $3 == "main" { print $1; exit }')
[ -n "$mirror" ] || { echo "apt has no source of Debian $own here, so no mirror to take adbd from" >&2; exit 1; }

mkdir -p "$work"/{lists/partial,cache/archives/partial}
: >"$work/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$work/sources.list"
options=(-qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
    -o Dir::Cache::archives="$work/cache/archives" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
apt-get "${options[@]}" install --download-only --yes --no-install-recommends adbd mksh busybox-static
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
done
rm -r "$work"
for folder in bin sbin lib lib64; do
    ln -s "usr/$folder" "$root/$folder"
done
ln -s mksh "$root/usr/bin/sh"
mkdir -p "$root"/{proc,dev,tmp}
for command in $("$root/usr/bin/busybox" --list); do
    [ -e "$root/usr/bin/$command" ] || ln -s busybox "$root/usr/bin/$command"
done
touch "$root/done"
