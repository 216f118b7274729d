# Sourced. `choose_toolchain TARGET` makes sure that a component can be built
# for that target and exports what cargo wants to know for it. In this order: a
# target that the machine's Rust has, `rustup target add`, Debian's packages in
# .toolchain. WASM_TOOLCHAIN=debian goes straight to the last.

here="$(dirname "${BASH_SOURCE[0]}")"
. "$here/say.sh"

linker_version=0.5.31
component_version=0.21.1

# Whether the machine's rustc can make a program for the target: having its
# libraries is not enough, a linker belongs to it.
builds() {
  local probe works=1
  probe="$(mktemp -d)"
  echo 'fn main() {}' >"$probe/probe.rs"
  rustc --target "$1" -o "$probe/probe.wasm" "$probe/probe.rs" >/dev/null 2>&1 && works=0
  rm -rf "$probe"
  return "$works"
}

add_with_rustup() {
  command -v rustup >/dev/null || return 1
  say "adding the target $1 with rustup"
  rustup target add "$1" || { say "rustup could not add it; trying Debian"; return 1; }
  builds "$1"
}

# A tool of the crate registry, compiled into .toolchain/bin: once, and again
# when the version that is wanted here changes.
install_tool() {
  local name="$1" version="$2" profile="$3" manifest="$private/.crates.toml"
  grep -q "^\"$name $version " "$manifest" 2>/dev/null && [ -x "$private/bin/$name" ] && return
  say "compiling $name $version into .toolchain (one to two minutes, once)"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --force --profile "$profile" \
    --root "$private" --target-dir "$private/build" "$name@$version" >&2 ||
    fail "$name could not be compiled (the reason is above)"
  rm -rf "$private/build"
}

use_debian() {
  local launch="$private/debian/launch"
  [ -x "$launch/rustc" ] || "$here/debian"
  hold_lock
  install_tool wasm-component-ld "$linker_version" release
  export RUSTC="$launch/rustc"
  export CARGO_TARGET_WASM32_WASIP1_LINKER="$launch/wasm-ld"
  export CARGO_TARGET_WASM32_WASIP2_LINKER="$private/bin/wasm-component-ld"
  export PATH="$launch:$private/bin:$PATH"
}

# Flags of the host's own build would replace those of the target below. A guest
# needs little stack: Rust's 1 MiB would be its smallest memory.
set_flags() {
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
  export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-arg=-zstack-size=131072"
  export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-Clink-arg=-zstack-size=131072"
}

choose_toolchain() {
  case "${WASM_TOOLCHAIN:-}" in
    debian) use_debian ;;
    "") builds "$1" || add_with_rustup "$1" || use_debian ;;
    *) fail "WASM_TOOLCHAIN may be debian or nothing, not '$WASM_TOOLCHAIN'" ;;
  esac
  set_flags
}
