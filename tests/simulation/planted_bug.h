// Bugs that a simulation plants, one at a time, to show that it would find them. Each changes what
// the simulated service does, or an event or effect on its way; the product has no part in it.
#ifndef HALCYON_TESTS_SIMULATION_PLANTED_BUG_H_
#define HALCYON_TESTS_SIMULATION_PLANTED_BUG_H_

#include <array>

namespace halcyon::simulation {

enum class PlantedBug {
  kNone,
  kOldLeaseAccepted,       // a forgotten agent's result counts as that of the present lease
  kLostAgentNotEnded,      // Forget and EndAgent of a lost agent do nothing
  kLaunchNotFenced,        // PrepareLaunch leaves the fence of the checkpoints where it stands
  kInstalledTooEarly,      // Installed is answered before the artifact is there
  kClaimNotRaised,         // who takes a stage's claim over keeps its number
  kIncarnationNotRaised,   // who takes a job over keeps the number of the coordinator before
  kLostAgentNotNoticed,    // neither AgentEnded nor Suspected is reported
  kHangNotNoticed,         // Beats are not reported
  kAdoptedFilesRemoved,    // PrepareStage removes what agents have made that go on
  kClaimTakenTooEarly,     // a lease's beat stands still for 3 s instead of the lease time
  kTakeoverNotNoticed,     // neither a check nor the lease keeper sees that a lease is lost
  kWaiterNeverLooksAgain,  // who waits for a stage never looks at its claim again
  kFenceOverwritten,       // who raises the fence does so whatever it was raised to meanwhile
};

struct NamedBug {
  PlantedBug bug;
  const char* name;
};

inline constexpr std::array<NamedBug, 13> kPlantedBugs = {{
    {PlantedBug::kOldLeaseAccepted, "old-lease-accepted"},
    {PlantedBug::kLostAgentNotEnded, "lost-agent-not-ended"},
    {PlantedBug::kLaunchNotFenced, "launch-not-fenced"},
    {PlantedBug::kInstalledTooEarly, "installed-too-early"},
    {PlantedBug::kClaimNotRaised, "claim-not-raised"},
    {PlantedBug::kIncarnationNotRaised, "incarnation-not-raised"},
    {PlantedBug::kLostAgentNotNoticed, "lost-agent-not-noticed"},
    {PlantedBug::kHangNotNoticed, "hang-not-noticed"},
    {PlantedBug::kAdoptedFilesRemoved, "adopted-files-removed"},
    {PlantedBug::kClaimTakenTooEarly, "claim-taken-too-early"},
    {PlantedBug::kTakeoverNotNoticed, "takeover-not-noticed"},
    {PlantedBug::kWaiterNeverLooksAgain, "waiter-never-looks-again"},
    {PlantedBug::kFenceOverwritten, "fence-overwritten"},
}};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_PLANTED_BUG_H_
