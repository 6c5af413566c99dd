// What an operation has to tell a person, a line each. Operations run on a thread of their own, and
// observers are called on the event loop's.
#ifndef HALCYON_COORDINATOR_NOTES_H_
#define HALCYON_COORDINATOR_NOTES_H_

#include <string>
#include <vector>

namespace halcyon::coordinator {

using Notes = std::vector<std::string>;

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_NOTES_H_
