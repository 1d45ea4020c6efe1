// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace sluice::cni {

// The version of the program, as CMakeLists.txt gives it: "0.1.0".
const char* plugin_version();

}  // namespace sluice::cni
