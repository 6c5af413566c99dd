#!/usr/bin/env bash
# Jobs through a real Slurm: done, over several allocations, preempted, cancelled, coordinator killed.
# Each job that finishes has the weights of an undisturbed run, byte for byte.
#
#   tests/slurm/cluster.sh run tests/slurm/submit.sh BIN
#
# BIN: the folder of halcyon and halcyon-worker. Exit status 0: all held.
set -euo pipefail

bin=$(readlink -f "${1:?the folder of halcyon and halcyon-worker}")
root=$(mktemp -d)
# A name that a shell and sbatch would trip over.
home="$root/a home, it's #1"
trap 'rm -rf "$root"' EXIT

# shellcheck source=tests/slurm/job.sh
source "$(dirname "$0")/job.sh"
submit() { halcyon submit "$root/$1.toml" --launcher slurm --json "${@:2}" |
  python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["job"], d["slurm_job_id"])'; }
log_says() { grep -q "$2" "$home/jobs/$1/logs/"slurm-*.log; }

corpus >"$root/corpus.txt"
steps=${STEPS:-3000}
# The first job has to last longer than the 15 s that an allocation gives it.
wanted_long=$(undisturbed "$((4 * steps))")
wanted=$(undisturbed "$steps")
same_weights() { [[ $(weights_of "$1") == "${2:-$wanted}" ]]; }

echo "=== a time limit that is shorter than the job"
# The job stops 45 s before the limit of a minute.
job limit "$((4 * steps))" $'stop_margin_s = 45\n[launch.slurm]\ntime = "1"\n'
read -r id slurm_id < <(submit limit)
check "the status has Slurm's id" test "$(status_of "$id" 'd["submission"]["slurm_job_id"]')" = "$slurm_id"
check "a second submit is refused" test "$(code_of halcyon submit "$root/limit.toml" --launcher slurm)" = 3
check "it ends as done" test "$(code_of halcyon wait "$id" --timeout 400)" = 0
requeues=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["requeues"])' \
  "$home/jobs/$id/submission.json")
check "it took more than one allocation ($((requeues + 1)))" test "$requeues" -ge 1
check "the weights are those of an undisturbed run" same_weights "$id" "$wanted_long"

echo "=== preempted: Slurm itself requeues the job"
rm -rf "$home"
job requeue "$steps" ""
read -r id slurm_id < <(submit requeue)
until_step "$id" 50
scontrol requeue "$slurm_id"
check "it ends as done" test "$(code_of halcyon wait "$id" --timeout 400)" = 0
check "it went on in the same Slurm job" log_says "$id" "Slurm requeues job $slurm_id itself"
check "the weights are those of an undisturbed run" same_weights "$id"

echo "=== cancelled by halcyon, then resumed"
rm -rf "$home"
job cancel "$steps" ""
read -r id slurm_id < <(submit cancel)
until_step "$id" 50
halcyon cancel "$id"
check "it ends as cancelled" test "$(code_of halcyon wait "$id" --timeout 100)" = 6
check "what was done is saved" test "$(status_of "$id" '"saved step" in d["error"]')" = True
check "it is not in Slurm's queue" test -z "$(squeue -h -j "$slurm_id" -t PENDING,RUNNING 2>/dev/null)"
halcyon resume "$id"
check "resumed, it ends as done" test "$(code_of halcyon wait "$id" --timeout 400)" = 0
check "the weights are those of an undisturbed run" same_weights "$id"

echo "=== cancelled by scancel"
rm -rf "$home"
job scancel "$steps" ""
read -r id slurm_id < <(submit scancel)
until_step "$id" 50
scancel "$slurm_id"
check "it ends as cancelled and does not come back" test "$(code_of halcyon wait "$id" --timeout 100)" = 6

echo "=== the coordinator is killed in its allocation; slurmctld is away meanwhile"
rm -rf "$home"
job kill "$steps" ""
read -r id slurm_id < <(submit kill)
until_step "$id" 50
node=$(status_of "$id" 'd["submission"]["slurm_nodes"]')
"$(dirname "$0")/cluster.sh" controller stop
# The pid is one of its node.
"$(dirname "$0")/cluster.sh" at "$node" kill -9 "$(status_of "$id" 'd["pid"]')"
check "list says that Slurm is away" grep -q "Slurm does not answer" <<<"$(halcyon list 2>&1)"
"$(dirname "$0")/cluster.sh" controller start
check "it ends as done" test "$(code_of halcyon wait "$id" --timeout 400)" = 0
check "it was started again in its allocation" log_says "$id" "started again, 1 of"
check "the weights are those of an undisturbed run" same_weights "$id"

check "nothing is left running" test -z "$(pgrep -f halcyon-worker || true)"
((failures == 0))
