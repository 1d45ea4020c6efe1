// SPDX-License-Identifier: GPL-2.0-or-later
// Where the agent's parts leave what an operator should read. Libraries do not log: main passes the
// function in, which may be called from every thread.
#pragma once

#include <functional>
#include <string>

#include "cni/config.h"

namespace sluice::agent {

// `component` is a word: install, watch, lookup, repair, plugin, http. `text` is one line.
using Log =
    std::function<void(cni::LogLevel level, const char* component, const std::string& text)>;

}  // namespace sluice::agent
