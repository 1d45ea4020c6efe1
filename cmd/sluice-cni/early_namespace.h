// SPDX-License-Identifier: GPL-2.0-or-later
// The pod's namespace, opened while the process has all that root has, and what it has after that.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "cni/environment.h"
#include "rules/backend.h"

namespace sluice::cmd {

// Made before anything is read that others wrote: the path can lead through what only root may see,
// the text that follows needs nothing of that.
class EarlyNamespace {
 public:
  // Opens CNI_NETNS if CNI_COMMAND is one that can need it. What that meets, an error too, is told
  // by open(): the pod may be none of ours. Gives up all capabilities but CAP_SYS_ADMIN,
  // CAP_NET_ADMIN and CAP_NET_RAW (kernel::enter_pod_namespace() says when one more stays), and
  // new privileges by execve(2).
  explicit EarlyNamespace(const cni::GetEnv& get_env);

  // The namespace at `path`, once. Throws Error as kernel::enter_pod_namespace().
  OpenedNamespace open(const std::string& path);

 private:
  std::string path_;
  std::optional<OpenedNamespace> opened_ = std::nullopt;
  std::exception_ptr error_ = nullptr;
};

}  // namespace sluice::cmd
