// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/code.h"
#include "cni/verbs.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

// A member of the list of attachments: an object whose IDs are strings; null is tolerated.
void validate(const char* key, const Json& attachment) {
  if (attachment.is_null()) return;
  const auto refuse = [&] {
    throw Error(Code::decoding_failure, std::string("key \"") + key + "\" holds " +
                                            quote(to_line(attachment)) +
                                            ", which is no attachment");
  };
  if (!attachment.is_object()) refuse();
  for (const char* member : {"containerID", "ifname"}) {
    const Json* value = find_value(attachment, member);
    if (value != nullptr && !value->is_string()) refuse();
  }
}

}  // namespace

void gc(const Call& call, Outcome& /*outcome*/) {
  for (const char* key : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
    const Json* attachments = find_value(call.request.config, key);
    if (attachments == nullptr) continue;
    if (!attachments->is_array()) {
      throw Error(Code::decoding_failure, std::string("key \"") + key + "\" is not an array");
    }
    for (const Json& attachment : *attachments) validate(key, attachment);
    return;
  }
}

}  // namespace sluice::cni
