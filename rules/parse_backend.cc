// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/parse_backend.h"

#include "rules/error.h"
#include "rules/nft/model.h"

namespace sluice {

BackendChoice parse_backend_choice(std::string_view text) {
  if (text == "auto") return BackendChoice::automatic;
  if (text == "xtables") return BackendChoice::xtables;
  if (text == "nftables") return BackendChoice::nftables;
  throw Error(quote(text) + " is not auto, xtables or nftables");
}

std::string parse_nft_table(std::string_view text) {
  if (nft::is_table_name(text)) return std::string(text);
  throw Error(quote(text) +
              " is not a table's name: 1 to 31 letters, digits, '_', '.' and '-', a letter first");
}

}  // namespace sluice
