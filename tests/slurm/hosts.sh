#!/usr/bin/env bash
# Jobs whose ranks and agents run on two hosts, reached by an rsh agent, and what goes wrong with these: each
# ends with the weights of an undisturbed run on one machine, byte for byte, and leaves nothing running.
#
#   SLURM=0 tests/slurm/cluster.sh run tests/slurm/hosts.sh BIN [CASE...]
#
# BIN: the folder of halcyon and halcyon-worker. CASE: some of those below; all without one. Exit status 0: all
# held.
set -euo pipefail

bin=$(readlink -f "${1:?the folder of halcyon and halcyon-worker}")
here=$(dirname "$(readlink -f "$0")")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# shellcheck source=tests/slurm/job.sh
source "$here/job.sh"
shift

cluster() { "$here/cluster.sh" "$@"; }
cat >"$root/rsh" <<SH
#!/bin/sh
exec $here/cluster.sh at "\$@"
SH
chmod +x "$root/rsh"

corpus >"$root/corpus.txt"
steps=600
every=200
wanted=$(undisturbed "$steps")
same_weights() { [[ $(weights_of "$1") == "$wanted" ]]; }
# pid_at HOST PATTERN: of a process there, as its host counts.
pid_at() { cluster at "$1" "pgrep -f '$2' | head -n 1"; }
workers_at() { cluster at "$1" "pgrep -f '[h]alcyon-worker'" >/dev/null 2>&1; }
no_workers() { ! workers_at n1 && ! workers_at n2 && ! pgrep -f '[h]alcyon-worker' >/dev/null; }
# start NAME EXTRA: runs a job of two hosts in the background, until it is held up: $id, $run.
start() {
  job "$1" "$steps" "hosts = [\"n1\", \"n2\"]
rsh_agent = \"$root/rsh\"
$2"
  hold_up "$1"
  again "$1"
  held "$1"
  id=$(only_job "$home")
}
# Not through the function halcyon, for the process that runs is then a shell, which a kill would end instead.
again() {
  "$bin/halcyon" --home "$home" run "$root/$1.toml" --quiet >"$root/$1.out" 2>&1 &
  run=$!
}
# ends_well NAME: the job is done with the right weights, and nothing is left of it.
ends_well() {
  local code=0
  wait "$run" || code=$?
  check "$1: the job is done" test "$code" = 0
  if ((code)); then tail -n 5 "$root/$1.out"; fi
  check "$1: the weights are those of an undisturbed run" same_weights "$id"
  check "$1: nothing is left running" within 20 no_workers
}
why_restarted() { model_of "$id" restart_why; }

undisturbed_case() {
  start undisturbed ""
  check "both hosts have a rank" workers_at n1
  check "both hosts have a rank" workers_at n2
  let_go undisturbed
  ends_well undisturbed
}

killed_rank_case() {
  start killed ""
  cluster at n2 "kill -9 $(pid_at n2 '[h]alcyon-worker rank')"
  let_go killed
  ends_well killed
}

stopped_rank_case() {
  start stopped ""
  cluster at n2 "kill -STOP $(pid_at n2 '[h]alcyon-worker rank')"
  let_go stopped
  ends_well stopped
  check "the reason names the host" grep -q n2 <<<"$(why_restarted)"
}

# The training thread stands still, its process sends heartbeats.
stuck_rank_case() {
  start stuck "hang_floor_s = 2"
  ends_well stuck
  check "the reason names rank and host" grep -q "rank 0 on n1" <<<"$(why_restarted)"
  check "the reason says that it is stuck" grep -q "is stuck in step 300" <<<"$(why_restarted)"
}

power_off_case() {
  start power ""
  cluster off n2
  let_go power
  ends_well power
  cluster boot n2
}

# The hosts cannot reach each other; what runs on the one that is cut off goes on until it notices.
partition_case() {
  start partition "orphan_grace_s = 5"
  cluster cut n2
  let_go partition
  wait "$run" || true
  cluster join n2
  run=$(true & echo $!)
  check "partition: the job is done" test "$(status_of "$id" 'd["state"]')" = done
  check "partition: the weights are those of an undisturbed run" same_weights "$id"
  check "partition: what ran behind the cut has ended" within 60 no_workers
}

killed_coordinator_case() {
  start adopted ""
  kill -9 "$run"
  wait "$run" || true
  again adopted
  check "adopted: the ranks were not started again" within 60 grep -q \
    "the ranks that the earlier coordinator launched go on" "$home/jobs/$id/logs/coordinator.log"
  let_go adopted
  ends_well adopted
}

# Two jobs want the same model; the machine of the one that makes it loses its power.
shared_build_case() {
  job first "$steps" ""
  job second "$steps" ""
  hold_up first
  cluster at n1 "'$bin/halcyon' --home '${home//\'/\'\\\'\'}' run '$root/first.toml' --quiet" >"$root/first.out" 2>&1 &
  local first=$!
  held first
  again second
  check "the second job says whom it waits for" within 60 waits_for_first
  cluster off n1
  wait "$first" || true
  check "who waits for the first job notices that its coordinator is gone" \
    test "$(code_of halcyon wait "$(ls "$home/jobs" | grep first)" --timeout 100)" = 4
  id=$(ls "$home/jobs" | grep second)
  local code=0
  wait "$run" || code=$?
  check "shared: the second job takes over and is done" test "$code" = 0
  check "shared: the weights are those of an undisturbed run" same_weights "$id"
  cluster boot n1
  check "shared: nothing is left running" within 20 no_workers
}
waits_for_first() { halcyon status "$(ls "$home/jobs" | grep second)" 2>/dev/null | grep -q "first-"; }

# The last one: after a cut it takes some seconds until the hosts find each other again.
run_cases undisturbed killed_rank stopped_rank stuck_rank power_off killed_coordinator shared_build partition -- "$@"
((failures == 0))
