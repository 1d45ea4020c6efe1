// SPDX-License-Identifier: GPL-2.0-or-later
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "cmd/sluice/commands.h"
#include "cmd/stdio.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/netns.h"
#include "rules/kernel/nflog.h"
#include "rules/packet.h"
#include "rules/redirect.h"

namespace sluice::cmd {
namespace {

using Clock = std::chrono::system_clock;

struct TraceOptions {
  std::string netns;
  std::uint16_t group = nflog_group;
  std::uint64_t count = 0;  // 0: no end
  bool json = false;
  bool all = false;
};

// With milliseconds: the local time of day, or RFC 3339's form in UTC.
std::string time_text(Clock::time_point now, bool rfc3339) {
  const std::time_t seconds = Clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  (rfc3339 ? gmtime_r : localtime_r)(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size =
      rfc3339 ? std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts)
              : std::strftime(text.data(), text.size(), "%H:%M:%S", &parts);
  const std::string digits = std::to_string(1000 + milliseconds);
  return std::string(text.data(), size) + "." + digits.substr(1) + (rfc3339 ? "Z" : "");
}

std::string protocol_name(std::uint8_t number) {
  switch (number) {
    case static_cast<std::uint8_t>(Protocol::icmp):
      return "icmp";
    case static_cast<std::uint8_t>(Protocol::tcp):
      return "tcp";
    case static_cast<std::uint8_t>(Protocol::udp):
      return "udp";
    case static_cast<std::uint8_t>(Protocol::icmpv6):
      return "icmpv6";
    default:
      return "protocol " + std::to_string(number);
  }
}

std::string endpoint(const IpAddress& address, const std::uint16_t* port) {
  if (port == nullptr) return to_string(address);
  const bool brackets = address.family == Family::ipv6;
  return (brackets ? "[" : "") + to_string(address) + (brackets ? "]:" : ":") +
         std::to_string(*port);
}

std::string packet_text(const Packet& packet) {
  const bool has_ports = packet.ports.has_value();
  return protocol_name(packet.protocol) + " " +
         endpoint(packet.source, has_ports ? &packet.ports->source : nullptr) + " -> " +
         endpoint(packet.destination, has_ports ? &packet.ports->destination : nullptr);
}

bool is_ours(const kernel::Report& report) {
  return std::string_view(report.prefix).substr(0, nflog_prefix.size()) == nflog_prefix;
}

std::string to_line(const kernel::Report& report, Clock::time_point now) {
  std::string_view event = report.prefix;
  if (is_ours(report)) event.remove_prefix(nflog_prefix.size());
  std::string line = time_text(now, false) + " " + printable(event) + ": " +
                     (report.packet ? packet_text(*report.packet) : "unreadable packet");
  if (!report.in.empty()) line += " in " + printable(report.in);
  if (!report.out.empty()) line += " out " + printable(report.out);
  if (report.uid) line += " uid " + std::to_string(*report.uid);
  if (report.gid) line += " gid " + std::to_string(*report.gid);
  return line + "\n";
}

std::string to_json_line(const kernel::Report& report, Clock::time_point now) {
  nlohmann::ordered_json object;
  object["time"] = time_text(now, true);
  object["prefix"] = printable(report.prefix);
  if (const std::optional<Packet>& packet = report.packet) {
    object["protocol"] = protocol_name(packet->protocol);
    object["source"] = to_string(packet->source);
    if (packet->ports) object["sourcePort"] = packet->ports->source;
    object["destination"] = to_string(packet->destination);
    if (packet->ports) object["destinationPort"] = packet->ports->destination;
  }
  if (!report.in.empty()) object["in"] = printable(report.in);
  if (!report.out.empty()) object["out"] = printable(report.out);
  if (report.uid) object["uid"] = *report.uid;
  if (report.gid) object["gid"] = *report.gid;
  return object.dump() + "\n";
}

// Readable as soon as the process is asked to end. The signals are kept until it is read.
kernel::Fd end_requests() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  kernel::Fd fd;
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) == 0) {
    fd = kernel::Fd(signalfd(-1, &signals, SFD_CLOEXEC));
  }
  if (!fd) throw Error(errno, "wait for signals");
  return fd;
}

// Waits for reports; false if the process is asked to end.
bool wait(const kernel::NflogSocket& socket, const kernel::Fd& end) {
  std::array<pollfd, 2> ready{{{.fd = socket.fd(), .events = POLLIN, .revents = 0},
                               {.fd = end.get(), .events = POLLIN, .revents = 0}}};
  while (poll(ready.data(), ready.size(), -1) < 0) {
    if (errno != EINTR) throw Error(errno, "wait for reports");
  }
  return ready[1].revents == 0;
}

// Returns how many lines it has printed, at most `limit` if that is not 0.
std::uint64_t print_reports(const kernel::NflogSocket::Received& received,
                            const TraceOptions& options, std::uint64_t limit) {
  std::uint64_t printed = 0;
  const Clock::time_point now = Clock::now();
  for (const kernel::Report& report : received.reports) {
    if (!options.all && !is_ours(report)) continue;
    const std::string line = options.json ? to_json_line(report, now) : to_line(report, now);
    if (!write_all(STDOUT_FILENO, line)) throw Error(errno, "write to stdout");
    if (++printed == limit) break;
  }
  if (received.lost) write_log("sluice: warn: reports were lost: they came too fast");
  return printed;
}

void trace(const TraceOptions& options) {
  const kernel::Fd end = end_requests();
  kernel::NflogSocket socket(options.group);
  write_log("sluice: listening to NFLOG group " + std::to_string(options.group));
  std::uint64_t left = options.count;
  while (wait(socket, end)) {
    const std::uint64_t printed = print_reports(socket.receive(), options, left);
    if (options.count == 0) continue;
    left -= printed;
    if (left == 0) return;
  }
}

void run_trace(const TraceOptions& options) {
  const std::variant<kernel::Netns, NotNetns> opened = kernel::Netns::open(options.netns);
  if (const NotNetns* reason = std::get_if<NotNetns>(&opened)) {
    throw Error("--netns " + quote(options.netns) + " " + reason->reason);
  }
  std::get<kernel::Netns>(opened).run([&] { trace(options); });
}

}  // namespace

void add_trace_command(CLI::App& app) {
  const auto options = std::make_shared<TraceOptions>();
  CLI::App* command = app.add_subcommand(
      "trace", "print what a pod's rules report with log enabled, until SIGINT or SIGTERM");
  command->add_option("--netns", options->netns, "path of the network namespace")->required();
  command->add_option("--group", options->group, "NFLOG group")->capture_default_str();
  command->add_option("--count", options->count, "end after this many lines")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", options->json, "print JSON objects, one a line");
  command->add_flag("--all", options->all, "print reports of other programs' rules, too");
  command->callback([options] { run_trace(*options); });
}

}  // namespace sluice::cmd
