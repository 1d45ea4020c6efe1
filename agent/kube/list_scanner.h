// SPDX-License-Identifier: GPL-2.0-or-later
// Takes a Kubernetes list (v1.PodList) apart as it arrives, so that no more than one item is ever
// held: 250 pods are 4 MiB of JSON.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sluice::agent {

// Of one item, or one event of a watch: etcd itself takes no more than 1.5 MiB.
inline constexpr std::size_t item_limit = std::size_t{4} * 1024 * 1024;
// Of everything that is not in "items".
inline constexpr std::size_t envelope_limit = std::size_t{64} * 1024;

// Finds where items begin and end, no more: whoever reads their text must expect it not to be JSON.
class ListScanner {
 public:
  // Called with the text of each element of the top-level array "items", white space stripped; the
  // text is gone when it returns.
  using OnItem = std::function<void(std::string_view item)>;
  explicit ListScanner(OnItem on_item) : on_item_(std::move(on_item)) {}

  // The next bytes, cut anywhere. Throws Error beyond the limits above, and passes on what the
  // function throws.
  void feed(std::string_view chunk);

  // Once all is fed: the list with "items" emptied. Throws Error if the text is not complete; JSON
  // otherwise only if the list was.
  const std::string& finish() const;

 private:
  void take(char c);
  void take_in_string(char c);
  void open(char c);
  void close(char c);
  void keep(char c);
  void end_item();

  OnItem on_item_;
  std::string envelope_ = {};
  std::string item_ = {};
  std::string key_ = {};  // the last one at the top level, without its quotes
  std::size_t depth_ = 0;
  bool in_items_ = false;
  bool in_string_ = false;
  bool in_key_ = false;
  bool escaped_ = false;
  bool expects_key_ = false;
  bool complete_ = false;
};

}  // namespace sluice::agent
