import importlib.metadata

project = "basix_ws_cti"
author = "basix_ws_cti contributors"
copyright = "2026, basix_ws_cti contributors"
release = importlib.metadata.version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "basix_ws_cti"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_class_signature = "separated"
default_role = "py:obj"
myst_heading_anchors = 3

# Names in annotations that no page of ours documents.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections\.abc|datetime|ssl|tls|types|typing|websockets)\..*"),
    (r"py:.*", r"(.*\.)?(CallEvent|Change|ClientState|Credentials|Extra)"),
    (r"py:.*", r"(.*\.)?(Frame|Message|R|T|datetime)"),
]
