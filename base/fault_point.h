// Places where a test may kill or hold up the process, so that "killed at any moment" is tested at
// chosen moments. Without the variables below in the environment a call is two comparisons.
#ifndef HALCYON_BASE_FAULT_POINT_H_
#define HALCYON_BASE_FAULT_POINT_H_

#include <string_view>

namespace halcyon {

// HALCYON_FAULT_POINT is a list of points, divided by ';'. When `name` is one of them, this process
// gets SIGKILL; when `name` + "@parent" is, its parent does; when `name` + "@stop" is, this process
// gets SIGSTOP; when `name` + "@hang" is, the calling thread stands still for ever, and the
// process' others go on; when `name` + "@hold" is, it stands still until the file PATH-i.go exists.
// HALCYON_FAULT_MARKER is the PATH: the fault number i of the list first makes the file PATH-i,
// which must not exist, so each fault happens once, however often the processes are started again.
//
// HALCYON_FAULT_LIST is a file to which each call adds a line with the name, so that a test can
// kill a process at all of them.
void FaultPoint(std::string_view name);

}  // namespace halcyon

#endif  // HALCYON_BASE_FAULT_POINT_H_
