"""The page in which optuna-dashboard runs: with a banner, and without what cannot work."""

from importlib.resources import files
from pathlib import Path

SCRIPT = "/shell.js"
"""Where the page asks for its script."""
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; frame-src 'self'; object-src 'none'; "
    "connect-src 'self'; style-src 'self' data: 'unsafe-inline'; script-src 'self' 'unsafe-eval'"
)
"""optuna-dashboard's own: parallel coordinates, which use WebGL, compile what they run."""
_WHY = (
    "Read only: <code>emoji-study dashboard --allow-edit</code> can rename and delete studies, "
    "and edit notes."
)


def shell(*, read_only: bool) -> str:
    """Return the page; where it is for reading, buttons that change something are not shown."""
    page = files("optuna_dashboard").joinpath("index.html").read_text(encoding="utf-8")
    head = f'<style>{_own("css")}</style><script defer src="{SCRIPT}"></script></head>'
    banner = (
        f'<div id="banner">{_WHY if read_only else ""} <a href="/">All studies</a> '
        '<a id="report" hidden>Report of this study</a></div>'
    )
    body = f'<body class="{"read-only" if read_only else ""}">{banner}'
    return page.replace("</head>", head).replace("<body>", body)


def script() -> str:
    """Return the script of the page."""
    return _own("js")


def _own(suffix: str) -> str:
    return Path(__file__).with_suffix(f".{suffix}").read_text(encoding="utf-8")
