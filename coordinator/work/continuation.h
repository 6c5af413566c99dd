// Which earlier work a stage that is to be made goes on from, and which is kept but not used, with
// the reason as text. Pure.
//
// A step of training depends on the total number of steps only through the learning rate
// (model/learning_rate.h). With decay = "constant" it does not depend on it at all: a checkpoint of
// a run that differs in `steps` alone is bit for bit what this run would have at that step.
#ifndef HALCYON_COORDINATOR_WORK_CONTINUATION_H_
#define HALCYON_COORDINATOR_WORK_CONTINUATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/work/work_folders.h"
#include "jobs/stage_identity.h"

namespace halcyon::coordinator {

// A committed checkpoint of another work folder that this stage may go on from.
struct Donor {
  std::string work_dir;
  uint64_t step = 0;
  std::string run;  // "the run with train.steps = 1000"
};

struct Continuation {
  std::vector<Donor> donors;       // the furthest first; all further than the stage's own work
  uint64_t own_step = 0;           // of the stage's own newest checkpoint; 0: none
  std::vector<std::string> notes;  // what is kept and not used, and why: a sentence each
};

// `folders`: all of the home.
Continuation FindContinuation(const jobs::StageIdentity& identity,
                              const std::vector<WorkFolder>& folders);

// "goes on from step 400 of the run with train.steps = 1000, kept in /home/...".
std::string Describe(const Donor& donor);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_WORK_CONTINUATION_H_
