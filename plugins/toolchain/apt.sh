# Sourced. Packages of Debian, or of the machine's own distribution, unpacked into
# .toolchain: apt resolves, verifies and downloads with private directories, and dpkg
# only unpacks, so that nothing is installed on the machine.
#
# Before anything is called these are set: `suites`, `packages` and `work` (a folder of
# this run's own). WASM_DEBIAN_MIRROR names a mirror where the machine's own apt sources
# have none of Debian's archive.

# Mirrors of Debian's archive among the machine's own sources: what is called so, and on
# Debian every one that has its suites. A wrong one does no harm: its signature will not
# be Debian's.
mirrors() {
  if [ -n "${WASM_DEBIAN_MIRROR:-}" ]; then echo "$WASM_DEBIAN_MIRROR"; return; fi
  local distribution
  distribution="$(. /etc/os-release && echo "${ID:-} ${VERSION_CODENAME:-}")"
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v distribution="$distribution" '
      BEGIN { split(distribution, of, " ") }
      $1 != "main" || seen[$3] { next }
      $3 ~ /\/debian\/?$/ { seen[$3] = 1; print 0, $3; next }
      of[1] == "debian" && ($2 == of[2] || $2 ~ /^(stable|testing|unstable|sid|forky|trixie)$/) {
        seen[$3] = 1; print 1, $3
      }' | sort -s -k1,1 | cut -d' ' -f2
}

# Debian's keyring: the machine's, or of the package that Ubuntu has of it, too, and
# verifies as any other.
keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp} \
    "$work"/keyring/usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    [ -r "$file" ] && { echo "$file"; return; }
  done
  return 1
}

fetch_keyring() {
  ! keyring >/dev/null || return 0
  say "fetching Debian's keyring from this machine's own apt sources"
  rm -rf "$work/keyring" && mkdir -p "$work/keyring" || return 1
  (cd "$work/keyring" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download debian-archive-keyring) >&2 || return 1
  dpkg -x "$work"/keyring/debian-archive-keyring_*.deb "$work/keyring" && keyring >/dev/null
}

# apt with nothing of the machine but its proxy settings and, where `sources` says so,
# its sources. The trust settings are spelt out, for a machine may have relaxed its own.
private_apt() {
  apt-get -qq \
    -o Dir::State="$work/state" -o Dir::State::status="$work/status" \
    -o Dir::Cache="$work/cache" "${sources[@]}" \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::Log="$work" \
    -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o APT::Get::AllowUnauthenticated=false \
    -o Acquire::AllowInsecureRepositories=false \
    -o Acquire::AllowWeakRepositories=false \
    -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    "$@"
}

# The packages and what they need, of the index that `private_apt update` brings.
download() {
  rm -rf "$work/state"
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
  : >"$work/status"
  private_apt update || [ "$1" = own ] || return 1
  # shellcheck disable=SC2086
  private_apt --yes --download-only install $packages || return 1
  # What an interrupted run or another suite left behind is not of this set.
  private_apt autoclean >/dev/null
}

download_debian() {
  local mirror suite signed_by
  fetch_keyring || { say "Debian's keyring is not available, so packages of Debian cannot be verified"; return 1; }
  signed_by="$(keyring)"
  sources=(-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o APT::Update::Error-Mode=any)
  for mirror in $(mirrors); do
    for suite in $suites; do
      say "Debian $suite, from $mirror"
      echo "deb [signed-by=$signed_by] $mirror $suite main" >"$work/sources.list"
      download debian && return 0
    done
  done
  say "Debian's packages could not be fetched; WASM_DEBIAN_MIRROR names another mirror"
  return 1
}

# The same of the machine's own distribution, with the sources and keys that it trusts.
# One of them that cannot be reached keeps the others from nothing.
download_own() {
  sources=()
  say "from this machine's own apt sources"
  download own
}

# Documents, manuals and the host's own linker scripts are not wanted. What older
# packages have beside /usr belongs into it.
unpack() {
  local package folder
  rm -rf "$work/root" && mkdir -p "$work/root" || return 1
  for package in "$work"/cache/archives/*.deb; do
    dpkg -x "$package" "$work/root" || return 1
  done
  for folder in lib lib64; do
    [ -d "$work/root/$folder" ] && [ ! -L "$work/root/$folder" ] || continue
    mkdir -p "$work/root/usr/$folder" && cp -a "$work/root/$folder/." "$work/root/usr/$folder/" || return 1
  done
  rm -rf "$work/root/usr/share"
}

# What is unpacked starts through the unpacked folder's own loader and libraries,
# for the machine's C library may be older. The launchers find everything from
# where they lie, so the checkout can be moved.
write_launcher() {
  local name="$1" program="$2" arguments="$3"
  cat >"$work/root/launch/$name" <<LAUNCHER
#!/bin/sh
root="\$(cd "\$(dirname "\$0")/.." && pwd)"
exec "\$root/$loader" --library-path "\$root/$libraries" --argv0 $name "\$root/$program" $arguments "\$@"
LAUNCHER
  chmod +x "$work/root/launch/$name"
}

inside_root() { (cd "$work/root" && find usr -path "$1" | sort | tail -n 1); }

# Where the unpacked loader and libraries lie, for the launchers.
find_loader() {
  loader="$(inside_root 'usr/lib*/ld-linux-*.so.*')"
  libraries="$(dirname "$(inside_root 'usr/lib/*/libc.so.6')")"
  [ -n "$loader" ] && [ "$libraries" != . ] || return 1
  mkdir -p "$work/root/launch"
}

has_apt() { command -v apt-get >/dev/null && command -v dpkg >/dev/null; }

# All of it: download from the first that has it (`debian`, `own`), verify, unpack into
# $work/root.
fetch_packages() {
  local from
  architecture="$(dpkg --print-architecture)"
  mkdir -p "$work"
  for from in "$@"; do
    if "download_$from"; then
      say "unpacking $(find "$work/cache/archives" -name '*.deb' | wc -l) packages"
      unpack
      return
    fi
  done
  return 1
}
