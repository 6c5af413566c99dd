#include "storage/value_places.h"

#include <rocksdb/options.h>
#include <rocksdb/table_properties.h>

#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

namespace halcyon::storage {
namespace {

constexpr char kPlacesProperty[] = "halcyon.value_places";
constexpr size_t kPlaceBytes = kRelativeKeyBytes + 16;
constexpr size_t kInternalKeyBytes = kKeyBytes + 8;  // RocksDB's sequence number and type

static_assert(std::endian::native == std::endian::little);

template <typename T>
void PutNumber(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T GetNumber(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 128; value >>= 7) ++bytes;
  return bytes;
}

class PlaceCollector : public rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "halcyon.PlaceCollector"; }

  // `file_bytes`: where the block begins, since the one before is complete. It begins with how many
  // bytes of the key it shares (none), how many follow, how many the value has, and the key.
  rocksdb::Status AddUserKey(const rocksdb::Slice& key, const rocksdb::Slice& value,
                             rocksdb::EntryType, rocksdb::SequenceNumber,
                             uint64_t file_bytes) override {
    if (key.size() != kKeyBytes || value.size() > std::numeric_limits<uint32_t>::max()) {
      return rocksdb::Status::InvalidArgument("not a key or value of a page cache");
    }
    if (!places_.empty() && file_bytes == block_) {
      return rocksdb::Status::InvalidArgument("two values in one block");
    }
    block_ = file_bytes;
    const std::string_view relative = key.ToStringView().substr(kDatasetPrefixBytes);
    const auto decoded = DecodeRelativeKey(relative);
    if (!decoded.ok()) return rocksdb::Status::InvalidArgument("not a key of a page cache");
    places_ += relative;
    PutNumber(&places_, file_bytes + 2 + VarintBytes(value.size()) + kInternalKeyBytes);
    PutNumber(&places_, static_cast<uint32_t>(value.size()));
    PutNumber(&places_, decoded->is_record ? 0 : PageBytesOf(value.ToStringView()));
    return rocksdb::Status::OK();
  }

  rocksdb::Status Finish(rocksdb::UserCollectedProperties* properties) override {
    properties->insert({kPlacesProperty, places_});
    return rocksdb::Status::OK();
  }

  rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }

 private:
  std::string places_;
  uint64_t block_ = 0;
};

class PlaceCollectorFactory : public rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "halcyon.PlaceCollectorFactory"; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(
      rocksdb::TablePropertiesCollectorFactory::Context) override {
    return new PlaceCollector();
  }
};

}  // namespace

void KeepValuePlaces(rocksdb::Options* options) {
  options->table_properties_collector_factories.push_back(
      std::make_shared<PlaceCollectorFactory>());
}

absl::StatusOr<std::vector<ValuePlace>> DecodeValuePlaces(std::string_view bytes) {
  if (bytes.size() % kPlaceBytes != 0) {
    return DataLoss("its list of places has " + std::to_string(bytes.size()) + " bytes");
  }
  std::vector<ValuePlace> places;
  for (; !bytes.empty(); bytes.remove_prefix(kPlaceBytes)) {
    ValuePlace& place = places.emplace_back();
    ASSIGN_OR_RETURN(place.key, DecodeRelativeKey(bytes.substr(0, kRelativeKeyBytes)));
    const std::string_view numbers = bytes.substr(kRelativeKeyBytes);
    place.offset = GetNumber<uint64_t>(numbers);
    place.bytes = GetNumber<uint32_t>(numbers.substr(8));
    place.page_bytes = GetNumber<uint32_t>(numbers.substr(12));
    const bool is_extent =
        place.page_bytes > 0 && place.bytes > 0 &&
        PagesOf(place.bytes, place.page_bytes) <= place.key.page.page + uint64_t{1};
    if (place.key.is_record ? place.page_bytes != 0 : !is_extent) {
      return DataLoss("its list of places is damaged");
    }
  }
  return places;
}

absl::StatusOr<std::vector<ValuePlace>> ValuePlacesOf(const rocksdb::TableProperties& properties) {
  const auto found = properties.user_collected_properties.find(kPlacesProperty);
  if (found == properties.user_collected_properties.end()) {
    return DataLoss("has no list of the places of its values");
  }
  return DecodeValuePlaces(found->second);
}

}  // namespace halcyon::storage
