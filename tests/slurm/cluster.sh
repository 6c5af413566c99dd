#!/usr/bin/env bash
# A throw-away cluster of a few "hosts" on this machine, for tests. Needs root and namespaces.
#
#   cluster.sh run COMMAND...   starts the cluster, runs COMMAND on its head host, takes everything down
#
# within COMMAND:
#   cluster.sh off HOST         power-off: kills every process of the host
#   cluster.sh boot HOST        starts a host again
#   cluster.sh cut HOST         cuts its network link; its processes go on
#   cluster.sh join HOST        puts the link back
#   cluster.sh at HOST CMD...   runs a command there; mpirun's rsh agent has the same form
#   cluster.sh controller stop|start
#
# The head host is 10.77.0.254, the others are n1, n2, ...: 10.77.0.1, ... on one bridge. Each has a
# network, a host name, processes and a /dev/shm of its own; the file system is shared. Everything lies
# in one namespace of processes, so when COMMAND has ended nothing is left.
#
# Environment: NODES (2), CPUS a node (4), SLURM (1; 0: hosts without Slurm), SLURMD_TIMEOUT (5: seconds after
# which Slurm takes a node that does not answer for down, and out of its jobs), CLUSTER_DIR (a folder of its
# own, by default made and removed). Exit status: COMMAND's; 77: "SKIP: why" was printed,
# this machine does not allow a cluster.
set -euo pipefail

self=$(readlink -f "${BASH_SOURCE[0]}")
export NODES=${NODES:-2} CPUS=${CPUS:-4} SLURM=${SLURM:-1} SLURMD_TIMEOUT=${SLURMD_TIMEOUT:-5}

skip() {
  printf 'SKIP: %s\n' "$*"
  exit 77
}

check_machine() {
  local program
  ((EUID == 0)) || skip "a cluster of namespaces needs root"
  for program in unshare nsenter ip mpirun; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
  if ((SLURM)); then
    for program in slurmctld slurmd srun sbatch squeue scancel; do
      command -v "$program" >/dev/null || skip "$program is not installed: scripts/install-dependencies"
    done
  fi
  unshare --net --mount --pid --uts --fork --mount-proc true 2>/dev/null ||
    skip "no right to make namespaces (CAP_SYS_ADMIN)"
  unshare --net ip link add probe type bridge 2>/dev/null || skip "no right to make a network bridge"
}

