// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/node_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <memory>

#include "cmd/agent_socket.h"
#include "cmd/node_status.h"
#include "cmd/stdio.h"
#include "cni/agent_message.h"
#include "rules/error.h"

namespace sluice::cmd {
namespace {

constexpr int not_ready = 2;
constexpr auto patience = std::chrono::seconds(10);

struct NodeOptions {
  std::string socket = cni::default_agent_socket;
  std::string output = "table";
};

std::string ask(const std::string& socket) {
  try {
    return ask_agent_for_all(socket, cni::print_status_request(),
                             std::chrono::steady_clock::now() + patience);
  } catch (const Error& error) {
    throw Error(error.code(),
                "the node agent cannot be asked at " + quote(socket) + ": " + error.what());
  }
}

int print_status_of(const NodeOptions& options) {
  const std::string json = ask(options.socket);
  if (json.empty()) {
    throw Error("the node agent at " + quote(options.socket) + " closes without an answer");
  }
  const NodeTable table = node_table(json);
  if (!write_all(STDOUT_FILENO, options.output == "json" ? json + "\n" : table.text)) {
    throw Error(errno, "write to stdout");
  }
  return table.ready ? 0 : not_ready;
}

}  // namespace

void add_node_status_command(CLI::App& app, const std::string& name, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      name, "what this node's agent says: is it ready, which pods are redirected");
  const auto options = std::make_shared<NodeOptions>();
  command->add_option("--socket", options->socket, "where the agent listens")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "table, or json as the agent sends it")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->callback([options, &exit_status] { exit_status = print_status_of(*options); });
}

}  // namespace sluice::cmd
