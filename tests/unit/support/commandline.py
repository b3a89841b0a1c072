# SPDX-License-Identifier: GPL-2.0-only
"""The tasks of the command line, as invoke's parser has them."""

from __future__ import annotations

import functools

from invoke.collection import Collection
from invoke.parser.context import ParserContext

import tasks


@functools.cache
def contexts() -> tuple[ParserContext, ...]:
    """All of them. Asked once a process: invoke takes the help of options out of a task as it reads
    it.
    """
    return tuple(Collection.from_module(tasks).to_contexts())
