// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel refuses, and what it would: the reason that people read.
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "cni/code.h"
#include "rules/error.h"
#include "rules/kernel/nft/acknowledgement.h"
#include "rules/kernel/nft/attribute.h"
#include "rules/kernel/nft/base_chain.h"
#include "rules/kernel/nft/offered.h"
#include "rules/kernel/nft/replacement.h"
#include "rules/kernel/nft/socket.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel::nft {
namespace {

// A message of each kind, numbered from 1 as they stand in `needed_by_message`; then a deletion.
void fill(Batch& batch) {
  batch.create_table({.name = "t",
                      .sets = {{.name = "s",
                                .flags = NFT_SET_INTERVAL,
                                .key_type = 13,
                                .key_length = 2,
                                .elements = {{.key = {0, 1}}, {.key = {0, 2}, .end = true}}}},
                      .chains = {{.name = "c",
                                  .hook = hook_of(Table::nat, "OUTPUT"),
                                  .rules = {{.expressions = {expr::Counter{}}}}}}});
  batch.delete_table("t");
}

struct Needed {
  std::string doing;
  std::string what;
};

const std::vector<Needed> needed_by_message{
    {"begin a transaction", "nf_tables (module nf_tables)"},
    {"create table \"t\"", "tables of family inet (module nf_tables)"},
    {"create set \"s\"", "sets of intervals (module nf_tables, on older kernels nf_tables_set)"},
    {"add elements to set \"s\"",
     "sets of intervals (module nf_tables, on older kernels nf_tables_set)"},
    {"create chain \"c\"",
     "chains of these types in tables of family inet (modules nft_chain_nat, nf_tables; type nat "
     "needs Linux 5.2)"},
    {"add a rule to chain \"c\"",
     "an expression that the rules need (modules nft_ct, nft_redir, nft_tproxy, nft_reject_inet, "
     "nft_log, nft_limit, on older kernels nft_counter)"}};

TEST_CASE("what the kernel lacks is named with its modules") {
  Batch batch(std::nullopt);
  fill(batch);
  for (std::uint32_t sequence = 0; sequence < needed_by_message.size(); ++sequence) {
    for (const int errnum : {ENOENT, EOPNOTSUPP, EAFNOSUPPORT, EPROTONOSUPPORT}) {
      const Error error = explained(batch, {.errnum = errnum, .sequence = sequence});
      const auto& [doing, what] = needed_by_message[sequence];
      CHECK(error.what() == doing + ": the kernel lacks " + what + ": " + std::strerror(errnum));
      CHECK(cni::code_of(error) == cni::Code::kernel_unsupported);
    }
  }
}

TEST_CASE("other refusals of a transaction are what they are") {
  Batch batch(std::nullopt);
  fill(batch);
  const Error full = explained(batch, {.errnum = ENOMEM, .sequence = 4});
  CHECK(full.what() == std::string("create chain \"c\": Cannot allocate memory"));
  CHECK(full.code() == std::errc::not_enough_memory);
  const Error gone = explained(batch, {.errnum = ENOENT, .sequence = 6});
  CHECK(gone.what() == std::string("delete table \"t\": No such file or directory"));
  CHECK(cni::code_of(gone) == cni::Code::internal);
  const Error owned = explained(batch, {.errnum = EPERM, .sequence = 6});
  CHECK(owned.what() ==
        std::string("delete table \"t\": another program owns the table (flag owner)"));
  CHECK(cni::code_of(owned) == cni::Code::permission);
  CHECK(explained(batch, {.errnum = EPERM, .sequence = 4}).what() ==
        std::string("create chain \"c\": Operation not permitted"));
}

// The outcome of a table in a namespace of its own, where nothing may stay behind.
Outcome committed(const TableObject& table, Error* error = nullptr) {
  Outcome outcome;
  const TestNetns netns;
  netns.inside([&] {
    const auto socket = Socket::open();
    Batch batch(socket->generation());
    batch.create_table(table);
    outcome = socket->commit(batch);
    if (error != nullptr) *error = explained(batch, outcome);
  });
  CHECK(nft_list(netns) == nothing);
  return outcome;
}

TEST_CASE("the kernel's own words are in the error") {
  Error error(0, "");
  const Outcome outcome = committed({.name = std::string(300, 'x')}, &error);
  CHECK(outcome.errnum == ERANGE);
  CHECK(outcome.text == "Attribute failed policy validation");
  CHECK_THAT(error.what(), Catch::EndsWith(" (the kernel says \"Attribute failed policy "
                                           "validation\"): Numerical result out of range"));
}

TEST_CASE("a refusal without words, and words that nobody can print") {
  const Outcome outcome = committed({.name = "t", .flags = 0x80});
  CHECK(outcome.errnum == EOPNOTSUPP);
  CHECK(outcome.text.empty());
  Batch batch(std::nullopt);
  fill(batch);
  const std::string text = "a\nb\"" + std::string(5000, 'c');
  const std::string said = explained(batch, {.errnum = EINVAL, .sequence = 1, .text = text}).what();
  CHECK_THAT(said, Catch::StartsWith("create table \"t\" (the kernel says \"a\\x0ab\\\"ccc") &&
                       Catch::EndsWith("ccc...\"): Invalid argument"));
  CHECK(said.size() < 300);
}

// A message of type NLMSG_ERROR, whose request is there whole or as its header alone.
Bytes refusal(unsigned flags, std::size_t request, const std::string& text) {
  Bytes bytes(sizeof(nlmsghdr) + sizeof(nlmsgerr) + request);
  AttributeWriter writer(bytes);
  writer.put_u32(NLMSGERR_ATTR_OFFS, 20);
  writer.put_string(NLMSGERR_ATTR_MSG, text);
  nlmsgerr error{.error = -EINVAL, .msg = {}};
  error.msg.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + request);
  const nlmsghdr header{.nlmsg_len = static_cast<std::uint32_t>(bytes.size()),
                        .nlmsg_type = NLMSG_ERROR,
                        .nlmsg_flags = static_cast<std::uint16_t>(flags),
                        .nlmsg_seq = 1,
                        .nlmsg_pid = 0};
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(&bytes.at(sizeof header), &error, sizeof error);
  return bytes;
}

