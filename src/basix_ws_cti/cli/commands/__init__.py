"""Commands of ``basix-ws-cti``, one module each."""
