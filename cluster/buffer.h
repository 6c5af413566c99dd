// Flat arrays as collectives see them: where they lie, how many elements, of which type. Views:
// whoever passes one keeps the memory alive and unchanged until the collective is done.
#ifndef HALCYON_CLUSTER_BUFFER_H_
#define HALCYON_CLUSTER_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace halcyon::cluster {

enum class ElementType : uint8_t { kFloat32, kBFloat16 };

constexpr size_t BytesOf(ElementType type) { return type == ElementType::kFloat32 ? 4 : 2; }

// Host memory, or that of a GPU that this process uses.
struct Device {
  int gpu = -1;  // index; -1: the host
  bool is_host() const { return gpu < 0; }
  bool operator==(const Device&) const = default;
};

struct ConstBuffer {
  const void* data = nullptr;
  size_t count = 0;  // elements
  ElementType type = ElementType::kFloat32;
  Device device;

  ConstBuffer() = default;
  ConstBuffer(const void* data, size_t count, ElementType type, Device device)
      : data(data), count(count), type(type), device(device) {}
  ConstBuffer(std::span<const float> values) : data(values.data()), count(values.size()) {}
  size_t bytes() const { return count * BytesOf(type); }
};

struct Buffer {
  void* data = nullptr;
  size_t count = 0;  // elements
  ElementType type = ElementType::kFloat32;
  Device device;

  Buffer() = default;
  Buffer(void* data, size_t count, ElementType type, Device device)
      : data(data), count(count), type(type), device(device) {}
  Buffer(std::span<float> values) : data(values.data()), count(values.size()) {}
  operator ConstBuffer() const { return {data, count, type, device}; }
  size_t bytes() const { return count * BytesOf(type); }
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_BUFFER_H_
