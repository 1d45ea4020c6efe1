// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/json_shape.h"

#include <algorithm>
#include <cstddef>

#include "rules/error.h"

namespace sluice::agent {
namespace {

using cni::Json;

// The library's own callback parser looks through an array again for each element that ends in it,
// which is quadratic in what a tenant writes. This one only goes forward.
class ShapedReader final : public nlohmann::json_sax<Json> {
 public:
  ShapedReader(const Shape& shape, const std::string& what) : what_(what), next_(&shape) {}

  Json take() { return std::move(root_); }

  bool null() override { return store(nullptr); }
  bool boolean(bool value) override { return store(value); }
  bool number_integer(number_integer_t value) override { return store(value); }
  bool number_unsigned(number_unsigned_t value) override { return store(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return store(value);
  }
  bool string(string_t& value) override { return store(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return start(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return start(Json::array()); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

  bool key(string_t& key) override {
    if (skipped_ > 0) return true;
    next_ = open_.back().shape->member(key);
    key_ = std::move(key);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const Json::exception& /*error*/) override {
    // The library's text quotes what it read, which may be secret and long.
    throw Error(what_ + " is not valid JSON at byte " + std::to_string(position));
  }

 private:
  struct Level {
    Json* value;
    const Shape* shape;
  };

  // Where the next value is kept; nullptr if it is not.
  template <class Value>
  Json* place(Value&& value) {
    if (skipped_ > 0) return nullptr;
    if (open_.empty()) return &(root_ = std::forward<Value>(value));
    auto& [parent, shape] = open_.back();
    if (parent->is_array()) {
      next_ = shape->elements;
      if (next_ == nullptr) return nullptr;
      parent->push_back(std::forward<Value>(value));
      return &parent->back();
    }
    if (next_ == nullptr) return nullptr;
    return &((*parent)[key_] = std::forward<Value>(value));
  }

  template <class Value>
  bool store(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }

  bool start(Json value) {
    if (open_.size() + skipped_ == cni::json_depth_limit) {
      throw Error(what_ + " is nested deeper than " + std::to_string(cni::json_depth_limit) +
                  " levels");
    }
    Json* kept = place(std::move(value));
    if (kept == nullptr) {
      ++skipped_;
    } else {
      open_.push_back({.value = kept, .shape = next_});
    }
    return true;
  }

  bool end() {
    if (skipped_ > 0) {
      --skipped_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  const std::string& what_;
  Json root_ = {};
  // A parent does not grow while a child of it is open: the pointers hold.
  std::vector<Level> open_ = {};
  std::string key_ = {};
  const Shape* next_;        // of the value that comes next
  std::size_t skipped_ = 0;  // levels that are open in something not kept
};

}  // namespace

const Shape* Shape::member(std::string_view key) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  return found == members.end() ? nullptr : found->second;
}

Json parse_shaped(std::string_view text, const Shape& shape, const std::string& what) {
  // The library skips a byte order mark and takes a NUL for the end of the text.
  if (text.substr(0, 3) == "\xef\xbb\xbf" || text.find('\0') != std::string_view::npos) {
    throw Error(what + " is not valid JSON: it has a byte order mark or a NUL byte");
  }
  ShapedReader reader(shape, what);
  if (!Json::sax_parse(text.begin(), text.end(), &reader)) {
    throw Error(what + " is not valid JSON");
  }
  return reader.take();
}

Json shaped(const Json& value, const Shape& shape) {
  if (value.is_array()) {
    Json kept = Json::array();
    if (shape.elements == nullptr) return kept;
    for (const Json& element : value) kept.push_back(shaped(element, *shape.elements));
    return kept;
  }
  if (!value.is_object()) return value;
  Json kept = Json::object();
  for (const auto& [key, next] : shape.members) {
    const auto found = value.find(std::string(key));
    if (found != value.end()) kept[std::string(key)] = shaped(*found, *next);
  }
  return kept;
}

}  // namespace sluice::agent
