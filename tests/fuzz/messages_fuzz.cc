#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "cluster/contact.h"
#include "cluster/messages.h"

// What is taken for a message or a contact is one: it can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto message = halcyon::cluster::Decode(bytes); message.ok()) {
    HALCYON_CHECK(halcyon::cluster::Decode(halcyon::cluster::Encode(*message)).ok());
  }
  halcyon::cluster::ParseContact(bytes).status().IgnoreError();
  return 0;
}
