#include "model/fused_layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/model/composed_check.h"

namespace halcyon::model {
namespace {

TEST(FusedLayers, LinearWithAndWithoutBias) {
  // One row is a case of its own: a bias made as wide as that is still the bias itself.
  for (const int64_t rows : {1, 5, 200}) {
    ExpectAgrees({Draw({rows, 70}, 1), Draw({90, 70}, 2), Draw({90}, 3)}, [](const auto& in) {
      return LinearRows(in[0], in[1], in[2]) + LinearRows(in[0], in[1], {}).square();
    });
  }
}

TEST(FusedLayers, LinearOfPartsOfAWeight) {
  ExpectAgrees({Draw({300, 40}, 1), Draw({100, 80}, 2)}, [](const auto& in) {
    return LinearRows(in[0], in[1].narrow(1, 0, 40), {}) *
           LinearRows(in[0], in[1].narrow(1, 40, 40), {});
  });
}

TEST(FusedLayers, LinearAddKeepsTheResidual) {
  ExpectAgrees({Draw({33, 20}, 1), Draw({12, 20}, 2), Draw({33, 12}, 3)},
               [](const auto& in) { return LinearAdd(in[0], in[1], in[2]); });
}

TEST(FusedLayers, NormedLinears) {
  for (const int64_t rows : {1, 130}) {
    ExpectAgrees({Draw({rows, 37}, 1), Draw({37}, 2), Draw({19, 37}, 3), Draw({19, 37}, 4)},
                 [](const auto& in) {
                   const auto out = NormedLinears(in[0], in[1], 0.01, {in[2], in[3]});
                   return out[0] * out[1] + RmsNormRows(in[0], in[1], 0.01).sum();
                 });
  }
}

TEST(FusedLayers, GatesOfHalvesAndOfTwo) {
  ExpectAgrees({Draw({41, 26}, 1)}, [](const auto& in) { return GatedHalves(in[0]); });
  ExpectAgrees({Draw({41, 13}, 1), Draw({41, 13}, 2), Draw({9, 13}, 3), Draw({41, 9}, 4)},
               [](const auto& in) { return GatedLinearAdd(in[0], in[1], in[2], in[3]); });
}

TEST(FusedLayers, RotationOfOneTableAndOfOneForEachRow) {
  for (const int64_t tables : {1, 3}) {
    const at::Tensor angle = Draw({tables, 5, 1, 4}, 8);
    ExpectAgrees({Draw({3, 5, 2, 8}, 1)}, [&](const auto& in) {
      return RotatedHeads(in[0], at::cos(angle).to(in[0].scalar_type()),
                          at::sin(angle).to(in[0].scalar_type()));
    });
  }
}

}  // namespace
}  // namespace halcyon::model
