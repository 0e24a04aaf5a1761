"""Reset of the atom cache, which all decoders of a process share."""

from __future__ import annotations

from basix_ws_cti import terms


def forget_atoms() -> None:
    """Remove all atoms that frames have added to the atom cache."""
    terms.atom_cache.clear()
    terms.atom_cache.update(terms.PREDEFINED_ATOMS)
