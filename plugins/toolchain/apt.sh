# Sourced. Packages of Debian, unpacked into .toolchain: apt resolves, verifies and
# downloads with private directories, and dpkg only unpacks, so that nothing is
# installed on the machine.
#
# Before anything is called these are set: `suites`, `packages`, `work` (a folder
# of this run's own) and `advice` (what to run without these packages).
# WASM_DEBIAN_MIRROR names a mirror where the machine's own apt sources have none.

# Mirrors of the machine's own sources, those that look like Debian's archive
# first. A wrong one does no harm: its signature will not be Debian's.
mirrors() {
  if [ -n "${WASM_DEBIAN_MIRROR:-}" ]; then echo "$WASM_DEBIAN_MIRROR"; return; fi
  local codename
  codename="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")"
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v own="$codename" '
      $1 == "main" && ($2 == own || $2 ~ /^(stable|testing|unstable|sid|forky|trixie)$/) && !seen[$3]++ {
        if ($3 ~ /\/debian\/?$/) print 0, $3; else print 1, $3
      }' | sort -s -k1,1 | cut -d' ' -f2
}

keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    [ -r "$file" ] && { echo "$file"; return; }
  done
  fail "Debian's keyring is missing, so nothing of Debian could be verified. Run:" \
    "sudo apt-get install -y debian-archive-keyring"
}

# apt with nothing of the machine but its proxy settings. The trust settings are
# spelt out, for a machine may have relaxed its own.
private_apt() {
  apt-get -qq \
    -o Dir::State="$work/state" -o Dir::State::status="$work/status" \
    -o Dir::Cache="$work/cache" \
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::Log="$work" \
    -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)" \
    -o APT::Update::Error-Mode=any -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o APT::Get::AllowUnauthenticated=false \
    -o Acquire::AllowInsecureRepositories=false \
    -o Acquire::AllowWeakRepositories=false \
    -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    "$@"
}

# One mirror and suite: the index, then the packages and what they need.
download() {
  local mirror="$1" suite="$2"
  say "Debian $suite, from $mirror"
  rm -rf "$work/state"
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
  : >"$work/status"
  echo "deb [signed-by=$signed_by] $mirror $suite main" >"$work/sources.list"
  private_apt update || return 1
  # shellcheck disable=SC2086
  private_apt --yes --download-only install $packages || return 1
  # What an interrupted run or another suite left behind is not of this set.
  private_apt autoclean >/dev/null
}

download_any() {
  local mirror suite
  for mirror in $(mirrors); do
    for suite in $suites; do
      download "$mirror" "$suite" && return 0
    done
  done
  fail "Debian's packages could not be fetched (the reason is above; WASM_DEBIAN_MIRROR names another mirror). Without them, run:" "$advice"
}

# Documents, manuals and the host's own linker scripts are not wanted.
unpack() {
  local package
  rm -rf "$work/root" && mkdir -p "$work/root"
  for package in "$work"/cache/archives/*.deb; do
    dpkg -x "$package" "$work/root"
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
  [ -n "$loader" ] && [ "$libraries" != . ] ||
    fail "Debian's packages do not hold what is expected of them. Run:" "$advice"
  mkdir -p "$work/root/launch"
}

need_apt() {
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "$1" "$advice"
}

# All of it: download, verify, unpack into $work/root.
fetch_packages() {
  architecture="$(dpkg --print-architecture)"
  signed_by="$(keyring)"
  download_any
  say "unpacking $(ls "$work"/cache/archives/*.deb | wc -l) packages"
  unpack
}
