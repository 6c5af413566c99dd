# What the scripts of this folder share, which source it: a small job, its state, its weights.
# Before it is sourced, $bin is the folder of halcyon and halcyon-worker, and $root a folder of the script's own.
# $home is the state folder of the case that runs; its name is one that a shell and sbatch would trip over.
# shellcheck shell=bash
failures=0

halcyon() { "$bin/halcyon" --home "$home" "$@"; }
# A script may define show_state, which prints what helps to understand a failure.
check() { # WHAT CONDITION...
  local what=$1
  shift
  if "$@"; then
    echo "ok: $what"
  else
    echo "FAILED: $what"
    failures=$((failures + 1))
    if declare -F show_state >/dev/null; then show_state 2>&1 | sed 's/^/    | /'; fi
  fi
}
# job NAME STEPS EXTRA: a job file whose model stage has so many steps.
job() {
  cat >"$root/$1.toml" <<TOML
name = "$1"
seed = 3
[data]
sources = ["corpus.txt"]
documents = "entries"
heldout = 0.1
shard_bytes = 16384
[tokenizer]
vocab_size = 300
[autoencoder]
latent_size = 8
hidden_size = 32
intermediate_size = 48
[autoencoder.train]
steps = 20
batch = 64
warmup_steps = 2
[model]
hidden_size = 32
intermediate_size = 48
layers = 2
attention_heads = 2
noise_size = 16
window_chunks = 16
samples = 4
[train]
steps = $2
batch = 5
warmup_steps = 2
[checkpoint]
every = ${every:-100000}
[eval]
final_windows = 4
samples = 2
bootstrap = 50
continuations = 0
[launch]
ranks = 2
agents = 2
$3
TOML
}
# status_of JOB EXPRESSION: of the status d; nothing while there is none.
status_of() {
  halcyon status "$1" --json 2>/dev/null |
    python3 -c "import json,sys; t=sys.stdin.read(); d=json.loads(t) if t else None; print($2 if d else '')"
}
# model_of JOB KEY: of the model stage.
model_of() { status_of "$1" "[s.get(\"$2\") for s in d[\"stages\"] if s[\"stage\"]==\"model\"][0]"; }
weights_of() { # JOB_ID HOME
  local home_of=${2:-$home} fingerprint
  fingerprint=$("$bin/halcyon" --home "$home_of" status "$1" --json |
    python3 -c 'import json,sys; print([s["fingerprint"] for s in json.load(sys.stdin)["stages"] if s["stage"]=="model"][0][:16])')
  sha256sum "$home_of/artifacts/model/$fingerprint"/*.safetensors | cut -d' ' -f1
}
# only_job HOME: the id of its one job.
only_job() {
  "$bin/halcyon" --home "$1" list --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["jobs"][0]["job_id"])'
}
# until_step JOB STEP: waits until the model stage has come so far.
until_step() {
  local tries step
  for ((tries = 0; tries < 1200; ++tries)); do
    step=$(model_of "$1" step)
    if [[ ${step:-0} != None && ${step:-0} -ge $2 ]]; then return 0; fi
    sleep 0.1
  done
  echo "job $1 does not come to step $2" >&2
  halcyon status "$1" >&2 || true
  return 1
}
# hold_up NAME: what is started from now on holds its model's training up at step 300, once. held NAME waits until it
# does, let_go NAME has it go on. So a fault comes at the same step however fast the machine is.
hold_up() {
  export HALCYON_FAULT_POINT="rank 0 model step 300@hold" HALCYON_FAULT_MARKER="$root/$1.fault"
}
held() {
  within 240 test -e "$root/$1.fault-0" || check "$1 comes to step 300" false
  unset HALCYON_FAULT_POINT HALCYON_FAULT_MARKER
}
let_go() { touch "$root/$1.fault-0.go"; }
# within SECONDS CONDITION...: waits for it.
within() {
  local tries
  for ((tries = 0; tries < 10 * $1; ++tries)); do
    if "${@:2}"; then return 0; fi
    sleep 0.1
  done
  return 1
}
# run_cases NAMES... -- SOME...: the function NAME_case of each of SOME, or of all NAMES, in a home of its own.
run_cases() {
  local names=() name begun
  while [[ $1 != -- ]]; do
    names+=("$1")
    shift
  done
  shift
  if (($#)); then names=("$@"); fi
  for name in "${names[@]}"; do
    echo "=== ${name//_/ }"
    begun=$SECONDS
    home="$root/a home, it's of $name"
    "${name}_case"
    echo "$((SECONDS - begun)) s"
  done
}
code_of() { local code=0; "$@" >/dev/null 2>&1 || code=$?; echo "$code"; }
corpus() { # the text of all jobs
  local i
  for ((i = 0; i < 700; ++i)); do
    printf '\nword%d, n. [Obs.]\n   the small river of %d stones is %d any kind that carry water for old light\n' \
      "$i" $((i * 7 % 13)) $((i * 31 % 17))
  done
}
# undisturbed STEPS: the weights of a run that nothing happens to, on this machine.
undisturbed() {
  rm -rf "$root/whole"
  mkdir "$root/whole"
  corpus >"$root/whole/corpus.txt"
  job whole "$1" ""
  mv "$root/whole.toml" "$root/whole/"
  "$bin/halcyon" --home "$root/whole/home" run "$root/whole/whole.toml" --quiet 2>/dev/null
  weights_of "$(only_job "$root/whole/home")" "$root/whole/home"
}
