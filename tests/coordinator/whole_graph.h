// The graph of a job of one spec with all stages.
#ifndef HALCYON_TESTS_COORDINATOR_WHOLE_GRAPH_H_
#define HALCYON_TESTS_COORDINATOR_WHOLE_GRAPH_H_

#include <span>

#include "jobs/stage_graph.h"

namespace halcyon::coordinator {

inline jobs::StageGraph WholeGraph() {
  const jobs::JobSpec spec;
  return jobs::StageGraph(std::span(&spec, 1));
}

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_WHOLE_GRAPH_H_
