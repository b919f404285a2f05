"""`tito doctor`: whether a server, or a folder with a tokenizer, can do token-in, and what to change where it cannot.

    Target ──► diagnose ──► Report ──► print_report (for people) or report_json

Gathering prints nothing, and showing asks nothing.
"""

from verifiers_tito.doctor.findings import Report
from verifiers_tito.doctor.table import print_report, report_json
from verifiers_tito.doctor.target import Target, diagnose

__all__ = ["Report", "Target", "diagnose", "print_report", "report_json"]
