// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/conflist.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "agent/install/conflist_text.h"
#include "agent/install/installer.h"
#include "agent/install/json_text.h"
#include "cni/config.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using cni::Json;

constexpr const char* istio_type = "istio-cni";

Edit unreadable(std::string why) {
  return {.outcome = EditOutcome::unreadable, .why = std::move(why)};
}

Edit refused(std::string why, bool had_entry = false) {
  return {.outcome = EditOutcome::refused, .why = std::move(why), .had_entry = had_entry};
}

const std::string* string_member(const Json& object, const char* key) {
  const Json* value = cni::find_value(object, key);
  return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

bool is_type(const Json& plugin, std::string_view type) {
  const std::string* found = string_member(plugin, "type");
  return found != nullptr && *found == type;
}

// How many of the members have this key, in any spelling that some decoder takes for it.
std::ptrdiff_t count_key(const std::vector<MemberSpan>& members, std::string_view key) {
  return std::count_if(members.begin(), members.end(), [&](const MemberSpan& member) {
    return cni::equal_ignoring_case(member.key, key);
  });
}

// A list that a runtime would load, taken apart.
// NOLINTNEXTLINE(bugprone-exception-escape): the library's own assertions, which never throw.
struct List {
  Json document;
  Span array;
  std::vector<Span> elements;
  std::vector<std::size_t> ours;
  std::vector<std::size_t> istio;

  const Json& plugins() const { return document.at("plugins"); }
  std::size_t others() const { return elements.size() - ours.size() - istio.size(); }
};

// What keeps a runtime from loading it, or empty. The plugins' own members are their own concern.
std::string list_fault(const Json& document) {
  if (!document.is_object()) return "is not a JSON object";
  if (document.find("plugins") == document.end()) return "has no list of plugins";
  const Json& plugins = document.at("plugins");
  if (!plugins.is_array() || plugins.empty()) return "has no plugin in its list";
  const auto name = document.find("name");
  if (name == document.end() || !name->is_string() || name->get_ref<const std::string&>().empty()) {
    return "has no name";
  }
  const auto version = document.find("cniVersion");
  if (version != document.end() && !version->is_string()) return "has a cniVersion that is no text";
  for (const Json& plugin : plugins) {
    const std::string* type = string_member(plugin, "type");
    if (type == nullptr || type->empty()) return "has a plugin without a type";
  }
  return {};
}

// The text as a list, or in `fault` why it is none.
std::optional<List> read_list(std::string_view text, Edit& fault) {
  List list;
  try {
    list.document = cni::parse_json(text, "it");
  } catch (const Error& error) {
    fault = unreadable("cannot be read: " + std::string(error.what()));
    return std::nullopt;
  }
  if (std::string why = list_fault(list.document); !why.empty()) {
    fault = unreadable(std::move(why));
    return std::nullopt;
  }
  const std::vector<MemberSpan> members = member_spans(text, root_span(text));
  for (const char* key : {"plugins", "name"}) {
    if (count_key(members, key) != 1) {
      fault = refused("has the key " + quote(key) + " more than once");
      return std::nullopt;
    }
  }
  for (const MemberSpan& member : members) {
    if (member.key == "plugins") list.array = member.value;
  }
  list.elements = element_spans(text, list.array);
  for (std::size_t i = 0; i < list.plugins().size(); ++i) {
    if (is_type(list.plugins().at(i), plugin_type)) list.ours.push_back(i);
    if (is_type(list.plugins().at(i), istio_type)) list.istio.push_back(i);
  }
  return list;
}

// What keeps a runtime from loading a configuration of one plugin, or empty.
std::string plugin_fault(const Json& plugin) {
  if (!plugin.is_object()) return "is not a JSON object";
  const std::string* type = string_member(plugin, "type");
  if (type == nullptr || type->empty()) {
    return plugin.contains("plugins")
               ? "has a list of plugins, which runtimes read from a .conflist only"
               : "has no type";
  }
  const auto version = plugin.find("cniVersion");
  if (version != plugin.end() && !version->is_string()) return "has a cniVersion that is no text";
  return {};
}

// Why no list can be made of it although a runtime takes it, or empty.
std::string list_obstacle(const Json& plugin, const std::vector<MemberSpan>& members) {
  for (const char* key : {"name", "cniVersion", "type"}) {
    if (count_key(members, key) > 1) return "has the key " + quote(key) + " more than once";
  }
  for (const char* type : {plugin_type, istio_type}) {
    if (is_type(plugin, type)) return "is of " + std::string(type) + " alone: it makes no network";
  }
  const auto name = plugin.find("name");
  if (name == plugin.end() || !name->is_string() || name->get_ref<const std::string&>().empty()) {
    return "has no name, which a list must have: give it one";
  }
  return {};
}

// Makes the change, and proves that nothing else came of it.
Edit edited(std::string_view text, const List& list, const ListChange& change) {
  Json expected = list.document;
  Json& plugins = expected.at("plugins");
  if (change.put) {
    if (change.at < plugins.size()) {
      plugins.at(change.at) = *change.put;
    } else {
      plugins.push_back(*change.put);
    }
  }
  std::size_t gone = 0;
  for (const std::size_t index : change.out) plugins.erase(index - gone++);
  Edit edit{.outcome = EditOutcome::changed,
            .text = changed_text(text, list.array, list.elements, change),
            .had_entry = !list.ours.empty()};
  if (cni::parse_json(edit.text, "the edited text") != expected) {
    throw Error("the edited text would not be what is wanted: nothing was written");
  }
  if (edit.text.size() > conf_size_limit) {
    return refused("would become larger than 1 MiB", edit.had_entry);
  }
  return edit;
}

bool is_understood(const std::string& key, const Json& value) {
  return cni::read_plugin_config({{"type", plugin_type}, {key, value}}).problems.empty();
}

void keep_keys(Json& wanted, const Json& former, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!former.contains(key) || wanted.contains(key)) continue;
    if (is_understood(key, former.at(key))) wanted[key] = former.at(key);
  }
}

}  // namespace

