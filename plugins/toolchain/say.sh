# Sourced by the scripts beside it: where things lie, and how a script speaks.
# Everything is said on stderr, so that stdout stays free for answers.

checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# Private to this checkout and git-ignored; deleting it costs a download.
private="$checkout/.toolchain"

say() { printf '  %s\n' "$*" >&2; }

# What went wrong first, then the one command to run, alone on its line.
fail() {
  printf 'error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '\n    %s\n\n' "$2" >&2
  exit 1
}

# One step at a time in one checkout; where there is no flock, make does not
# run these in parallel either.
hold_lock() {
  mkdir -p "$private"
  command -v flock >/dev/null || return 0
  exec 9>"$private/lock"
  flock -n 9 || { say "waiting for another run in this checkout"; flock 9; }
}

# Whether one version is at least the other: `1.95 1.9` is so.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
