// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/pod_namespace.h"

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
  explicit KernelNamespace(Netns netns) : netns_(std::move(netns)) {}

  bool is_own() override { return netns_.is_own(); }
  std::vector<Link> links() override {
    std::vector<Link> all;
    netns_.run([&] { all = list_links(); });
    return all;
  }
  std::optional<Link> link(const std::string& name) override {
    std::optional<Link> found;
    netns_.run([&] { found = find_link(name); });
    return found;
  }
  bool loopback_has_ipv6() override {
    bool has = false;
    netns_.run([&] { has = kernel::loopback_has_ipv6(); });
    return has;
  }
  Backend& backend(const BackendSettings& settings) override {
    if (!backend_) backend_.emplace(netns_, choose_in(netns_, settings), settings.nft_table);
    return *backend_;
  }

 private:
  Netns netns_;
  std::optional<PodBackend> backend_;
};

}  // namespace

OpenedNamespace open_pod_namespace(const std::string& path) {
  std::variant<Netns, NotNetns> opened = Netns::open(path);
  if (NotNetns* reason = std::get_if<NotNetns>(&opened)) return std::move(*reason);
  return std::make_unique<KernelNamespace>(std::get<Netns>(std::move(opened)));
}

}  // namespace sluice::kernel
