"""Texts of the page, by the keys that its scripts use."""

from __future__ import annotations

from basix_ws_cti._internal.translation import N_, _

TEXTS: dict[str, str] = {
    # Page and feed
    "wallboard": N_("Wallboard"),
    "connecting": N_("connecting to the server"),
    "live": N_("live"),
    "no_data_yet": N_("No data yet"),
    "stale_since": N_("Old values: no data since {time}"),
    "server_silent": N_("the server does not answer; the page tries to reconnect"),
    "data_late": N_("data arrives late; the page reconnects"),
    "page": N_("Page {page}/{pages}"),
    "days": N_("{days} d {time}"),
    # Levels
    "warning": N_("Warning"),
    "alarm": N_("Alarm"),
    "warning_from_over": N_("Warning from {limit}"),
    "warning_from_below": N_("Warning below {limit}"),
    "warning_over": N_("Warning: {limit} or more"),
    "warning_below": N_("Warning: below {limit}"),
    "alarm_over": N_("Alarm: {limit} or more"),
    "alarm_below": N_("Alarm: below {limit}"),
    # Figures
    "figure_waiting": N_("Waiting"),
    "figure_longest_wait": N_("Longest wait"),
    "figure_talking_free": N_("Talking / free"),
    "figure_service_level": N_("Service level"),
    "figure_answered_offered": N_("Answered / offered"),
    "figure_abandoned": N_("Abandoned"),
    "figure_abandon_rate": N_("Abandon rate"),
    "calls_in_queues": N_("calls in queues"),
    "nobody_waits": N_("no calls are waiting"),
    "within": N_("answered within {seconds} s"),
    "today": N_("today"),
    "since": N_("since {time}"),
    "service_level_formula": N_(
        "Service level: calls answered within {seconds} s ÷ calls whose wait ended"
    ),
    # Queues, agents and their states
    "queues": N_("Queues"),
    "all_queues": N_("Show all queues"),
    "no_queues": N_("This view has no queues."),
    "longest_waiters": N_("Longest waiting"),
    "agents": N_("Agents"),
    "agents_now": N_("agents now"),
    "agents_count": N_("Agents: {count}"),
    "no_agents": N_("no agents"),
    "without_queue": N_("Without a queue"),
    "state_talking": N_("talking"),
    "state_calling": N_("calling"),
    "state_ringing": N_("ringing"),
    "state_held": N_("on hold"),
    "state_parked": N_("call parked"),
    "state_other": N_("busy"),
    "state_free": N_("free"),
    "state_offline": N_("offline"),
    # Calls
    "calls_in_progress": N_("Calls in progress"),
    "no_calls": N_("no calls"),
    "direction_inbound": N_("inbound"),
    "direction_outbound": N_("outbound"),
    "direction_internal": N_("internal"),
    "phase_ivr": N_("IVR"),
    "phase_queued": N_("waiting"),
    "phase_ringing": N_("ringing"),
    "phase_talking": N_("talking"),
    "phase_parked": N_("parked"),
    "parked_calls": N_("Parked calls"),
    "no_parked_calls": N_("no parked calls"),
    "parked_by": N_("by {name}"),
    # Chart of the day
    "quarter_hours": N_("Calls by quarter hour"),
    "quarter_hours_label": N_(
        "Calls by quarter hour: {answered} answered, {abandoned} abandoned in total"
    ),
    "answered": N_("answered"),
    "abandoned": N_("abandoned"),
    # Controls
    "view": N_("View"),
    "view_desk": N_("Desk"),
    "view_tv": N_("TV"),
    "view_phone": N_("Phone"),
    "theme_light": N_("Light"),
    "theme_dark": N_("Dark"),
    "sort_name": N_("Agents by name"),
    "sort_state": N_("Agents by state"),
    "sort_longest": N_("Agents by time in state"),
    "choose_mode": N_("View"),
    "choose_lang": N_("Language"),
    "choose_theme": N_("Colours"),
    "choose_sort": N_("Order of agents"),
    "sound_on": N_("Sound on"),
    "sound_off": N_("Sound off"),
    "reports": N_("Reports"),
    # Commands
    "actions": N_("Actions"),
    "hangup": N_("Hang up"),
    "park": N_("Park"),
    "transfer": N_("Transfer"),
    "call": N_("Call a number"),
    "destination": N_("Number or extension"),
    "action_done": N_("Done."),
    "action_refused": N_("The PBX did not accept this."),
    "action_unsent": N_("The server does not answer. Try again later."),
    # Login
    "user_name": N_("Name"),
    "password": N_("Password"),
    "log_in": N_("Log in"),
    "log_out": N_("Log out"),
    "login_failed": N_("Name or password is wrong."),
    "login_unavailable": N_("The server does not answer. Try again later."),
}
"""English text of each key; ``_`` translates it. Scripts put values in place of ``{name}``."""


def page_texts() -> dict[str, str]:
    """Return all texts in the language of the current context, by key."""
    return {key: _(text) for key, text in TEXTS.items()}
