// SPDX-License-Identifier: GPL-2.0-or-later
// Which file of a directory is the node's network configuration. As containerd's CRI plugin chooses
// (go-cni, max_conf_num 1): the first in byte order of those that end in .conf, .conflist or .json,
// directories left out, and no other if it turns out to be broken.
#pragma once

#include <string>
#include <string_view>

#include "agent/install/directory.h"

namespace sluice::agent {

struct ConfChoice {
  std::string name = {};  // as the runtime sees it; its ending tells a list from a single plugin
  std::string file = {};  // what stands behind it in the same directory: `name` unless a symlink
  // If `file` is empty there is none that can be read (`name` is empty too) or none that may: one
  // sentence, and whether somebody has to act.
  std::string why = {};
  bool blocked = false;
};

// `wanted` is a name, or empty for the first one; if it is not there, the same name with another of
// the three endings is taken, for installers change them. Multus's own file (00-multus*) is never
// chosen: it delegates to the one that is. Throws Error, also for a name that cannot be one.
ConfChoice choose_conf(const Directory& dir, const std::string& wanted);

// Follows symlinks as long as they stay in `dir`. As choose_conf, with `name` as it is.
ConfChoice follow(const Directory& dir, const std::string& name);

bool is_conf_name(std::string_view name);
bool is_list_name(std::string_view name);
// Without its ending: "10-calico" of "10-calico.conflist".
std::string stem_of(const std::string& name);

}  // namespace sluice::agent