write_settings() {
  local i
  mkdir -p "$CLUSTER_DIR"/{state,log,run}
  {
    echo "127.0.0.1 localhost"
    echo "10.77.0.254 head"
    for ((i = 1; i <= NODES; ++i)); do echo "10.77.0.$i n$i"; done
  } >"$CLUSTER_DIR/hosts"
  # Without this Slurm looks for cgroups, which a container does not have.
  echo "CgroupPlugin=cgroup/v1" >"$CLUSTER_DIR/cgroup.conf"
  {
    cat <<SETTINGS
ClusterName=halcyon
SlurmctldHost=head(10.77.0.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
StateSaveLocation=$CLUSTER_DIR/state
SlurmdSpoolDir=$CLUSTER_DIR/spool/%n
TmpFS=$CLUSTER_DIR/tmp/%n
SlurmctldPidFile=$CLUSTER_DIR/run/slurmctld.pid
SlurmdPidFile=$CLUSTER_DIR/run/slurmd.%n.pid
SlurmctldLogFile=$CLUSTER_DIR/log/slurmctld.log
SlurmdLogFile=$CLUSTER_DIR/log/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_min_interval=0,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=$SLURMD_TIMEOUT
MessageTimeout=5
InactiveLimit=0
KillWait=3
Waittime=0
SETTINGS
    for ((i = 1; i <= NODES; ++i)); do
      echo "NodeName=n$i NodeAddr=10.77.0.$i CPUs=$CPUS Sockets=1 CoresPerSocket=$CPUS RealMemory=2000 State=UNKNOWN"
    done
    echo "PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
  } >"$CLUSTER_DIR/slurm.conf"
}

# Process 1 of a host. Its parent, the unshare, is what a power-off kills.
run_host() {
  local name=$1 number=${1#n}
  hostname "$name"
  mount -t tmpfs -o mode=1777,size=1g shm /dev/shm
  ip link set lo up
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
  ip addr add "10.77.0.$number/24" dev eth0
  ip link set eth0 up
  if ((SLURM)); then slurmd -D -N "$name" & fi
  touch "$CLUSTER_DIR/run/$name.up"
  while :; do sleep 1000 & wait -n || true; done
}

boot() {
  local name=$1 number=${1#n} outer
  mkdir -p "$CLUSTER_DIR/spool/$name" "$CLUSTER_DIR/tmp/$name"
  rm -f "$CLUSTER_DIR/run/$name.up"
  setsid unshare --net --uts --mount --pid --fork --kill-child=KILL --mount-proc --propagation private \
    "$self" host "$name" </dev/null >"$CLUSTER_DIR/log/$name.log" 2>&1 &
  outer=$!
  echo "$outer" >"$CLUSTER_DIR/run/$name.pid"
  until [[ $(readlink "/proc/$outer/ns/net") != "$(readlink /proc/self/ns/net)" ]]; do sleep 0.02; done
  ip link del "veth$number" 2>/dev/null || true
  # As on a real host its address outlives a boot; others would look for the old one for half a minute.
  ip link add "veth$number" type veth peer name eth0 address "$(printf '02:00:0a:4d:00:%02x' "$number")" netns "$outer"
  ip link set "veth$number" master bridge0 up
  until [[ -e $CLUSTER_DIR/run/$name.up ]]; do sleep 0.02; done
}

# The process of the host that is its number 1.
first_process() {
  local outer
  outer=$(<"$CLUSTER_DIR/run/$1.pid")
  cut -d' ' -f1 "/proc/$outer/task/$outer/children"
}

start_controller() {
  setsid slurmctld -D </dev/null >>"$CLUSTER_DIR/log/slurmctld.out" 2>&1 &
  echo $! >"$CLUSTER_DIR/run/controller.pid"
}

start_cluster() {
  local i tries
  hostname head
  mount --bind "$CLUSTER_DIR/hosts" /etc/hosts
  ip link set lo up
  ip link add bridge0 type bridge
  ip addr add 10.77.0.254/24 dev bridge0
  ip link set bridge0 up
  if ((SLURM)); then start_controller; fi
  for ((i = 1; i <= NODES; ++i)); do boot "n$i"; done
  ((SLURM)) || return 0
  for ((tries = 0; tries < 600; ++tries)); do
    [[ $(sinfo -h -t idle -o %D 2>/dev/null) == "$NODES" ]] && return 0
    sleep 0.1
  done
  echo "Slurm's nodes do not come up:" >&2
  sinfo >&2 || true
  tail -n 5 "$CLUSTER_DIR"/log/* >&2
  return 1
}

run_cluster() {
  local made="" status=0
  check_machine
  if [[ -z ${CLUSTER_DIR:-} ]]; then
    CLUSTER_DIR=$(mktemp -d)
    made=$CLUSTER_DIR
  fi
  export CLUSTER_DIR SLURM_CONF=$CLUSTER_DIR/slurm.conf
  # Processes of two clusters at the same time have the same numbers and hosts, and Open MPI names its files by these.
  export TMPDIR=$CLUSTER_DIR/files
  mkdir -p "$TMPDIR"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  write_settings
  unshare --net --uts --mount --pid --fork --kill-child=KILL --mount-proc --propagation private \
    "$self" inside "$@" || status=$?
  if [[ -n $made ]]; then rm -rf "$made"; fi
  return "$status"
}

action=${1:?run, off, boot, cut, join, at or controller}
shift
case $action in
run) run_cluster "$@" ;;
inside)
  start_cluster
  status=0
  "$@" || status=$?
  exit "$status"
  ;;
host) run_host "$1" ;;
off) kill -9 "$(<"$CLUSTER_DIR/run/$1.pid")" ;;
boot) boot "$1" ;;
cut) ip link set "veth${1#n}" down ;;
join) ip link set "veth${1#n}" up ;;
at)
  host=$1
  shift
  exec nsenter -t "$(first_process "$host")" -n -u -m -p -- sh -c "$*"
  ;;
controller)
  case $1 in
  stop) kill -9 "$(<"$CLUSTER_DIR/run/controller.pid")" ;;
  start) start_controller ;;
  esac
  ;;
*)
  echo "unknown action $action" >&2
  exit 2
  ;;
esac
