// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/version.h"

namespace sluice::cni {

const char* plugin_version() {
  return SLUICE_VERSION;
}

}  // namespace sluice::cni
