# Sourced, after say.sh. Packages of the machine's own distribution: installed as root
# with apt, else named, so that whoever may install them can.

as_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# The package lists of a container image are empty. What the packages' scripts
# chatter about is shown only where it failed.
apt_install() {
  local log="$private/apt.log"
  mkdir -p "$private"
  if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; then
    apt-get -qq update || return 1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" \
    >"$log" 2>&1 </dev/null || { cat "$log" >&2; return 1; }
}

# The command that installs packages, which are named as Debian and Ubuntu do; Fedora
# and its kin have names of their own for some.
install_command() {
  local package names=()
  if command -v apt-get >/dev/null || ! command -v dnf >/dev/null; then
    echo "sudo apt-get install -y $*"
    return
  fi
  for package in "$@"; do
    case "$package" in
      build-essential) names+=(gcc gcc-c++) ;;
      libclang-dev) names+=(clang-devel) ;;
      postgresql) names+=(postgresql-server) ;;
      python3-venv) names+=(python3 python3-pip) ;;
      nghttp2-client) names+=(nghttp2) ;;
      redis-server) names+=(redis) ;;
      *) names+=("$package") ;;
    esac
  done
  echo "sudo dnf install -y ${names[*]}"
}

# A program that only tests want and that cannot be had here is noted, with its package,
# and `tell` says all of them at once; the tests that want it are left out by name.
miss() {
  mkdir -p "$private/missing"
  printf '%s\n' "$2" >"$private/missing/$1"
}

have() { rm -f "$private/missing/$1"; }

# A Python that runs what the tests want of it: 3.11 or later, with what makes an
# environment, which Debian packages for itself.
find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  return 1
}

# Where python3 is older, the distribution may have a newer one beside it.
python_package() {
  if python3 -c 'import sys; sys.exit(sys.version_info >= (3, 11))' 2>/dev/null; then
    echo python3.11-venv
  else
    echo python3-venv
  fi
}