Json wanted_entry(const Json& entry) {
  if (!entry.is_object() && !entry.is_null()) throw Error("the entry is not a JSON object");
  Json wanted = entry.is_null() ? Json::object() : entry;
  const Json* type = cni::find_value(wanted, "type");
  if (type != nullptr && *type != plugin_type) {
    throw Error("the entry has another type than " + quote(plugin_type) + ": " +
                quote(cni::to_line(*type)));
  }
  wanted["type"] = plugin_type;
  return wanted;
}

Edit put_entry(std::string_view text, const Json& asked, bool migrate,
               const std::vector<std::string>& kept_keys) {
  Edit fault;
  const std::optional<List> list = read_list(text, fault);
  if (!list) return fault;
  if (!list->istio.empty() && !migrate) {
    return refused(list->ours.empty()
                       ? "has an entry of istio-cni: both would write the rules; remove it, or "
                         "let it be replaced with --migrate"
                       : "has an entry of istio-cni beside ours: both write the rules; remove it, "
                         "or let it be removed with --migrate",
                   !list->ours.empty());
  }
  if (list->others() == 0) return unreadable("has no plugin but ours or istio-cni's in its list");
  ListChange change{.at = list->elements.size()};
  if (!list->istio.empty()) change.at = list->istio.front();
  if (!list->ours.empty()) change.at = list->ours.front();
  change.out = list->ours;
  change.out.insert(change.out.end(), list->istio.begin(), list->istio.end());
  change.out.erase(std::remove(change.out.begin(), change.out.end(), change.at), change.out.end());
  std::sort(change.out.begin(), change.out.end());
  Json wanted = asked;
  if (!list->ours.empty()) keep_keys(wanted, list->plugins().at(change.at), kept_keys);
  const bool equal = change.at < list->plugins().size() && list->plugins().at(change.at) == wanted;
  if (!equal) change.put = std::move(wanted);
  if (equal && change.out.empty()) {
    return {.outcome = EditOutcome::unchanged, .had_entry = true};
  }
  return edited(text, *list, change);
}

Edit take_entry(std::string_view text) {
  Edit fault;
  const std::optional<List> list = read_list(text, fault);
  if (!list) return fault;
  if (list->ours.empty()) return {};
  if (list->ours.size() == list->elements.size()) {
    return refused("has no plugin but ours: it is left as it is, for an empty list would not load",
                   true);
  }
  return edited(text, *list, {.out = list->ours});
}

Edit make_list(std::string_view text, const Json& wanted) {
  Json plugin;
  try {
    plugin = cni::parse_json(text, "it");
  } catch (const Error& error) {
    return unreadable("cannot be read: " + std::string(error.what()));
  }
  if (std::string why = plugin_fault(plugin); !why.empty()) return unreadable(std::move(why));
  const Span root = root_span(text);
  const std::vector<MemberSpan> members = member_spans(text, root);
  if (std::string why = list_obstacle(plugin, members); !why.empty()) {
    return refused(std::move(why));
  }
  const auto text_of = [&](std::string_view key) {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const MemberSpan& member) { return member.key == key; });
    return found == members.end() ? std::string_view() : at(text, found->value);
  };
  Edit edit{.outcome = EditOutcome::changed,
            .text = list_text(text_of("cniVersion"), text_of("name"), at(text, root), wanted)};
  Json expected{{"name", plugin.at("name")}, {"plugins", {plugin, wanted}}};
  if (plugin.contains("cniVersion")) expected["cniVersion"] = plugin.at("cniVersion");
  if (cni::parse_json(edit.text, "the list made of it") != expected) {
    throw Error("the list would not be what is wanted: nothing was written");
  }
  if (edit.text.size() > conf_size_limit) return refused("would become larger than 1 MiB");
  return edit;
}

bool made_from(std::string_view list_text, std::string_view single) {
  Edit fault;
  const std::optional<List> list = read_list(list_text, fault);
  if (!list || list->ours.empty()) return false;
  try {
    const Json plugin = cni::parse_json(single, "it");
    const std::string* name = string_member(plugin, "name");
    return name != nullptr && list->document.at("name") == *name &&
           list->plugins().front() == plugin;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sluice::agent
