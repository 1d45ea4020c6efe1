# SPDX-License-Identifier: GPL-2.0-or-later
"""193 cases of what a CNI plugin must and must not do, each with an ID and a line that says how it went."""
