# SPDX-License-Identifier: GPL-2.0-only
"""What a run says, as typed events: written, sent through pipes, read again.

From outside: `events`, `stream.Writer`, `stream.read`, `repeat.repeat`.
"""
