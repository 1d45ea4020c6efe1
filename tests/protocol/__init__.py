# SPDX-License-Identifier: GPL-2.0-or-later
"""Black-box tests of the plugin: environment and stdin in, rc, stdout and netfilter tables out."""
