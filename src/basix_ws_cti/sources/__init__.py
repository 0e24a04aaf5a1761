"""Sources of a feed behind one interface: live, simulated, recorded."""
