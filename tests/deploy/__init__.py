# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of what is deployed: the chart as a cluster gets it, and the image as a node runs it."""
