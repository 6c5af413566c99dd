# shellcheck shell=bash
# What the scripts share. Source it first; it moves to the root of the source tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Folder that holds torch/ and nvidia/ of the unpacked wheels; CMakeLists.txt has the same default.
HALCYON_LIBTORCH_DIR=${HALCYON_LIBTORCH_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/halcyon/libtorch-2.11.0}
export HALCYON_LIBTORCH_DIR

log() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# run_quietly LABEL COMMAND...: hides the command's output but prints its last line every 10 seconds;
# shows its end when the command fails, and returns the command's status.
run_quietly() {
  local label=$1 started=$SECONDS status=0 log heartbeat
  shift
  log=$(mktemp)
  log "$label ..."
  # The output of sleep is detached so that a reader of our output need not wait for its end.
  while sleep 10 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    log "  $((SECONDS - started)) s: $(tr '\r' '\n' <"$log" | grep -v '^ *$' | tail -n 1 | cut -c 1-90)"
  done &
  heartbeat=$!
  "$@" >"$log" 2>&1 || status=$?
  kill "$heartbeat" 2>/dev/null || true
  wait "$heartbeat" 2>/dev/null || true
  if ((status != 0)); then
    tail -n 30 "$log" >&2
  else
    log "$label: done in $((SECONDS - started)) s"
  fi
  rm -f "$log"
  return "$status"
}

# become_root PURPOSE: sets `as_root` to what must precede a command to run it as root, or fails. Not
# within run_quietly, which would hide the question for a password.
become_root() {
  as_root=()
  if ((EUID == 0)); then return; fi
  command -v sudo >/dev/null || fail "$1 needs root: run this as root, or install sudo"
  sudo -v || fail "$1 needs root, and sudo does not give it"
  as_root=(sudo)
}

apt_update() {
  become_root "apt-get update"
  run_quietly "refreshing the package lists (apt-get update)" \
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update ||
    fail "apt-get update failed: check the network and /etc/apt/sources.list, then run this again"
}
