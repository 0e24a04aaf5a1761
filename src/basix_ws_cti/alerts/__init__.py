"""Alerts: rules over the live figures of queues, and over the feed itself. No I/O, no clock."""
