// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/pod_namespace.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "rules/kernel/link.h"
#include "rules/kernel/netns.h"
#include "rules/kernel/pod_backend.h"

namespace sluice::kernel {
namespace {

class KernelNamespace : public PodNamespace {
 public:
  KernelNamespace(Netns netns, bool stays) : netns_(std::move(netns)), stays_(stays) {}

  bool is_own() override { return netns_.is_own(); }
  std::vector<Link> links() override {
    std::vector<Link> all;
    run([&] { all = list_links(); });
    return all;
  }
  std::optional<Link> link(const std::string& name) override {
    std::optional<Link> found;
    run([&] { found = find_link(name); });
    return found;
  }
  bool loopback_has_ipv6() override {
    bool has = false;
    run([&] { has = kernel::loopback_has_ipv6(); });
    return has;
  }
  Backend& backend(const BackendSettings& settings) override {
    settle();
    if (!backend_) backend_.emplace(netns_, choose_in(netns_, settings), settings.nft_table);
    return *backend_;
  }

 private:
  void settle() {
    if (stays_) netns_.stay();
  }
  void run(const std::function<void()>& action) {
    settle();
    netns_.run(action);
  }

  Netns netns_;
  bool stays_;
  std::optional<PodBackend> backend_;
};

OpenedNamespace open(const std::string& path, bool stays) {
  std::variant<Netns, NotNetns> opened = Netns::open(path);
  if (NotNetns* reason = std::get_if<NotNetns>(&opened)) return std::move(*reason);
  return std::make_unique<KernelNamespace>(std::get<Netns>(std::move(opened)), stays);
}

}  // namespace

OpenedNamespace open_pod_namespace(const std::string& path) {
  return open(path, false);
}

OpenedNamespace enter_pod_namespace(const std::string& path) {
  return open(path, true);
}

}  // namespace sluice::kernel
