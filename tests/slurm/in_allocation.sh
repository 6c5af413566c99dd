#!/usr/bin/env bash
# in_allocation.sh NODES COMMAND...: runs COMMAND as a batch script on NODES nodes of the cluster that
# cluster.sh has started, prints its output, and ends as it does.
#
# COMMAND, whose node cannot act on the others, writes a script that is to be run on the head host into the
# file $CLUSTER_DIR/wanted; the file is removed when it has ended, and $CLUSTER_DIR/answer has its output.
set -u
nodes=$1
shift
while sleep 0.1; do
  if [[ -e $CLUSTER_DIR/wanted ]]; then
    sh "$CLUSTER_DIR/wanted" >"$CLUSTER_DIR/answer" 2>&1
    rm "$CLUSTER_DIR/wanted"
  fi
done &
output=$CLUSTER_DIR/batch-$$.out
status=0
sbatch --wait --no-kill --no-requeue --nodes="$nodes" --output="$output" --wrap "exec $*" >/dev/null || status=$?
cat "$output"
exit "$status"
