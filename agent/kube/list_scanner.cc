// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/list_scanner.h"

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::size_t key_limit = 64;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

void ListScanner::feed(std::string_view chunk) {
  for (const char c : chunk) take(c);
}

const std::string& ListScanner::finish() const {
  if (!complete_) throw Error("the list of the API server ends in the middle");
  return envelope_;
}

void ListScanner::take(char c) {
  if (in_string_) {
    take_in_string(c);
  } else if (c == '"') {
    in_string_ = true;
    in_key_ = depth_ == 1 && expects_key_;
    if (in_key_) key_.clear();
    keep(c);
  } else if (c == '{' || c == '[') {
    open(c);
  } else if (c == '}' || c == ']') {
    close(c);
  } else if (c == ',' && in_items_ && depth_ == 2) {
    end_item();
  } else {
    if (depth_ == 1 && c == ',') expects_key_ = true;
    if (depth_ == 1 && c == ':') expects_key_ = false;
    keep(c);
  }
}

void ListScanner::take_in_string(char c) {
  keep(c);
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = false;
    in_key_ = false;
    return;
  }
  if (in_key_ && key_.size() < key_limit) key_ += c;
}

void ListScanner::open(char c) {
  const bool items = depth_ == 1 && c == '[' && !expects_key_ && key_ == "items";
  keep(c);
  ++depth_;
  if (items) in_items_ = true;
  if (depth_ == 1) expects_key_ = true;
}

void ListScanner::close(char c) {
  if (in_items_ && depth_ == 2) {
    if (!item_.empty()) end_item();
    in_items_ = false;
  }
  if (depth_ > 0 && --depth_ == 0) complete_ = true;
  keep(c);
}

// What is behind the end stays in the envelope, which then is no JSON.
void ListScanner::keep(char c) {
  if (in_items_) {
    if (item_.empty() && is_space(c)) return;
    if (item_.size() == item_limit) throw Error("an item of the list has more than 4 MiB");
    item_ += c;
    return;
  }
  if (is_space(c) && !in_string_) return;
  if (envelope_.size() == envelope_limit) {
    throw Error("the list has more than 64 KiB beside its items");
  }
  envelope_ += c;
}

void ListScanner::end_item() {
  while (!item_.empty() && is_space(item_.back())) item_.pop_back();
  if (item_.empty()) throw Error("the list of the API server has an empty item");
  on_item_(item_);
  item_.clear();
}

}  // namespace sluice::agent
