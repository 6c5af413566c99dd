#!/usr/bin/env bash
# Jobs through a real Slurm: over several allocations, preempted, cancelled; the coordinator killed, a rank stopped, a
# node without power.
# Each job that finishes has the weights of an undisturbed run, byte for byte.
#
#   tests/slurm/cluster.sh run tests/slurm/submit.sh BIN [CASE...]
#
# BIN: the folder of halcyon and halcyon-worker. CASE: some of those below; all without one. Exit status 0: all
# held.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
bin=$(readlink -f "${1:?the folder of halcyon and halcyon-worker}")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# shellcheck source=tests/slurm/job.sh
source "$here/job.sh"
shift
submit() { halcyon submit "$root/$1.toml" --launcher slurm --json "${@:2}" |
  python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["job"], d["slurm_job_id"])'; }
# begin NAME EXTRA: submits a job and waits until it is held up: $id, $slurm_id.
begin() {
  job "$1" "$steps" "$2"
  hold_up "$1"
  read -r id slurm_id < <(submit "$1")
  held "$1"
}
show_state() {
  sinfo -N -o "%N %T %E"
  squeue -a
  tail -n 20 "$CLUSTER_DIR/log/slurmctld.log"
  if [[ -z ${id:-} ]]; then return; fi
  halcyon why "$id"
  tail -n 20 "$home/jobs/$id/logs/coordinator.log" "$home/jobs/$id/logs/"slurm-*.log
}
# The job comes to its end, with the right weights.
ends_well() {
  check "${1:-}it ends as done" test "$(code_of halcyon wait "$id" --timeout 400)" = 0
  check "the weights are those of an undisturbed run" same_weights "$id"
}
coordinator_says() { grep -q "$2" "$home/jobs/$1/logs/coordinator.log"; }
# What comes later would be lost on a job that has ended meanwhile.
is_stopping() { check "it is told to stop" within 60 coordinator_says "$id" "stopping: the ranks"; }
log_says() { grep -q "$2" "$home/jobs/$1/logs/"slurm-*.log; }

corpus >"$root/corpus.txt"
steps=600
wanted=$(undisturbed "$steps")
same_weights() { [[ $(weights_of "$1") == "${2:-$wanted}" ]]; }

# A time limit that is shorter than the job.
limit_case() {
  # The job stops 45 s before the limit of a minute.
  begin limit $'stop_margin_s = 45\n[launch.slurm]\ntime = "1"\n'
  check "the status has Slurm's id" test "$(status_of "$id" 'd["submission"]["slurm_job_id"]')" = "$slurm_id"
  check "a second submit is refused" test "$(code_of halcyon submit "$root/limit.toml" --launcher slurm)" = 3
  check "it stops before the limit" within 60 coordinator_says "$id" "stopping: the allocation ends in"
  let_go limit
  ends_well
  requeues=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["requeues"])' \
    "$home/jobs/$id/submission.json")
  check "it took more than one allocation ($((requeues + 1)))" test "$requeues" -ge 1
}

# Preempted: Slurm itself requeues the job.
requeue_case() {
  begin requeue ""
  scontrol requeue "$slurm_id"
  is_stopping
  let_go requeue
  ends_well
  check "it went on in the same Slurm job" log_says "$id" "Slurm requeues job $slurm_id itself"
}

# Cancelled by halcyon, then resumed.
cancel_case() {
  begin cancel ""
  halcyon cancel "$id"
  is_stopping
  let_go cancel
  check "it ends as cancelled" test "$(code_of halcyon wait "$id" --timeout 100)" = 6
  check "what was done is saved" test "$(status_of "$id" '"saved step" in d["error"]')" = True
  check "it is not in Slurm's queue" test -z "$(squeue -h -j "$slurm_id" -t PENDING,RUNNING 2>/dev/null)"
  halcyon resume "$id"
  ends_well "resumed, "
}

# Cancelled by scancel.
scancel_case() {
  begin scancel ""
  scancel "$slurm_id"
  is_stopping
  let_go scancel
  check "it ends as cancelled and does not come back" test "$(code_of halcyon wait "$id" --timeout 100)" = 6
}

# The coordinator is killed in its allocation; slurmctld is away meanwhile.
killed_coordinator_case() {
  begin kill ""
  node=$(status_of "$id" 'd["submission"]["slurm_nodes"]')
  "$here/cluster.sh" controller stop
  # The pid is one of its node.
  "$here/cluster.sh" at "$node" kill -9 "$(status_of "$id" 'd["pid"]')"
  check "list says that Slurm is away" grep -q "Slurm does not answer" <<<"$(halcyon list 2>&1)"
  "$here/cluster.sh" controller start
  let_go kill
  ends_well
  check "it was started again in its allocation" log_says "$id" "started again, 1 of"
}

two_nodes=$'[launch.slurm]\nnodes = 2\nntasks_per_node = 1\n'

# A controller that was killed may take a node for lost after it has come back, and one whose last job does not end
# is drained after a minute.
nodes_are_up() {
  scontrol update NodeName=n1,n2 State=RESUME >/dev/null 2>&1 || true
  (($(sinfo -h -N -n n1,n2 -o %T | grep -c '^idle$') == 2))
}

# A rank on the other node is stopped.
stopped_rank_case() {
  check "both nodes are up" within 150 nodes_are_up
  begin stopped "$two_nodes"
  local other
  other=$(other_node)
  "$here/cluster.sh" at "$other" "kill -STOP \$(pgrep -f '[h]alcyon-worker rank')"
  let_go stopped
  ends_well
  check "the reason names the node" grep -q "$other" <<<"$(model_of "$id" restart_why)"
}
# The node of the allocation where the coordinator does not run.
other_node() { if [[ $(squeue -h -j "$slurm_id" -O BatchHost:20 | tr -d ' ') == n1 ]]; then echo n2; else echo n1; fi; }

# The other node loses its power: Slurm requeues the job, which waits for two nodes.
power_off_case() {
  check "both nodes are up" within 150 nodes_are_up
  begin power "$two_nodes"
  local other
  other=$(other_node)
  "$here/cluster.sh" off "$other"
  let_go power
  sleep 10
  "$here/cluster.sh" boot "$other"
  ends_well
}

run_cases limit requeue cancel scancel killed_coordinator stopped_rank power_off -- "$@"
check "nothing is left running" test -z "$(pgrep -f halcyon-worker || true)"
((failures == 0))
