# SPDX-License-Identifier: GPL-2.0-only
"""docs/SPEC.md in a form that runs: what programs and wires have to see. It knows no kernel.

`host.Host` is one host; `steps` are the calls that it is asked about; what it answers is an
`outcome.Outcome`.
"""
