# SPDX-License-Identifier: GPL-2.0-only
"""Where things are: the checkout, the cache, the downloads folder, and the runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parents[2]
PATCHES = ROOT / "patches"
KERNEL_CONFIG = ROOT / "kernel-config"
IMAGES = ROOT / "images"
TESTS = ROOT / "tests"
GUEST_TESTS = TESTS / "guest"
HARNESS = ROOT / "harness"

# What belongs to this checkout alone: keys, guest images, runs. Never in the shared cache.
BUILD = ROOT / "build"
KEYS = BUILD / "keys"
RUNS = BUILD / "runs"


def cache_dir() -> Path:
    """Folder of everything built that other checkouts may share; DIVERT_CACHE moves it."""
    configured = os.environ.get("DIVERT_CACHE")
    if configured:
        return Path(configured).expanduser().absolute()
    return platformdirs.user_cache_path("divert-sockets")


def downloads_dir() -> Path:
    """Folder of upstream archives; DIVERT_DOWNLOADS moves it. Looked in before any download."""
    configured = os.environ.get("DIVERT_DOWNLOADS")
    if configured:
        return Path(configured).expanduser().absolute()
    return cache_dir() / "downloads"
