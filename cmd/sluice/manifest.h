// SPDX-License-Identifier: GPL-2.0-or-later
// A Kubernetes manifest as text, YAML or JSON.
#pragma once

#include <string>

#include "cni/json.h"

namespace sluice::cmd {

// One document. Throws Error if it is neither YAML nor JSON, holds several documents, or is
// nested or large beyond what a manifest can be (aliases are counted as often as they are used).
cni::Json parse_manifest(const std::string& text);

}  // namespace sluice::cmd
