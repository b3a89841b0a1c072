# SPDX-License-Identifier: GPL-2.0-only
"""`./inv docs`: the documents as a site, whose links and anchors all lead somewhere."""
