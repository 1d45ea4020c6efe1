// SPDX-License-Identifier: GPL-2.0-or-later
// A pod's network namespace through the interface that was chosen for it.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "rules/backend.h"
#include "rules/kernel/choice.h"
#include "rules/kernel/netns.h"

namespace sluice::kernel {

// Makes the choice in the namespace. Throws Error as choose().
Choice choose_in(const Netns& netns, const BackendSettings& settings);

// Writes through the chosen interface and takes out what is ours in the other one; Application has
// the order. Where x_tables is to be written and the pod has a user namespace of its own, a child
// writes from within (user_namespace.h).
class PodBackend : public Backend {
 public:
  // `netns` must outlive the backend; `nft_table` as in BackendSettings. `before_writing` is called
  // by apply() when it is known that this process writes, and no child: what it throws ends it.
  PodBackend(const Netns& netns, Choice choice, std::string nft_table,
             std::function<void()> before_writing = {})
      : netns_(netns),
        choice_(std::move(choice)),
        nft_table_(std::move(nft_table)),
        before_writing_(std::move(before_writing)) {}

  const char* name() const override;
  std::string reason() const override { return choice_.reason; }
  Notices apply(const Interception& wanted) override;
  Notices remove() override;
  // Of both families, whatever there is. Rules of ours that the other interface holds stand behind
  // those of the chosen one in the chains of the same names: what a change that was broken off left
  // twice is seen twice, and a pod that is redirected through the other one alone, as before the
  // settings changed, is seen as it is.
  Interception read() override;

 private:
  const Netns& netns_;
  Choice choice_;
  std::string nft_table_;
  std::function<void()> before_writing_;
};

}  // namespace sluice::kernel