Acknowledgement read(View bytes) {
  return read_acknowledgement(read_message(bytes));
}

TEST_CASE("words stand behind the request, if there are any") {
  CHECK(read(refusal(NLM_F_CAPPED | NLM_F_ACK_TLVS, 0, "why")).text == "why");
  CHECK(read(refusal(NLM_F_ACK_TLVS, 48, "why")).text == "why");
  CHECK(read(refusal(NLM_F_CAPPED, 0, "why")).text.empty());
  CHECK(read(refusal(0, 48, "why")).text.empty());
  CHECK(read(refusal(0, 48, "why")).errnum == EINVAL);
}

TEST_CASE("an answer that is cut off or changed is read all the same") {
  INFO("SLUICE_SEED=" << test_seed());
  Random random(test_seed() + 11);
  for (const Bytes& good :
       {refusal(NLM_F_CAPPED | NLM_F_ACK_TLVS, 0, "why"), refusal(NLM_F_ACK_TLVS, 48, "why")}) {
    for (std::size_t size = sizeof(nlmsghdr); size < good.size(); ++size) {
      // A copy of just that size: a sanitizer sees who reads behind it.
      const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
      const Acknowledgement answer = read(cut);
      CHECK(answer.text.empty());
      CHECK(answer.errnum == (size < sizeof(nlmsghdr) + sizeof(int) ? EBADMSG : EINVAL));
    }
    for (int round = 0; round < 5000; ++round) {
      Bytes bytes = good;
      for (auto left = pick(random, 1, 4); left > 0; --left) {
        bytes[pick<std::size_t>(random, 0, bytes.size() - 1)] = pick<std::uint8_t>(random, 0, 255);
      }
      const Acknowledgement answer = read(bytes);
      CHECK(answer.text.size() <= bytes.size());
    }
  }
}

TEST_CASE("nf_tables tells what it can do, and nothing tells that it was asked") {
  const TestNetns netns;
  const auto table = [](const std::string& type, const Expression& expression) {
    Hook hook = hook_of(Table::nat, "OUTPUT");
    hook.type = type;
    return TableObject{
        .name = "asked",
        .flags = NFT_TABLE_F_DORMANT,
        .chains = {{.name = "c", .hook = hook, .rules = {{.expressions = {expression}}}}}};
  };
  const expr::Redir refused{.port = 9999};
  netns.inside([&] {
    CHECK(is_offered());
    CHECK(offers_redirection());
    const auto socket = Socket::open();
    CHECK(offers(*socket, table("nat", refused)));
    CHECK_FALSE(offers(*socket, table("unheard-of", refused)));
    // The errno of an expression that it does not know is this one's, too.
    CHECK_FALSE(offers(*socket, table("nat", expr::Lookup{.set = "gone", .reg = 1})));
    // Nor is one that it would take left behind.
    CHECK(offers(*socket, table("nat", expr::Counter{})));
  });
  CHECK(nft_list(netns) == nothing);
  CHECK(nft_generation(netns) == 1);
}

}  // namespace
}  // namespace sluice::kernel::nft
