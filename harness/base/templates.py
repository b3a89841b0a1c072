# SPDX-License-Identifier: GPL-2.0-only
"""Pages and pictures from the templates that lie beside the code that fills them."""

from __future__ import annotations

from pathlib import Path

import jinja2


def load(file: Path) -> jinja2.Template:
    """A template whose values are text, escaped; one that is missing is an error, not a blank."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(file.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(file.name)
